"""The authorization endpoint as people see it: who are you, then back to the program that asked.

The request is in the address of the page from the first to the last step, and is read anew at each,
so that there is nothing in between to trust. Nobody is asked to consent: like Entra's own
programs, these are the server's.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from towrope.control.issuer import authorization
from towrope.control.issuer.authorization import (
    AuthorizationRequest,
    AuthorizationResponse,
    PageError,
    Prompt,
    RedirectError,
    ResponseMode,
)
from towrope.control.issuer.endpoints import oauth2_routes, tenant_of
from towrope.control.issuer.oauth_error import OAuthError
from towrope.control.services import Services
from towrope.control.web.entrance import Entered, Entrance, Errand
from towrope.control.web.forms import TOKEN, browser_of, here, read_form, remember
from towrope.control.web.pages import HEADERS, Trouble
from towrope.control.web.sessions import SignedIn, set_cookie

USE = "choose account"
SCRIPT = "document.forms[0].submit()"
SCRIPT_HASH = "sha256-" + b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()


class Authorize:
    def __init__(self, services: Services, entrance: Entrance) -> None:
        self._services = services
        self._entrance = entrance
        self._pages = entrance.pages
        self._forms = entrance.forms
        self._sessions = entrance.sessions

    def routes(self) -> list[Route]:
        guard = self._pages.for_people
        handlers = {"GET": guard(self._asked), "POST": guard(self._answered)}
        return oauth2_routes("authorize", handlers)

    async def _asked(self, request: Request) -> Response:
        """A program sent the browser here."""
        try:
            asked = await self._parse(request)
        except RedirectError as error:
            return self._back(error.response, application="the application")
        found = await self._sessions.current(request)
        current = found if found is not None and self._suffices(found, asked) else None
        if Prompt.NONE in asked.prompts and current is None:
            refusal = authorization.refuse(self._services, asked, authorization.login_required())
            return self._back(refusal, application=asked.client.display_name)
        if current is None:
            username = asked.login_hint or (found.user.user_principal_name if found else "")
            return self._entrance.ask(request, _errand(request, asked), username=username)
        if asked.prompts & {Prompt.SELECT_ACCOUNT, Prompt.CONSENT}:
            return self._choice(request, asked, current)
        return await self._grant(asked, current)

    async def _answered(self, request: Request) -> Response:
        """One of our forms came back."""
        try:
            asked = await self._parse(request)
        except RedirectError as error:
            raise _not_usable(error.cause) from None
        form = await read_form(request)
        errand = _errand(request, asked)
        if "account" in form:
            return await self._chosen(request, form, asked)
        entered = await self._entrance.enter(request, form, errand)
        if not isinstance(entered, Entered):
            return entered
        return set_cookie(await self._grant(asked, entered.signed_in), entered.cookie)

    async def _parse(self, request: Request) -> AuthorizationRequest:
        """Raises `Trouble` or `RedirectError`."""
        try:
            tenant_of(request, self._services.settings)
            return await authorization.parse(self._services, request.query_params.multi_items())
        except PageError as error:
            raise _not_usable(error.cause) from None
        except OAuthError as error:
            raise _not_usable(error) from None

    def _suffices(self, current: SignedIn, asked: AuthorizationRequest) -> bool:
        """Whether the request lets the session stand for a sign-in."""
        if asked.prompts & {Prompt.LOGIN, Prompt.CREATE}:
            return False
        hint = asked.login_hint.strip().lower()
        if hint and hint != current.user.user_principal_name.lower():
            return False
        age = self._services.clock() - current.authenticated_at
        return asked.max_age is None or age <= asked.max_age

    def _choice(self, request: Request, asked: AuthorizationRequest, current: SignedIn) -> Response:
        browser = browser_of(request)
        page = self._pages.page(
            "pick_account.html",
            leads_to=_leads_to(asked.redirect_uri),
            application=asked.client.display_name,
            action=here(request),
            carried={TOKEN: self._forms.token(browser, USE, current.id_hash)},
            display_name=current.user.display_name,
            user_principal_name=current.user.user_principal_name,
        )
        return remember(page, browser)

    async def _chosen(
        self, request: Request, form: Mapping[str, str], asked: AuthorizationRequest
    ) -> Response:
        current = await self._sessions.current(request)
        if current is None:
            return self._entrance.ask(request, _errand(request, asked))
        self._forms.check(request, form, USE, current.id_hash)
        if form["account"] != "current" or not self._suffices(current, asked):
            return self._entrance.ask(request, _errand(request, asked))
        return await self._grant(asked, current)

    async def _grant(self, asked: AuthorizationRequest, current: SignedIn) -> Response:
        response = await authorization.grant(
            self._services,
            asked,
            object_id=current.user.object_id,
            authenticated_at=current.authenticated_at,
        )
        return self._back(response, application=asked.client.display_name)

    def _back(self, response: AuthorizationResponse, *, application: str) -> Response:
        """To the program that asked, which listens on the person's own machine."""
        if response.response_mode is not ResponseMode.FORM_POST:
            return RedirectResponse(response.location, HTTPStatus.SEE_OTHER, headers=HEADERS)
        return self._pages.page(
            "form_post.html",
            leads_to=_leads_to(response.redirect_uri),
            script_hash=SCRIPT_HASH,
            application=application,
            redirect_uri=response.redirect_uri,
            carried=response.parameters,
            script=SCRIPT,
        )


def _errand(request: Request, asked: AuthorizationRequest) -> Errand:
    return Errand(
        application=asked.client.display_name,
        action=here(request),
        leads_to=_leads_to(asked.redirect_uri),
    )


def _leads_to(redirect_uri: str) -> tuple[str, ...]:
    """The origin, in the words of a content security policy, which has none for IPv6."""
    parts = urlsplit(redirect_uri)
    return ("http:",) if "[" in parts.netloc else (f"http://{parts.netloc}",)


def _not_usable(cause: OAuthError) -> Trouble:
    return Trouble(
        HTTPStatus.BAD_REQUEST,
        "This sign-in cannot go on",
        cause.message,
        advice="Go back to the application and start again. If that does not help, show this page"
        " to whoever made the application or runs this server.",
        code=f"AADSTS{cause.code}",
    )
