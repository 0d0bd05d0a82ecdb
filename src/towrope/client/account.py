"""A server's address, and what it says about signing in to it."""

import re
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from towrope.client.profile import ExternalIssuer
from towrope.client.rest import Rest
from towrope.wire.errors import Hop, Malformed, NotFound, Refused, foreign

METADATA_VERSION = "2022-09-01"
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
"""A DNS name or an IPv4 address, or an IPv6 address."""
ISSUERS_PATH = "/.well-known/towrope/issuers"


class _Authentication(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`authentication` of `/metadata/endpoints`."""

    tenant: Annotated[str, msgspec.Meta(min_length=1)]
    audiences: Annotated[list[str], msgspec.Meta(min_length=1)]
    login_endpoint: str = ""


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `/metadata/endpoints` says, as far as it is needed."""

    resource_manager: str
    """The server's public address."""
    authentication: _Authentication
    microsoft_graph_resource_id: str = ""


class _Issuers(msgspec.Struct, frozen=True, kw_only=True):
    value: list[ExternalIssuer]


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


def find_issuer(rest: Rest, name: str) -> ExternalIssuer:
    """A provider that the server trusts, by its name. Raises `NotFound`."""
    try:
        found = msgspec.convert(rest.json("GET", ISSUERS_PATH), _Issuers).value
    except msgspec.ValidationError:
        raise Refused(
            f"{rest.server} does not say which issuers it trusts. Do the versions of both differ?",
            hop=Hop.SERVER,
        ) from None
    for each in found:
        if each.name.lower() == name.lower():
            return each
    known = ", ".join(foreign(each.name) for each in found) or "no other than itself"
    raise NotFound(
        f"{rest.server} trusts no issuer '{foreign(name)}'. It trusts {known}.", hop=Hop.SERVER
    )
