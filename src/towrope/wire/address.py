"""The addresses of the Hybrid Connections protocol: `wss://host/$hc/{path}?sb-hc-action=…`.

Tokens never stand in an address that we make: they go into the `ServiceBusAuthorization` header.
They are accepted there from others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, quote, unquote, urlencode

from towrope.wire.errors import Hop, Malformed, foreign

PREFIX = "/$hc/"
PATH_LIMIT = 512
RESERVED = "sb-hc-"


class Action(StrEnum):
    """`sb-hc-action`. `standby` is ours, the others are Azure Relay's."""

    LISTEN = "listen"
    ACCEPT = "accept"
    CONNECT = "connect"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request target under `/$hc/` asks for."""

    path: str
    """The hybrid connection's name, and for `connect` what follows it; no slash at either end."""
    action: Action
    reserved: Mapping[str, str] = field(repr=False)
    """The `sb-hc-*` parameters without that prefix (`id`, `token`, `statusCode`, …)."""
    query: str = ""
    """What was left of the query when those were taken out, as it came."""


def is_tunnel(target: str) -> bool:
    return target.startswith(PREFIX) or target.lower().startswith("/%24hc/")


def parse(target: str) -> Target:
    """Reads a request target; raises `Malformed` where it is none of the protocol's."""
    raw_path, _, raw_query = target.partition("?")
    path = unquote(raw_path.split("/", 2)[2]).strip("/")
    if not path or len(path) > PATH_LIMIT or any(not c.isprintable() for c in path):
        raise Malformed(
            "The hybrid connection's name is missing, too long or unprintable.", hop=Hop.RELAY
        )
    reserved: dict[str, str] = {}
    others: list[str] = []
    for part in raw_query.split("&") if raw_query else ():
        name = unquote(part.partition("=")[0]).lower()
        if not name.startswith(RESERVED):
            others.append(part)
            continue
        key = name.removeprefix(RESERVED)
        if key in reserved:
            raise Malformed(f"'{foreign(name)}' is given twice.", hop=Hop.RELAY)
        reserved[key] = dict(parse_qsl(part, keep_blank_values=True)).popitem()[1]
    try:
        action = Action(reserved.get("action", "").lower())
    except ValueError:
        raise Malformed(
            f"sb-hc-action '{foreign(reserved.get('action', ''))}' is unknown; expected one of"
            f" {', '.join(Action)}.",
            hop=Hop.RELAY,
        ) from None
    return Target(path=path, action=action, reserved=reserved, query="&".join(others))


def build(
    base: str,
    path: str,
    action: Action,
    parameters: Mapping[str, str] | None = None,
    query: str = "",
) -> str:
    """The URL for `action` on `path` at `base` (such as `wss://host:port`)."""
    pairs: Iterable[tuple[str, str]] = [
        (f"{RESERVED}action", action),
        *((RESERVED + name, value) for name, value in (parameters or {}).items()),
    ]
    end = f"&{query}" if query else ""
    return f"{base}{PREFIX}{quote(path, safe='/')}?{urlencode(list(pairs))}{end}"
