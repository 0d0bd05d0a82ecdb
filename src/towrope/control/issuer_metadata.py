"""An issuer's own word about itself: OpenID Connect Discovery 1.0 and its key set, fetched.

Only what an administrator named is fetched: its address, and what that says to be on the same
host. No answer is shown to anybody, and each has a bound in bytes and in time.
"""

import asyncio
import ssl
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import msgspec

from towrope.control.arm_error import ArmError
from towrope.control.issuer_settings import IssuerSettings, https_url
from towrope.control.key_sets import Jwk, usable_keys
from towrope.wire.errors import Hop, Unreachable, foreign

WITHIN = 10.0
ANSWER_LIMIT = 1024 * 1024
REDIRECTS_LIMIT = 3
DISCOVERY = "/.well-known/openid-configuration"

# Loopback is never reached through a proxy, whatever the environment says.
_DIRECT = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    device_authorization_endpoint: str = ""


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is kept of it."""

    jwks_uri: str = ""
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    device_authorization_endpoint: str = ""
    keys: tuple[Jwk, ...] = ()
    last_error: str = ""
    """Why the last attempt to fetch it failed; the rest is from the last one that did not."""


async def fetch(settings: IssuerSettings) -> Metadata:
    """Raises `Unreachable` with a sentence that says what was found instead."""
    try:
        async with asyncio.timeout(WITHIN), client(settings) as http:
            return await _fetch(http, settings)
    except TimeoutError:
        raise _unusable(settings, "it does not answer in time") from None
    except httpx2.HTTPError as error:
        why = foreign(str(error)) or type(error).__name__
        raise _unusable(settings, f"it cannot be reached ({why})") from None


def client(settings: IssuerSettings) -> httpx2.AsyncClient:
    """For the hosts of an issuer: its own authority where one was given, else the system's."""
    tls = ssl.create_default_context(cadata=settings.ca_certificate or None)
    return httpx2.AsyncClient(verify=tls, timeout=WITHIN, mounts=_DIRECT, follow_redirects=False)


async def _fetch(http: httpx2.AsyncClient, settings: IssuerSettings) -> Metadata:
    content = await _get(http, settings, settings.authority.rstrip("/") + DISCOVERY)
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _unusable(settings, f"what is at '{DISCOVERY}' is no discovery document") from None
    if document.issuer not in settings.issuers:
        found = foreign(document.issuer)
        raise _unusable(settings, f"it says that it is '{found}'") from None
    where = _keys_url(settings, document.jwks_uri)
    listed = usable_keys(_json(await _get(http, settings, where)), settings.algorithms)
    if not listed:
        algorithms = ", ".join(settings.algorithms)
        raise _unusable(settings, f"its key set has no public key for {algorithms}")
    return Metadata(
        jwks_uri=where,
        authorization_endpoint=foreign(document.authorization_endpoint),
        token_endpoint=foreign(document.token_endpoint),
        device_authorization_endpoint=foreign(document.device_authorization_endpoint),
        keys=tuple(listed),
    )


def _keys_url(settings: IssuerSettings, stated: str) -> str:
    """Where the keys are. Another host is asked only where the administrator named it."""
    is_named = stated != "" and stated == settings.jwks_uri
    if not is_named and not _is_on_the_same_host(stated, settings.authority):
        raise _unusable(
            settings,
            f"its keys are on another host, at '{foreign(stated)}'; if that is right, set 'jwksUri'"
            " to it",
        )
    return stated


async def _get(http: httpx2.AsyncClient, settings: IssuerSettings, url: str) -> bytes:
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    for _ in range(REDIRECTS_LIMIT + 1):
        async with http.stream("GET", url, headers=headers) as answer:
            if not answer.has_redirect_location:
                return await _body(answer, settings)
            stated = answer.headers["location"]
        target = _joined(url, stated)
        if not _is_on_the_same_host(target, url):
            raise _unusable(settings, f"it redirects to another host, to '{foreign(stated)}'")
        url = target
    raise _unusable(settings, "it redirects in circles")


async def _body(answer: httpx2.Response, settings: IssuerSettings) -> bytes:
    path = foreign(answer.url.path)
    if answer.status_code != httpx2.codes.OK:
        raise _unusable(settings, f"it answers {answer.status_code} at '{path}'")
    content = await bounded(answer, limit=ANSWER_LIMIT)
    if content is None:
        raise _unusable(settings, f"its answer at '{path}' is over {ANSWER_LIMIT} bytes, or packed")
    return content


async def bounded(answer: httpx2.Response, *, limit: int) -> bytes | None:
    """The body as it came over the wire; None where it is longer than `limit`, or compressed."""
    if answer.headers.get("content-encoding", "identity") != "identity":
        return None
    content = bytearray()
    async for chunk in answer.aiter_raw():
        content += chunk
        if len(content) > limit:
            return None
    return bytes(content)


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _joined(url: str, reference: str) -> str:
    """Empty where the reference is none."""
    try:
        return urljoin(url, reference)
    except ValueError:
        return ""


def _is_on_the_same_host(url: str, other: str) -> bool:
    """Whether `url` is one of `https`, of the host and the port of `other`."""
    try:
        parts = https_url(url, "url", may_have_query=True)
    except ArmError:
        return False
    there = urlsplit(other)
    return (parts.hostname, parts.port or 443) == (there.hostname, there.port or 443)


def _unusable(settings: IssuerSettings, what: str) -> Unreachable:
    return Unreachable(f"The issuer {settings.authority} is not usable: {what}.", hop=Hop.SERVER)
