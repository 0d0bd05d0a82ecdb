"""Refusals with Microsoft Graph's codes; they leave in `{"error": {"code", "message"}}`."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from sqlalchemy.exc import IntegrityError

from towrope.control.arm_error import ArmError
from towrope.wire.errors import foreign


def bad_request(message: str) -> ArmError:
    return ArmError(HTTPStatus.BAD_REQUEST, "Request_BadRequest", message)


def not_found(name: str) -> ArmError:
    return ArmError(
        HTTPStatus.NOT_FOUND,
        "Request_ResourceNotFound",
        f"Resource '{foreign(name)}' does not exist or one of its queried reference-property"
        " objects are not present.",
    )


def denied() -> ArmError:
    return ArmError(
        HTTPStatus.FORBIDDEN,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )


def refused(message: str) -> ArmError:
    """What nobody may do, whatever they may."""
    return ArmError(HTTPStatus.FORBIDDEN, "Authorization_RequestDenied", message)


def taken(what: str) -> ArmError:
    return ArmError(
        HTTPStatus.CONFLICT,
        "ObjectConflict",
        f"Another object with the same value for property {what} already exists.",
    )


def already_referenced() -> ArmError:
    return bad_request(
        "One or more added object references already exist for the following modified properties:"
        " 'members'."
    )


def too_many(what: str, limit: int) -> ArmError:
    return ArmError(
        HTTPStatus.BAD_REQUEST,
        "Directory_ResultSizeLimitExceeded",
        f"The result size limit is exceeded: there are more than {limit} {what}.",
    )


@contextmanager
def conflicts_as(refusal: ArmError) -> Iterator[None]:
    """What another request made in the meantime is `refusal`."""
    try:
        yield
    except IntegrityError:
        raise refusal from None
