"""What a control plane is told about itself: its public address, its locations, ids and keys."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from towrope.wire.errors import Hop, TowropeError, foreign

HTTPS_PORT = 443
RESERVED_DOMAIN = "towrope.internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicUrl:
    """Where everybody reaches the server: scheme https, a host, maybe a port, nothing else."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"https://{self._host}" + (f":{self.port}" if self.port != HTTPS_PORT else "")

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def netloc(self) -> str:
        """`host:port`, the port always there."""
        return f"{self._host}:{self.port}"

    @property
    def cluster_domain(self) -> str:
        """What the TLS server names of the clusters end in. No DNS name ends in an address."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return f"clusters.{self.host}"
        return f"clusters.{RESERVED_DOMAIN}"


def parse_public_url(text: str) -> PublicUrl:
    """Raises `TowropeError` with a sentence where `text` is not such a URL."""
    try:
        parts = urlsplit(text.rstrip("/"))
        port = parts.port or HTTPS_PORT
    except ValueError:
        raise _bad_url(text) from None
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise _bad_url(text)
    if parts.path or parts.query or parts.fragment:
        raise _bad_url(text)
    return PublicUrl(host=parts.hostname, port=port)


def _bad_url(text: str) -> TowropeError:
    return TowropeError(
        f"The public URL '{foreign(text)}' is not usable; expected 'https://HOST[:PORT]'.",
        hop=Hop.SERVER,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where resources are kept. ARM's clients take its name for the display name in lower case
    without the spaces, so it is."""

    display_name: str
    relay_nodes: tuple[str, ...] = ()
    """`host:port`; none where the server itself is the relay."""

    @property
    def name(self) -> str:
        return self.display_name.lower().replace(" ", "")


LOCAL = Location(display_name="Local")
_LOCATION_NAME = re.compile(r"[a-z0-9-]{1,64}")


def parse_location(text: str) -> Location:
    """`NAME=DISPLAY NAME=HOST[:PORT],…`, of which all but the name may be left out. Raises
    `TowropeError` with a sentence."""
    name, _, rest = text.partition("=")
    display_name, _, nodes = rest.partition("=")
    found = Location(
        display_name=display_name.strip() or name.capitalize(),
        relay_nodes=tuple(_relay_node(text, node) for node in nodes.split(",") if node.strip()),
    )
    if found.name != name or not _LOCATION_NAME.fullmatch(name):
        raise _bad_location(text)
    return found


def _relay_node(text: str, node: str) -> str:
    try:
        parts = urlsplit(f"//{node.strip()}")
        port = parts.port or HTTPS_PORT
    except ValueError:
        raise _bad_location(text) from None
    if not parts.hostname or parts.netloc != node.strip() or parts.username is not None:
        raise _bad_location(text)
    return PublicUrl(host=parts.hostname, port=port).netloc


def _bad_location(text: str) -> TowropeError:
    return TowropeError(
        f"The location '{foreign(text)}' is not usable; expected"
        " 'NAME=DISPLAY NAME=HOST[:PORT],…', where the name is the display name in lower case"
        " without its spaces, of letters, digits and '-': 'westeurope=West Europe'.",
        hop=Hop.SERVER,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    url: PublicUrl
    tenant: str
    subscription: str
    master: bytes = field(repr=False)
    """What the keys of the authorization rules are derived from (see `wire.sas`)."""
    signing_keys: Path
    """The folder of the keys that sign tokens."""
    database_url: str = field(repr=False)
    ca_certificate: bytes | None = None
    """The server's own authority, PEM, where it made its certificate itself."""
    page_size: int = 200
    locations: tuple[Location, ...] = (LOCAL,)
    """Where something may be made. What is elsewhere already stays there, and usable."""
