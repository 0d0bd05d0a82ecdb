"""Kubernetes `Status` answers, for the errors that the gate makes itself.

kubectl prints `message`, so it is a sentence that names the hop, the cause and what to do.
"""

from http import HTTPStatus
from typing import Literal

import msgspec

from towrope.wire.errors import Hop, TowropeError, Unreachable
from towrope.wire.head import Field, Fields, ResponseHead

# metav1.StatusReason, by code.
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    408: "Timeout",
    502: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    reason: str
    message: str


class Details(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    causes: list[Cause]
    retry_after_seconds: int = 0


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """meta.k8s.io/v1 Status, of a failure."""

    kind: Literal["Status"] = "Status"
    api_version: Literal["v1"] = "v1"
    metadata: dict[str, str] = {}
    status: Literal["Failure"] = "Failure"
    message: str
    reason: str
    details: Details
    code: int


def failure(code: int, message: str, *, hop: Hop, retry_after: int = 0) -> Status:
    """`hop` stands among the causes, where programs find it."""
    cause = Cause(reason="TowropeHop", message=hop.value)
    return Status(
        message=message,
        reason=REASONS.get(code, "InternalError"),
        details=Details(causes=[cause], retry_after_seconds=retry_after),
        code=code,
    )


def of_error(error: TowropeError) -> Status:
    if isinstance(error, Unreachable):
        # Nothing was sent, so trying again is harmless; client-go does by itself when told to.
        return failure(503, error.message, hop=error.hop, retry_after=1)
    return failure(error.status, error.message, hop=error.hop)


def response(status: Status, *, closes: bool, with_body: bool = True) -> bytes:
    """The whole HTTP response. `with_body` is false in answer to HEAD."""
    body = msgspec.json.encode(status)
    fields: list[Field] = [
        (b"Content-Type", b"application/json"),
        (b"Cache-Control", b"no-store"),
        (b"Content-Length", b"%d" % len(body)),
    ]
    if status.code == HTTPStatus.UNAUTHORIZED:
        fields.append((b"WWW-Authenticate", b"Bearer"))
        fields.append((b"Warning", _warning(status.message)))
    if status.details.retry_after_seconds:
        fields.append((b"Retry-After", b"%d" % status.details.retry_after_seconds))
    if closes:
        fields.append((b"Connection", b"close"))
    reason = HTTPStatus(status.code).phrase.encode()
    head = ResponseHead(status.code, Fields(tuple(fields)), reason).encode()
    return head + body if with_body else head


def _warning(message: str) -> bytes:
    """kubectl has words of its own for any 401; what stands here it prints beside them.

    RFC 7234 §5.5, as KEP-1693 has it.
    """
    plain = "".join(c if c.isprintable() else " " for c in message)
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 towrope "{quoted}"'.encode()
