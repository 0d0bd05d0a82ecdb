"""The issuer's refusals: RFC 6749's errors, with the codes and the texts of Entra (AADSTS).

Clients look at `error`, `error_codes` and sometimes at the text; people read the text.
"""

import time
import uuid
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from towrope.control.authority import Handler
from towrope.control.json_body import answer

NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
BASIC_CHALLENGE = {"www-authenticate": 'Basic realm="token"'}


class OAuthError(Exception):
    """`error` in the words of the RFC, `code` in Entra's numbers, and a sentence."""

    def __init__(
        self, error: str, code: int, message: str, *, status: int = HTTPStatus.BAD_REQUEST
    ) -> None:
        super().__init__(message)
        self.error = error
        self.code = code
        self.message = message
        self.status = status

    @property
    def description(self) -> str:
        return f"AADSTS{self.code}: {self.message}"


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    error: str
    error_description: str
    error_codes: list[int]
    timestamp: str
    trace_id: str
    correlation_id: str


def failure(error: OAuthError, request: Request, *, now: float) -> Response:
    """The answer of an endpoint that programs call."""
    correlation_id = _correlation_id(request)
    trace_id = str(uuid.uuid4())
    timestamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(now))
    body = _Failure(
        error=error.error,
        error_description=(
            f"{error.description} Trace ID: {trace_id} Correlation ID: {correlation_id}"
            f" Timestamp: {timestamp}"
        ),
        error_codes=[error.code],
        timestamp=timestamp,
        trace_id=trace_id,
        correlation_id=correlation_id,
    )
    challenge = BASIC_CHALLENGE if error.status == HTTPStatus.UNAUTHORIZED else {}
    return answer(body, status=error.status, headers=NO_STORE | challenge)


def told(handler: Handler, clock: Callable[[], float]) -> Handler:
    """`handler`, whose refusals become answers."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except OAuthError as error:
            return failure(error, request, now=clock())

    return handle


def _correlation_id(request: Request) -> str:
    """What the client calls its request; MSAL and Azure's SDKs send it."""
    try:
        return str(uuid.UUID(request.headers.get("client-request-id", "")))
    except ValueError:
        return str(uuid.uuid4())


def invalid_request(message: str, *, code: int = 9000411) -> OAuthError:
    return OAuthError("invalid_request", code, message)


def missing(parameter: str) -> OAuthError:
    return OAuthError(
        "invalid_request",
        900144,
        f"The request body must contain the following parameter: '{parameter}'.",
    )


def invalid_grant(message: str, *, code: int) -> OAuthError:
    return OAuthError("invalid_grant", code, message)


def invalid_client() -> OAuthError:
    """One answer, whether the client, its credential or both are wrong."""
    return OAuthError(
        "invalid_client",
        7000215,
        "The client id or its credential is wrong, or the credential has ended. Check both, and"
        " that the secret's value is given, not its id.",
        status=HTTPStatus.UNAUTHORIZED,
    )
