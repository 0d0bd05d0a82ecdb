"""Signing in to a server, and out of it: who it is, and which subscriptions that account has.

Whom to trust was decided before (see `first_contact`); how a person signs in is `oauth`'s business.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from towrope.client import first_contact
from towrope.client.account import Metadata, discover, find_issuer, normalize_server
from towrope.client.file_lock import locked
from towrope.client.oauth import id_token
from towrope.client.oauth.grant import SignedIn, TokenAnswer, Wish
from towrope.client.oauth.provider import CLI_CLIENT, Provider, check_tenant
from towrope.client.oauth.revocation import revoke
from towrope.client.profile import Account, ExternalIssuer, Folder, Profile
from towrope.client.rest import Rest
from towrope.client.secret_store import Credential
from towrope.client.sessions import (
    OFFLINE,
    STALE_AFTER,
    WAIT,
    AccessTokens,
    bearer_of,
    provider_of,
    redeem,
    scope_of,
)
from towrope.client.trust import context_for
from towrope.wire.errors import Hop, Refused, TowropeError, foreign

SUBSCRIPTIONS_VERSION = "2022-12-01"
NO_SUBSCRIPTION = "N/A(tenant level account)"
"""As `az` calls an account without one."""
OFFLINE_SCOPE = "offline_access"

Ask = Callable[[Provider, Wish], SignedIn]
"""Has a person sign in: with a browser, or by device code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePrincipal:
    """What a service principal signs in with."""

    client_id: str
    credential: Credential = field(repr=False)
    tenant: str | None = None
    """The server's own, unless it has more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    ask: Ask
    tenant: str | None = None
    issuer: str = ""
    """The name of another issuer that the server trusts; else the server's own."""


class _Subscription(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    subscription_id: str
    display_name: str = ""


def sign_in(
    server: str,
    who: ServicePrincipal | Person,
    *,
    authority: bytes | None,
    folder: Folder,
    allow_no_subscriptions: bool = False,
) -> list[Account]:
    """Signs in and remembers it; one account for each subscription, the first is the default."""
    tls = first_contact.trusting(authority)
    rest = Rest(server, tls=tls)
    try:
        found = discover(rest)
        external = find_issuer(rest, who.issuer) if isinstance(who, Person) and who.issuer else None
    finally:
        rest.close()
    account = _account(server, found, who.tenant, external)
    if isinstance(who, ServicePrincipal):
        account = msgspec.structs.replace(account, client_id=who.client_id)
        scope = scope_of(account.audience)
        answer = redeem(provider_of(account, tls), who.client_id, who.credential, scope)
    else:
        account, answer = _person(account, who.ask, tls)
    bearer = bearer_of(answer, account.issuer).access_token
    accounts = [
        msgspec.structs.replace(
            account,
            subscription_id=each.subscription_id,
            subscription_name=each.display_name or each.subscription_id,
        )
        for each in _subscriptions(account, tls, bearer, may_be_none=allow_no_subscriptions)
    ]
    first_contact.remember(folder, server, authority)
    if isinstance(who, ServicePrincipal):
        folder.save_credential(account, who.credential)
    _remember(folder, accounts, answer, tls)
    return accounts


def sign_in_again(account: Account, ask: Ask, *, folder: Folder, tls: ssl.SSLContext) -> None:
    """Renews the sign-in of a user. Raises `Refused` where it is somebody else who signed in."""
    found, answer = _person(account, ask, tls)
    if found.principal != account.principal:
        raise Refused(
            f"{foreign(found.name)} signed in, but {foreign(account.name)} was expected. Sign in as"
            " that user, or use a kubeconfig of your own.",
            hop=Hop.CLIENT,
        )
    folder.forget_tokens(account)
    AccessTokens(account, folder=folder, tls=tls).keep(answer)


def _account(
    server: str, found: Metadata, tenant: str | None, external: ExternalIssuer | None
) -> Account:
    """Of whoever is about to sign in."""
    return Account(
        server=server,
        public_url=normalize_server(found.resource_manager),
        tenant_id=check_tenant(tenant or found.authentication.tenant),
        audience=found.authentication.audiences[0],
        subscription_id="",
        subscription_name="",
        client_id=external.client_id if external else CLI_CLIENT,
        issuer=external,
    )


def _person(account: Account, ask: Ask, tls: ssl.SSLContext) -> tuple[Account, TokenAnswer]:
    """Who signed in, by a verified identity token."""
    provider = provider_of(account, tls)
    signed_in = ask(provider, _wish(account, provider))
    claims = id_token.verify(
        signed_in.answer.id_token,
        provider.keys(),
        issuer=provider.issuer,
        client_id=account.client_id,
        nonce=signed_in.nonce,
    )
    user = id_token.user_of(claims)
    return msgspec.structs.replace(account, user=user), signed_in.answer


def _wish(account: Account, provider: Provider) -> Wish:
    if account.issuer is None:
        scopes: tuple[str, ...] = (scope_of(account.audience), *OFFLINE.split())
        return Wish(client_id=account.client_id, scopes=scopes, login_hint=account.user)
    scopes = account.issuer.scopes
    if "openid" not in scopes:
        scopes = ("openid", *scopes)
    if provider.offers_offline_access and OFFLINE_SCOPE not in scopes:
        scopes = (*scopes, OFFLINE_SCOPE)
    return Wish(
        client_id=account.client_id,
        scopes=scopes,
        login_hint=account.user,
        redirect_host="localhost" if account.issuer.kind == "entra" else "127.0.0.1",
        asks_consent=account.issuer.kind == "oidc" and OFFLINE_SCOPE in scopes,
    )


def _remember(
    folder: Folder, accounts: list[Account], answer: TokenAnswer, tls: ssl.SSLContext
) -> None:
    folder.forget_tokens(accounts[0])
    AccessTokens(accounts[0], folder=folder, tls=tls).keep(answer)

    def added(profile: Profile) -> Profile:
        for account in reversed(accounts):
            profile = profile.with_default(account)
        return profile

    folder.change_profile(added)


def _subscriptions(
    account: Account, tls: ssl.SSLContext, bearer: str, *, may_be_none: bool
) -> list[_Subscription]:
    rest = Rest(account.server, tls=tls, token=lambda: bearer)
    try:
        answer = rest.json("GET", "/subscriptions", query={"api-version": SUBSCRIPTIONS_VERSION})
        found = msgspec.convert(answer.get("value"), list[_Subscription])
    except msgspec.ValidationError:
        found = []
    finally:
        rest.close()
    if not found and may_be_none:
        return [_Subscription(subscription_id=account.tenant_id, display_name=NO_SUBSCRIPTION)]
    if not found:
        raise Refused(
            f"The sign-in is good, but {foreign(account.server)} shows {foreign(account.name)} no"
            " subscription. Ask its administrator for a role, or give --allow-no-subscriptions.",
            hop=Hop.SERVER,
        )
    return found


def sign_out(folder: Folder, account: Account) -> TowropeError | None:
    """Ends a sign-in at its issuer, and forgets the principal's accounts and secrets; the server's
    authority with its last account.

    What is here is forgotten in any case. Returned is why the issuer could not be told.
    """
    failure = _end_at_issuer(folder, account)
    _forget(folder, account)
    return failure


def _end_at_issuer(folder: Folder, account: Account) -> TowropeError | None:
    try:
        # Whoever refreshes just now would leave a token that nobody ends.
        with locked(folder.lock_path(account), within=WAIT, stale_after=STALE_AFTER):
            credential = folder.load_credential(account)
            if credential is not None and credential.refresh_token:
                provider = provider_of(account, context_for(account.server, folder))
                revoke(provider, account.client_id, credential.refresh_token)
    except TowropeError as error:
        return error
    return None


def _forget(folder: Folder, account: Account) -> None:
    def without(profile: Profile) -> Profile:
        for each in profile.accounts:
            if each.principal == account.principal:
                profile = profile.without(each)
        return profile

    profile = folder.change_profile(without)
    folder.forget_secrets(account)
    is_named = profile.cloud_of(account.server) is not None
    if not is_named and not any(each.server == account.server for each in profile.accounts):
        folder.forget_authority(account.server)
