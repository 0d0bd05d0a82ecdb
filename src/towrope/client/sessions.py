"""The bearer tokens of an account: from the cache while they are good, else from its issuer.

One process at a time uses an account's credential, the others wait and take what it got: a refresh
token is good once, and its second use ends the whole sign-in.
"""

import contextlib
import ssl
import time
from dataclasses import dataclass, field

import msgspec
from joserfc import jws

from towrope.client import token_cache
from towrope.client.file_lock import locked
from towrope.client.oauth import client_credentials, id_token
from towrope.client.oauth.grant import TokenAnswer
from towrope.client.oauth.provider import Provider, discover_issuer, own_issuer
from towrope.client.oauth.refresh import refresh
from towrope.client.profile import Account, ExternalIssuer, Folder
from towrope.client.rest import GrantRefused
from towrope.client.secret_store import Credential
from towrope.client.trust import pinned_context
from towrope.wire.errors import Hop, Refused, Unauthenticated

DEFAULT_SCOPE = "/.default"
OFFLINE = "openid profile offline_access"
ENDED = frozenset({"invalid_grant", "interaction_required", "login_required", "consent_required"})
"""Refusals after which a person has to sign in."""
STALE_AFTER = 90.0
"""Seconds; a request to an issuer is over long before."""
WAIT = 120.0


class SignInNeeded(Unauthenticated):
    """The account's credential is gone, or its issuer does not take it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A bearer token."""

    access_token: str = field(repr=False)
    expires_on: int
    """Unix seconds."""


def scope_of(resource: str) -> str:
    """The scope that stands for all that a resource allows."""
    return f"{resource.rstrip('/')}{DEFAULT_SCOPE}"


def cached_scope(issuer: str, scope: str) -> str:
    """What a token is kept under: the tokens of another issuer are good for every resource."""
    return "" if issuer else scope


def provider_of(account: Account, tls: ssl.SSLContext) -> Provider:
    """Where the account signs in; `tls` is what trusts its server."""
    if account.issuer is None:
        return own_issuer(account.server, account.public_url, account.tenant_id, tls)
    return external_provider(account.issuer)


def external_provider(issuer: ExternalIssuer) -> Provider:
    pem = issuer.ca_certificate
    what = "what the server says is the issuer's authority"
    trusting = pinned_context(pem.encode(), what) if pem else ssl.create_default_context()
    return discover_issuer(issuer.issuer, trusting)


class AccessTokens:
    """The tokens of one account for one scope; without one, for the server's API."""

    def __init__(
        self, account: Account, *, folder: Folder, tls: ssl.SSLContext, scope: str = ""
    ) -> None:
        self._account = account
        self._folder = folder
        self._tls = tls
        self._scope = scope or scope_of(account.audience)
        kept = cached_scope(account.issuer_name, self._scope)
        self._path = folder.token_path(account, kept)
        self._current: AccessToken | None = None

    def get(self) -> str:
        return self.get_token().access_token

    def get_token(self) -> AccessToken:
        """A token that lasts five minutes at least, unless the issuer's are shorter.

        Raises `SignInNeeded` where a person has to sign in first.
        """
        token = self._kept()
        if token is None:
            lock = self._folder.lock_path(self._account)
            with locked(lock, within=WAIT, stale_after=STALE_AFTER):
                # Whoever held the lock before may have brought it.
                token = self._kept() or self._renew()
        self._current = token
        return token

    def keep(self, answer: TokenAnswer) -> AccessToken:
        """Remembers what a sign-in or a refresh gave; what is good once comes first."""
        if answer.refresh_token:
            credential = Credential(refresh_token=answer.refresh_token)
            self._folder.save_credential(self._account, credential)
        token = bearer_of(answer, self._account.issuer)
        # Without a cache it only takes longer the next time.
        with contextlib.suppress(OSError):
            token_cache.write(self._path, token.access_token, token.expires_on)
        self._current = token
        return token

    def forget(self) -> None:
        """The server did not take the token: the next `get` asks for another."""
        self._current = None
        with contextlib.suppress(OSError):
            (self._folder.path / self._path).unlink()

    def _kept(self) -> AccessToken | None:
        found = token_cache.fresh(self._path)
        if found is not None:
            return AccessToken(access_token=found[0], expires_on=found[1])
        current = self._current
        return current if current is not None and token_cache.lasts(current.expires_on) else None

    def _renew(self) -> AccessToken:
        credential = self._folder.load_credential(self._account)
        if credential is None:
            raise self._ended("is not here any more")
        provider = provider_of(self._account, self._tls)
        if credential.refresh_token:
            return self._refresh(provider, credential.refresh_token)
        return self.keep(redeem(provider, self._account.client_id, credential, self._scope))

    def _refresh(self, provider: Provider, token: str) -> AccessToken:
        account = self._account
        issuer = account.issuer
        scope = " ".join(issuer.scopes) if issuer else f"{self._scope} {OFFLINE}"
        try:
            answer = refresh(provider, account.client_id, token, scope)
        except GrantRefused as refused:
            if refused.code not in ENDED:
                raise
            self._folder.forget_secrets(account)
            raise self._ended(f"has ended: {refused.message}") from None
        if issuer is not None and answer.id_token:
            claims = id_token.verify(
                answer.id_token,
                provider.keys(),
                issuer=provider.issuer,
                client_id=account.client_id,
                nonce=None,
            )
            if id_token.user_of(claims) != account.user:
                raise Refused("The issuer answered for another user.", hop=Hop.SERVER)
        return self.keep(answer)

    def _ended(self, what: str) -> SignInNeeded:
        account = self._account
        return SignInNeeded(
            f"The sign-in of {account.name} to {account.server} {what.rstrip('.')}. Sign in again"
            f" with '{login_command(account)}'.",
            hop=Hop.CLIENT,
        )


def login_command(account: Account) -> str:
    """What somebody types to sign in again."""
    words = f"towrope login --server {account.server}"
    if not account.user:
        return f"{words} --service-principal -u {account.client_id}"
    return f"{words} --issuer {account.issuer.name}" if account.issuer else words


def redeem(provider: Provider, client_id: str, credential: Credential, scope: str) -> TokenAnswer:
    """A service principal's sign-in."""
    if credential.certificate:
        return client_credentials.by_certificate(provider, client_id, credential.certificate, scope)
    return client_credentials.by_secret(provider, client_id, credential.client_secret, scope)


def bearer_of(answer: TokenAnswer, issuer: ExternalIssuer | None) -> AccessToken:
    """What the server takes: of another issuer the identity token, where that is what it is for."""
    now = int(time.time())
    if issuer is None or issuer.audience != issuer.client_id:
        ends = now + max(answer.expires_in, 0)
        return AccessToken(access_token=answer.access_token, expires_on=ends)
    if not answer.id_token:
        raise Refused(f"The issuer {issuer.name} gave no identity token.", hop=Hop.SERVER)
    return AccessToken(access_token=answer.id_token, expires_on=_end_of(answer.id_token))


def _end_of(token: str) -> int:
    """`exp` of an identity token, whose signature was verified before."""
    payload = jws.extract_compact(token.encode()).payload
    return int(msgspec.json.decode(payload)["exp"])
