"""First contact with a server, and signing in to it: whom to trust, then who is asking.

The secret is sent only once the server's certificate is verified by an authority that the system
or the user vouches for, and only to the address that the user named.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from towrope.client.account import discover, normalize_server, redeem
from towrope.client.profile import AccessToken, Account, Credential, Folder
from towrope.client.rest import Rest, Untrusted
from towrope.client.trust import (
    fetch_authority,
    is_fingerprint_of,
    pinned_context,
    read_authority,
)
from towrope.ops.certificates import fingerprint
from towrope.wire.errors import Hop, Refused, foreign

SUBSCRIPTIONS_VERSION = "2022-12-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePrincipal:
    """What a service principal signs in with."""

    client_id: str
    client_secret: str = field(repr=False)
    tenant: str | None = None
    """The server's own, unless it has more than one."""


class _Subscription(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    subscription_id: str
    display_name: str = ""


def choose_authority(
    server: str,
    folder: Folder,
    *,
    ca_file: Path | None = None,
    ca_fingerprint: str | None = None,
    accept: Callable[[str], bool] | None = None,
) -> bytes | None:
    """The authority (PEM) to trust for `server` alone, or None where the system's are enough.

    `accept` shows a fingerprint to somebody who can tell whether it is right; without it, an
    authority that nobody vouches for is refused with `Untrusted`.
    """
    if ca_file is not None:
        return read_authority(ca_file)
    if ca_fingerprint is not None:
        return _authority_with(ca_fingerprint, server)
    known = folder.load_authority(server)
    if known is not None or _is_trusted_by_system(server):
        return known
    offered = fetch_authority(server)
    if accept is None:
        raise Untrusted(
            f"The certificate of {server} comes from an authority that is unknown here, with"
            f" fingerprint {fingerprint(offered)}. Compare it with what the server printed at its"
            " start, and give it with --ca-fingerprint, or name the authority's file with"
            " --ca-file.",
            hop=Hop.SERVER,
        )
    if not accept(fingerprint(offered)):
        raise Untrusted(
            f"The authority of {server} was not accepted. Nothing was sent.", hop=Hop.SERVER
        )
    return offered


def _authority_with(ca_fingerprint: str, server: str) -> bytes:
    offered = fetch_authority(server)
    if not is_fingerprint_of(ca_fingerprint, offered):
        raise Untrusted(
            f"{server} offers an authority with fingerprint {fingerprint(offered)}, which is not"
            " the one of --ca-fingerprint. Somebody may stand between you and the server. Nothing"
            " was sent.",
            hop=Hop.SERVER,
        )
    return offered


def _is_trusted_by_system(server: str) -> bool:
    rest = Rest(server, tls=ssl.create_default_context())
    try:
        discover(rest)
    except Untrusted:
        return False
    finally:
        rest.close()
    return True


def sign_in(
    server: str, principal: ServicePrincipal, *, authority: bytes | None, folder: Folder
) -> list[Account]:
    """Signs in and remembers it; one account for each subscription, the first is the default."""
    tls = ssl.create_default_context() if authority is None else pinned_context(authority)
    rest = Rest(server, tls=tls)
    try:
        found = discover(rest)
        tenant = principal.tenant or found.authentication.tenant
        audience = found.authentication.audiences[0]
        token = redeem(rest, tenant, audience, principal.client_id, principal.client_secret)
    finally:
        rest.close()
    accounts = [
        Account(
            server=server,
            public_url=normalize_server(found.resource_manager),
            tenant_id=tenant,
            audience=audience,
            subscription_id=subscription.subscription_id,
            subscription_name=subscription.display_name or subscription.subscription_id,
            client_id=principal.client_id,
        )
        for subscription in _subscriptions(server, tls, token)
    ]
    if authority is None:
        folder.forget_authority(server)
    else:
        folder.save_authority(server, authority)
    _remember(folder, accounts, principal, token)
    return accounts


def _remember(
    folder: Folder, accounts: list[Account], principal: ServicePrincipal, token: AccessToken
) -> None:
    folder.save_credential(accounts[0], Credential(client_secret=principal.client_secret))
    folder.save_token(accounts[0], token)
    profile = folder.load_profile()
    for account in reversed(accounts):
        profile = profile.with_default(account)
    folder.save_profile(profile)


def _subscriptions(server: str, tls: ssl.SSLContext, token: AccessToken) -> list[_Subscription]:
    rest = Rest(server, tls=tls, token=lambda: token.access_token)
    try:
        answer = rest.json("GET", "/subscriptions", query={"api-version": SUBSCRIPTIONS_VERSION})
        found = msgspec.convert(answer.get("value"), list[_Subscription])
    except msgspec.ValidationError:
        found = []
    finally:
        rest.close()
    if not found:
        raise Refused(
            f"The sign-in is good, but {foreign(server)} shows this principal no subscription. Ask"
            " its administrator for a role.",
            hop=Hop.SERVER,
        )
    return found


def sign_out(folder: Folder, account: Account) -> None:
    """Forgets a principal's accounts and secrets, and the server's authority with its last one."""
    profile = folder.load_profile()
    for each in profile.accounts:
        if (each.server, each.client_id) == (account.server, account.client_id):
            profile = profile.without(each)
    folder.save_profile(profile)
    folder.forget_secrets(account)
    if not any(each.server == account.server for each in profile.accounts):
        folder.forget_authority(account.server)
