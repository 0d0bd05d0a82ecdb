"""The outermost layer of every request: its ids, its path in one form, its errors, its log line.

Nothing below has to answer an error by itself: what is raised becomes ARM's envelope here.
"""

import re
import time
import uuid
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog
from sqlalchemy.exc import DataError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towrope.control.arm_error import CODES, ArmError, envelope
from towrope.control.json_body import NotDecodable, TooLarge, TooSlow
from towrope.wire.errors import TowropeError, foreign

_log = structlog.get_logger()
_CORRELATION_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class Envelope:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.monotonic()
        reply = _Reply(send, correlation_id=_correlation_id(scope))
        scope["towrope.request_id"] = reply.request_id
        try:
            scope["path"] = one_form(scope.get("raw_path") or scope["path"].encode())
            scope["root_path"] = ""
            await self._app(scope, receive, reply.send)
        except Exception as error:
            if reply.status:
                raise
            await answer_to(error)(scope, receive, reply.send)
        _log.info(
            "request",
            method=scope["method"],
            path=foreign(scope["path"]),
            status=reply.status,
            seconds=round(time.monotonic() - started, 4),
            request_id=reply.request_id,
            principal=str(scope.get("towrope.principal", "")),
        )


class _Reply:
    """Sends an answer on, with the headers that each one bears."""

    def __init__(self, send: Send, *, correlation_id: str | None) -> None:
        self._send = send
        self.request_id = str(uuid.uuid4())
        self._correlation_id = correlation_id or self.request_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = MutableHeaders(scope=message)
            headers["x-ms-request-id"] = self.request_id
            headers["x-ms-correlation-request-id"] = self._correlation_id
            headers["x-content-type-options"] = "nosniff"
            headers.setdefault("cache-control", "no-store")
        await self._send(message)


def _correlation_id(scope: MutableMapping[str, Any]) -> str | None:
    given = Headers(scope=scope).get("x-ms-correlation-request-id", "")
    return given if _CORRELATION_ID.fullmatch(given) else None


def one_form(raw_path: bytes) -> str:
    """The path with no empty segments, each segment decoded. Raises `ArmError`.

    A slash inside a segment stays encoded, so that it never divides; and what no name can hold is
    refused, so that no two readers see different segments.
    """
    return "/" + "/".join(_segment(raw) for raw in raw_path.split(b"/") if raw)


def _segment(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise _bad_path() from None
    if text in (".", "..") or not text.isprintable() or any(c in text for c in "%\\?#"):
        raise _bad_path()
    return text.replace("/", "%2F")


def _bad_path() -> ArmError:
    return ArmError(
        HTTPStatus.BAD_REQUEST, "InvalidRequestUri", "The request's path has an invalid segment."
    )


def answer_to(error: Exception) -> Response:
    """The envelope for what was raised."""
    match error:
        case ArmError():
            return envelope(error.answer, error.code, error.message)
        case TowropeError():
            return envelope(error.status, CODES.get(error.status, "Refused"), error.message)
        case HTTPException():
            return _http_error(error)
        case NotDecodable():
            message = f"The request content was invalid and could not be deserialized: '{error}'."
            return envelope(HTTPStatus.BAD_REQUEST, "InvalidRequestContent", foreign(message))
        case TooLarge():
            message = "The request content is too large."
            return _and_close(envelope(413, "RequestContentTooLarge", message))
        case TooSlow():
            message = "The request content did not arrive in time."
            return _and_close(envelope(HTTPStatus.REQUEST_TIMEOUT, "RequestTimeout", message))
        case DataError():
            message = "The request has a value that is too long or too large to be kept."
            return envelope(HTTPStatus.BAD_REQUEST, "InvalidRequestContent", message)
        case _:
            _log.error("request failed", exc_info=error)
            message = "The server failed. Its log has the cause, under this answer's request id."
            return envelope(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalServerError", message)


def _http_error(error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    message = {
        HTTPStatus.NOT_FOUND: "There is nothing at this path.",
        HTTPStatus.METHOD_NOT_ALLOWED: "The method is not allowed on this resource.",
    }.get(status, status.description or status.phrase)
    return envelope(status, CODES.get(status, status.phrase), message, error.headers)


def _and_close(response: Response) -> Response:
    # What is left of the body is not worth reading.
    response.headers["connection"] = "close"
    return response
