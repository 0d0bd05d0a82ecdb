"""JSON in and out: request bodies with a limit and a deadline, decoded into structs; answers."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

BODY_LIMIT = 1024 * 1024
BODY_TIMEOUT = 30.0

T = TypeVar("T")


class TooLarge(Exception):
    """The body is over its limit."""


class TooSlow(Exception):
    """The body did not come in time, or not at all."""


class NotDecodable(ValueError):
    """The body is not JSON of the expected shape."""


async def read(request: Request, *, limit: int = BODY_LIMIT) -> bytes:
    """The whole body. Raises `TooLarge` or `TooSlow`."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge
    except (TimeoutError, ClientDisconnect):
        raise TooSlow from None
    return bytes(body)


async def decode(request: Request, shape: type[T], *, limit: int = BODY_LIMIT) -> T:
    """The body as `shape`. Raises `TooLarge`, `TooSlow` or `NotDecodable`."""
    body = await read(request, limit=limit)
    try:
        # As text, for what is not UTF-8 would be passed over in members that `shape` has not.
        return msgspec.json.decode(body.decode(), type=shape)
    except RecursionError:
        raise NotDecodable("it is nested too deeply") from None
    except ValueError as error:  # msgspec's own, and UnicodeDecodeError
        raise NotDecodable(str(error)) from None


def answer(
    content: Any, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/json; charset=utf-8",
    )
