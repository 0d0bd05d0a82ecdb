"""The errors of the resource API: ARM's codes, in `{"error": {"code", "message"}}`."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from towrope.control.json_body import answer
from towrope.wire.errors import Hop, TowropeError

CODES = {
    HTTPStatus.BAD_REQUEST: "InvalidRequestContent",
    HTTPStatus.UNAUTHORIZED: "AuthenticationFailed",
    HTTPStatus.FORBIDDEN: "AuthorizationFailed",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestContentTooLarge",
}


class ArmError(TowropeError):
    """A refusal with the status and the code that ARM gives for it."""

    def __init__(self, answer: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message, hop=Hop.SERVER)
        self.answer = answer
        self.code = code


class Error(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    error: Error


def envelope(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    body = Envelope(error=Error(code=code, message=message))
    return answer(body, status=status, headers=headers)


def unauthenticated(message: str) -> ArmError:
    return ArmError(
        HTTPStatus.UNAUTHORIZED, "AuthenticationFailed", f"Authentication failed. {message}"
    )


def invalid_content(message: str) -> ArmError:
    return ArmError(HTTPStatus.BAD_REQUEST, "InvalidRequestContent", message)


def invalid_name(name: str, rule: str) -> ArmError:
    return ArmError(
        HTTPStatus.BAD_REQUEST,
        "InvalidResourceName",
        f"The provided resource name '{name}' is invalid: {rule}.",
    )


def group_not_found(group: str) -> ArmError:
    return ArmError(
        HTTPStatus.NOT_FOUND,
        "ResourceGroupNotFound",
        f"Resource group '{group}' could not be found.",
    )


def resource_not_found(kind: str, name: str, group: str) -> ArmError:
    return ArmError(
        HTTPStatus.NOT_FOUND,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{group}' was not found.",
    )
