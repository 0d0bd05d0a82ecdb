"""Pages from templates, with the headers that bind every one of them, and errors for people."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from towrope.control.json_body import TooLarge, TooSlow
from towrope.control.settings import Settings
from towrope.wire.errors import TowropeError

_log = structlog.get_logger()

HEADERS = {
    "x-frame-options": "DENY",
    # Not 'no-referrer', with which a browser leaves out its own origin from our forms too.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

Handler = Callable[[Request], Awaitable[Response]]


class Trouble(Exception):
    """What a person reads in place of the page: what is wrong, and what to do.

    `code` is the kind of trouble in Entra's numbers; `again` is a path of this server that can be
    tried again.
    """

    def __init__(
        self,
        status: HTTPStatus,
        heading: str,
        text: str,
        *,
        advice: str = "",
        code: str = "",
        again: str | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.heading = heading
        self.text = text
        self.advice = advice
        self.code = code
        self.again = again


class Pages:
    def __init__(self, settings: Settings) -> None:
        self._environment = Environment(
            loader=PackageLoader("towrope.control.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["server"] = settings.url.host
        self._environment.globals["problem"] = ""

    def page(
        self,
        template: str,
        *,
        status: int = HTTPStatus.OK,
        leads_to: Sequence[str] = (),
        script_hash: str | None = None,
        **values: Any,
    ) -> Response:
        """`leads_to`: the origins beside ours that a form of the page may end up at."""
        text = self._environment.get_template(template).render(values)
        policy = content_security_policy(leads_to, script_hash)
        headers = {**HEADERS, "content-security-policy": policy}
        return HTMLResponse(text, status_code=status, headers=headers)

    def for_people(self, handler: Handler) -> Handler:
        """`handler`, whose failures are pages."""

        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:
                return self._trouble(_told(error), request)

        return guarded

    def _trouble(self, trouble: Trouble, request: Request) -> Response:
        return self.page(
            "error.html",
            status=trouble.status,
            heading=trouble.heading,
            text=trouble.text,
            advice=trouble.advice,
            code=trouble.code,
            again=trouble.again,
            request_id=request.scope["towrope.request_id"],
        )


def content_security_policy(leads_to: Sequence[str], script_hash: str | None) -> str:
    script = f" script-src '{script_hash}';" if script_hash else ""
    actions = " ".join(["'self'", *leads_to])
    return (
        f"default-src 'none';{script} style-src 'self'; img-src 'self'; form-action {actions};"
        " frame-ancestors 'none'; base-uri 'none'"
    )


def _told(error: Exception) -> Trouble:
    match error:
        case Trouble():
            return error
        case TooLarge() | TooSlow():
            return Trouble(
                HTTPStatus.BAD_REQUEST,
                "That did not arrive",
                "The form was too large, or it did not arrive in time.",
                advice="Go back and send it again.",
            )
        case TowropeError():
            return Trouble(HTTPStatus(error.status), "That did not work", error.message)
        case _:
            _log.error("request failed", exc_info=error)
            return Trouble(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "Something broke",
                "The server failed, and it is not your fault.",
                advice="Try again soon. If it stays so, give the request id below to whoever"
                " runs this server; its log has the cause.",
            )
