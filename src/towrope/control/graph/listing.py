"""Lists: the query options that they take, and their answers in pages (`@odata.nextLink`)."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from towrope.control.graph import filters
from towrope.control.graph.errors import bad_request
from towrope.control.graph.objects import Kind, selection
from towrope.control.json_body import answer
from towrope.control.paging import SKIP_TOKEN, position
from towrope.control.settings import PublicUrl
from towrope.control.store.directory import Match
from towrope.wire.errors import foreign

TOP_LIMIT = 999


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a list was asked for."""

    matches: tuple[Match, ...] = ()
    select: tuple[str, ...] = ()
    """Names of properties; none: those that are shown by default."""
    size: int
    after: tuple[str, ...] | None = None
    wants_count: bool = False


def options(
    request: Request, *, kind: Kind, size: int, keys: int = 1, columns: filters.Columns | None
) -> Options:
    """Raises `ArmError` (400). `columns` is None for a list that takes no filter."""
    allowed = {"$select", "$top", "$count", SKIP_TOKEN.lower()}
    given = _given(request, allowed | ({"$filter"} if columns else set()))
    after = position(request, keys=keys)
    return Options(
        matches=filters.parse(given["$filter"], columns or {}) if given.get("$filter") else (),
        select=selection(given.get("$select"), kind),
        size=_top(given.get("$top"), size),
        after=after,
        wants_count=_is_true(given.get("$count")),
    )


def select_alone(request: Request, kind: Kind) -> tuple[str, ...]:
    """The `$select` of one object. Raises `ArmError` (400)."""
    return selection(_given(request, {"$select"}).get("$select"), kind)


def _given(request: Request, allowed: set[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        key = name.lower()
        if not key.startswith("$"):
            continue
        if key not in allowed:
            raise bad_request(f"The query option '{foreign(name)}' is not supported here.")
        if key in given:
            raise bad_request(f"The query option '{foreign(name)}' is given more than once.")
        given[key] = value
    return given


def _top(given: str | None, size: int) -> int:
    if given is None:
        return size
    if not (given.isascii() and given.isdecimal() and len(given) < 5):
        raise bad_request(f"The $top must be a number from 1 to {TOP_LIMIT}.")
    if not 1 <= int(given) <= TOP_LIMIT:
        raise bad_request(f"The $top must be a number from 1 to {TOP_LIMIT}.")
    return int(given)


def _is_true(given: str | None) -> bool:
    if (given or "false").lower() not in ("true", "false"):
        raise bad_request("The $count must be true or false.")
    return (given or "").lower() == "true"


def page(
    request: Request,
    url: PublicUrl,
    value: Sequence[Any],
    *,
    context: str,
    last: Sequence[str] | None,
    count: int | None = None,
) -> Response:
    """The answer of a list of which more may follow after `last`; it is None on the last page."""
    shown: dict[str, Any] = {"@odata.context": f"{url}/v1.0/$metadata#{context}"}
    if count is not None:
        shown["@odata.count"] = count
    if last is not None:
        shown["@odata.nextLink"] = _link(request, url, last)
    return answer({**shown, "value": value})


def _link(request: Request, url: PublicUrl, last: Sequence[str]) -> str:
    token = base64.urlsafe_b64encode(msgspec.json.encode(last)).decode().rstrip("=")
    kept = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name.lower() != SKIP_TOKEN.lower()
    ]
    path = quote(request.scope["path"], safe="/%$'()=@")
    return f"{url}{path}?{urlencode([*kept, (SKIP_TOKEN, token)])}"
