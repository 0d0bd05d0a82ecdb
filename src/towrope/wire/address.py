"""The addresses of the Hybrid Connections protocol: `wss://host/$hc/{path}?sb-hc-action=…`.

Tokens never stand in an address that we make: they go into the `ServiceBusAuthorization` header.
They are accepted there from others.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote, unquote, unquote_plus, urlencode

from towrope.wire.errors import Hop, Malformed, foreign

PREFIX = "/$hc/"
PATH_LIMIT = 512
SEGMENT_LIMIT = 16
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
    """The `sb-hc-*` parameters without that prefix, lower case (`id`, `token`, `statuscode`, …)."""
    query: str = ""
    """What was left of the query when those were taken out, as it came."""


def is_tunnel(target: str) -> bool:
    return target.startswith(PREFIX) or target.lower().startswith("/%24hc/")


def parse(target: str) -> Target:
    """Reads a request target; raises `Malformed` where it is none of the protocol's."""
    raw_path, _, raw_query = target.partition("?")
    reserved: dict[str, str] = {}
    others: list[str] = []
    for part in raw_query.split("&") if raw_query else ():
        name = unquote(part.partition("=")[0]).lower()
        if not name.startswith(RESERVED):
            others.append(part)
            continue
        key = name.removeprefix(RESERVED)
        if key in reserved:
            raise _malformed(f"'{foreign(name)}' is given twice.")
        reserved[key] = unquote_plus(part.partition("=")[2])
    return Target(
        path=_path(raw_path.split("/", 2)[2]),
        action=_action(reserved.get("action", "")),
        reserved=reserved,
        query="&".join(others),
    )


def _path(raw: str) -> str:
    try:
        path = unquote(raw, errors="strict").strip("/")
    except UnicodeDecodeError:
        raise _malformed("The hybrid connection's name is not UTF-8.") from None
    segments = path.split("/")
    if len(path) > PATH_LIMIT or len(segments) > SEGMENT_LIMIT:
        raise _malformed("The hybrid connection's name is too long.")
    if any(segment in ("", ".", "..") for segment in segments) or not path.isprintable():
        raise _malformed("The hybrid connection's name is missing or not a plain path.")
    return path


def _action(text: str) -> Action:
    try:
        return Action(text.lower())
    except ValueError:
        raise _malformed(
            f"sb-hc-action '{foreign(text)}' is unknown; expected one of {', '.join(Action)}."
        ) from None


def prefixes(path: str) -> Iterator[str]:
    """`path` and its parents, longest first: what may be the hybrid connection's own name."""
    while path:
        yield path
        path = path.rpartition("/")[0]


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


def _malformed(what: str) -> Malformed:
    return Malformed(what, hop=Hop.RELAY)
