"""A server's address, how it says to sign in, and the access tokens of an account.

The secret goes to the server that the user named and verified, never to an address that some
answer named. Where secrets are kept is `profile`'s business.
"""

import re
import ssl
import time
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from towrope.client.profile import AccessToken, Account, Folder
from towrope.client.rest import Json, Rest
from towrope.wire.errors import Hop, Malformed, Refused, Unauthenticated, foreign

METADATA_VERSION = "2022-09-01"
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
"""A DNS name or an IPv4 address, or an IPv6 address."""
RENEW_BEFORE = 300.0
"""Seconds: a token that ends sooner is replaced before it is used."""


class _Authentication(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`authentication` of `/metadata/endpoints`."""

    tenant: Annotated[str, msgspec.Meta(min_length=1)]
    audiences: Annotated[list[str], msgspec.Meta(min_length=1)]


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `/metadata/endpoints` says, as far as it is needed."""

    resource_manager: str
    """The server's public address."""
    authentication: _Authentication


class _TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str
    expires_in: int


def normalize_server(text: str) -> str:
    """`https://host[:port]`, from what a user wrote; raises `Malformed` for anything else."""
    given = text.strip()
    try:
        parts = urlsplit(given if "://" in given else f"https://{given}")
        port = parts.port
    except ValueError:
        raise _no_server(given) from None
    if parts.scheme != "https":
        raise Malformed(
            f"The server's address must begin with https://, for secrets go there; found"
            f" '{foreign(parts.scheme)}://'.",
            hop=Hop.CLIENT,
        )
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or parts.path.strip("/"))
    # The parser drops line ends, so what it was given is looked at as well.
    if not plain or not given.isprintable() or not HOST.fullmatch(parts.hostname or ""):
        raise _no_server(given)
    assert parts.hostname is not None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"https://{host}" + (f":{port}" if port not in (None, 443) else "")


def _no_server(given: str) -> Malformed:
    # What stands before an '@' may be a password.
    shown = foreign(given.rpartition("@")[2])
    return Malformed(
        f"'{shown}' is no server's address. Expected https://HOST or https://HOST:PORT.",
        hop=Hop.CLIENT,
    )


def discover(rest: Rest) -> Metadata:
    """How to sign in to a server, as it says itself."""
    answer = rest.json("GET", "/metadata/endpoints", query={"api-version": METADATA_VERSION})
    try:
        return msgspec.convert(answer, Metadata)
    except msgspec.ValidationError:
        raise Refused(
            f"{rest.server} does not say how to sign in, as a Towrope server does. Check the"
            " address.",
            hop=Hop.SERVER,
        ) from None


def redeem(
    rest: Rest, tenant: str, audience: str, client_id: str, client_secret: str
) -> AccessToken:
    """OAuth 2.0 client credentials (RFC 6749 §4.4)."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        "scope": f"{audience.rstrip('/')}/.default",
    }
    asked = time.time()
    answer: Json = rest.json(
        "POST", f"/{_tenant(tenant)}/oauth2/v2.0/token", form=form, repeatable=True
    )
    try:
        token = msgspec.convert(answer, _TokenAnswer)
    except msgspec.ValidationError:
        raise Refused(f"{rest.server} gave no access token.", hop=Hop.SERVER) from None
    return AccessToken(
        access_token=token.access_token, expires_on=int(asked) + max(token.expires_in, 0)
    )


def _tenant(text: str) -> str:
    if not text or not all(c.isascii() and (c.isalnum() or c in "-.") for c in text):
        raise Malformed(
            f"'{foreign(text)}' is no tenant. Expected its id or its domain.", hop=Hop.CLIENT
        )
    return text


class AccessTokens:
    """The bearer tokens of one account: from the folder while good, else from the server."""

    def __init__(self, account: Account, *, folder: Folder, tls: ssl.SSLContext) -> None:
        self._account = account
        self._folder = folder
        self._tls = tls
        self._current: AccessToken | None = None

    def get(self) -> str:
        return self.get_token().access_token

    def get_token(self) -> AccessToken:
        """A token that lasts five minutes at least, unless the server's are shorter."""
        token = self._current or self._folder.load_token(self._account)
        if token is None or token.expires_on - time.time() < RENEW_BEFORE:
            token = self._renew()
        self._current = token
        return token

    def forget(self) -> None:
        """The server did not take the token: the next `get` asks for another."""
        self._current = None
        self._folder.forget_token(self._account)

    def _renew(self) -> AccessToken:
        account = self._account
        credential = self._folder.load_credential(account)
        if credential is None:
            raise Unauthenticated(
                f"The sign-in of {account.client_id} to {account.server} has ended. Sign in again"
                " with 'towrope login'.",
                hop=Hop.CLIENT,
            )
        rest = Rest(account.server, tls=self._tls)
        try:
            token = redeem(
                rest,
                account.tenant_id,
                account.audience,
                account.client_id,
                credential.client_secret,
            )
        finally:
            rest.close()
        self._folder.save_token(account, token)
        return token
