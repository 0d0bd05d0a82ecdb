"""Lists in pages: `{"value": […], "nextLink": …}`; the link goes on after the last key shown.

It has every query parameter of the request: the next page is of the same list.
"""

import base64
import binascii
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from towrope.control.arm_error import ArmError
from towrope.control.json_body import answer
from towrope.control.routing import parameter
from towrope.control.settings import PublicUrl
from towrope.wire.errors import foreign

SKIP_TOKEN = "$skipToken"  # noqa: S105 - a position in a list
TOP_DIGITS = 10


class _List(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    value: Sequence[Any]
    next_link: str | None = None


def whole(value: Sequence[Any]) -> Response:
    """The answer of a list that has one page."""
    return answer(_List(value=value))


def page(
    request: Request, url: PublicUrl, value: Sequence[Any], *, last: Sequence[str] | None
) -> Response:
    """The answer of a list of which more may follow after `last`; it is None on the last page."""
    if last is None:
        return whole(value)
    token = base64.urlsafe_b64encode(msgspec.json.encode(last)).decode().rstrip("=")
    kept = [
        (name, given)
        for name, given in request.query_params.multi_items()
        if name.lower() != SKIP_TOKEN.lower()
    ]
    query = [*kept, (SKIP_TOKEN, token)]
    path = quote(request.scope["path"], safe="/%")
    return answer(_List(value=value, next_link=f"{url}{path}?{urlencode(query)}"))


def size(request: Request, most: int) -> int:
    """How many are shown at once: `$top` of them, but at most `most`. Raises `ArmError`."""
    given = parameter(request, "$top")
    if given is None:
        return most
    if not (given.isascii() and given.isdecimal() and len(given) < TOP_DIGITS and int(given)):
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "InvalidQueryParameterValue",
            f"The value '{foreign(given)}' of the query parameter '$top' is invalid: expected a"
            " whole number above 0.",
        )
    return min(int(given), most)


def position(request: Request, *, keys: int) -> tuple[str, ...] | None:
    """Where the list goes on. Raises `ArmError` where the link was not ours."""
    token = parameter(request, SKIP_TOKEN)
    if token is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        found = msgspec.json.decode(raw, type=tuple[str, ...])
    except (ValueError, binascii.Error, RecursionError):
        found = ()
    if len(found) != keys or not all(each.isprintable() for each in found):
        raise ArmError(
            HTTPStatus.BAD_REQUEST, "InvalidSkipToken", f"The {SKIP_TOKEN} is not one of ours."
        )
    return found
