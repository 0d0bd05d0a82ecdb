"""Forms that only our own pages can send.

Three things must agree: the origin that the browser names, a cookie of its own, and a token in the
page that is bound to that cookie and to what the form is for (double submit, with a keyed hash).
"""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from towrope.control.json_body import read
from towrope.control.settings import Settings
from towrope.control.web.pages import Trouble
from towrope.control.web.signatures import Signatures

COOKIE = "__Host-towrope-form"
COOKIE_BYTES = 32
COOKIE_LIMIT = 64
TOKEN = "form_token"  # noqa: S105 - the name of a field
FORM_LIMIT = 16 * 1024
FIELD_LIMIT = 16


class Forms:
    def __init__(self, settings: Settings) -> None:
        self._origin = str(settings.url)
        self._signatures = Signatures(settings.master)

    def token(self, browser: str, use: str, *bound: str) -> str:
        """For a form in a page for `browser`, which `remember` tells who it is."""
        return self._signatures.sign(f"form {use}", browser, *bound)

    def check(self, request: Request, form: Mapping[str, str], use: str, *bound: str) -> str:
        """The browser whose form it is. Raises `Trouble` (403)."""
        self._check_origin(request)
        browser = request.cookies.get(COOKIE, "")
        token = form.get(TOKEN, "")
        if not browser or not self._signatures.is_good(token, f"form {use}", browser, *bound):
            raise _not_ours(request)
        return browser

    def _check_origin(self, request: Request) -> None:
        origin = request.headers.get("origin")
        if origin not in (None, self._origin, f"https://{request.headers.get('host')}"):
            raise _not_ours(request)
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise _not_ours(request)


def browser_of(request: Request) -> str:
    """What a browser is known by before anybody has signed in at it; a new one where there is
    none."""
    known = request.cookies.get(COOKIE, "")
    if known and len(known) <= COOKIE_LIMIT:
        return known
    return secrets.token_urlsafe(COOKIE_BYTES)


def remember(response: Response, browser: str) -> Response:
    response.set_cookie(COOKIE, browser, secure=True, httponly=True, samesite="lax", path="/")
    return response


async def read_form(request: Request) -> Mapping[str, str]:
    """Each field once. Raises `Trouble` (400), `TooLarge` or `TooSlow`."""
    body = await read(request, limit=FORM_LIMIT)
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=FIELD_LIMIT, errors="strict"
        )
    except ValueError:
        raise _no_form() from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _no_form()
    return form


def here(request: Request) -> str:
    """The path and the query of the request, for a link that tries again."""
    path, query = request.scope["path"], request.scope["query_string"].decode("ascii", "replace")
    return f"{path}?{query}" if query else path


def _not_ours(request: Request) -> Trouble:
    return Trouble(
        HTTPStatus.FORBIDDEN,
        "This page is out of date",
        "The form does not belong to a page that this server has just shown to this browser.",
        advice="Try again. If that does not help, allow cookies for this site.",
        again=here(request),
    )


def _no_form() -> Trouble:
    return Trouble(
        HTTPStatus.BAD_REQUEST,
        "That is not a form",
        "What the browser sent cannot be read as one of our forms.",
        advice="Go back and send it again.",
    )
