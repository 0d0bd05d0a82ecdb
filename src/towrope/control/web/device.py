"""The page for device codes: the code, who you are, and whether you started this (RFC 8628 §5.4).

A code is never sent by itself, not even where the address brings one: somebody else may have made
the link. Wrong codes are counted, so that nobody finds a stranger's by trying.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import throttle
from towrope.control.issuer import device_authorization
from towrope.control.issuer.device_authorization import LIFETIME, PendingSignIn
from towrope.control.routing import CaselessRoute
from towrope.control.services import Services
from towrope.control.throttle import Throttle
from towrope.control.web.entrance import Entered, Entrance, Errand
from towrope.control.web.forms import TOKEN, browser_of, read_form, remember
from towrope.control.web.sessions import SignedIn, set_cookie
from towrope.control.web.sign_in import address_of

_log = structlog.get_logger()

PATH = "/device"
ENTER, CONFIRM = "device code", "device confirmation"
CODE_LIMIT = 32
ENDED = "You are not signed in any more. Enter the code again."
UNKNOWN = (
    "This code is not known. Check it; a code is good for 15 minutes, and once. After many wrong"
    " codes, wait some minutes."
)


class Device:
    def __init__(self, services: Services, entrance: Entrance) -> None:
        self._services = services
        self._entrance = entrance
        self._pages = entrance.pages
        self._forms = entrance.forms
        self._sessions = entrance.sessions
        self._throttle = Throttle(services.database, clock=services.clock)

    def routes(self) -> list[Route]:
        guard = self._pages.for_people
        return [CaselessRoute(PATH, {"GET": guard(self._asked), "POST": guard(self._answered)})]

    async def _asked(self, request: Request) -> Response:
        return self._ask(request, request.query_params.get("user_code", ""))

    async def _answered(self, request: Request) -> Response:
        form = await read_form(request)
        user_code = form.get("user_code", "").strip().upper()[:CODE_LIMIT]
        if "answer" in form:
            return await self._settled(request, form, user_code)
        if "username" in form:
            return await self._entered(request, form, user_code)
        self._forms.check(request, form, ENTER)
        pending = await self._find(request, user_code)
        if pending is None:
            return self._ask(request, user_code, problem=UNKNOWN)
        current = await self._sessions.current(request)
        if current is None:
            return self._entrance.ask(request, _errand(pending, user_code))
        return self._confirm(request, pending, user_code, current)

    async def _entered(self, request: Request, form: Mapping[str, str], user_code: str) -> Response:
        """The person signs in on the way."""
        self._entrance.check(request, form)
        pending = await self._find(request, user_code)
        if pending is None:
            return self._ask(request, user_code, problem=UNKNOWN)
        entered = await self._entrance.enter(request, form, _errand(pending, user_code))
        if not isinstance(entered, Entered):
            return entered
        page = self._confirm(request, pending, user_code, entered.signed_in)
        return set_cookie(page, entered.cookie)

    async def _find(self, request: Request, user_code: str) -> PendingSignIn | None:
        """What waits under the code. One that is wrong counts, for its sender and for all."""
        counted = (throttle.code_address(address_of(request)), throttle.code_everywhere())
        if not await self._throttle.admit(*counted):
            return None
        pending = await device_authorization.find(self._services, user_code)
        if pending is not None:
            await self._throttle.succeeded(*counted)
        return pending

    async def _settled(self, request: Request, form: Mapping[str, str], user_code: str) -> Response:
        """The person has seen who asks, and said what to do."""
        current = await self._sessions.current(request)
        if current is None:
            return self._ask(request, user_code, problem=ENDED)
        self._forms.check(request, form, CONFIRM, user_code, current.id_hash)
        pending = await self._find(request, user_code)
        if pending is None:
            return self._ask(request, user_code, problem=UNKNOWN)
        match form["answer"]:
            case "continue":
                return await self._approve(request, user_code, current, pending)
            case "another":
                return self._entrance.ask(request, _errand(pending, user_code))
            case _:
                return await self._deny(user_code)

    async def _approve(
        self, request: Request, user_code: str, current: SignedIn, pending: PendingSignIn
    ) -> Response:
        still_waited = await device_authorization.approve(
            self._services,
            user_code,
            object_id=current.user.object_id,
            authenticated_at=current.authenticated_at,
        )
        if not still_waited:
            return self._ask(request, user_code, problem=UNKNOWN)
        _log.info(
            "device sign-in approved",
            object_id=current.user.object_id,
            client_id=pending.client.client_id,
            address=address_of(request),
        )
        return self._done(
            "You have signed in",
            f"{pending.client.display_name} goes on by itself. You may close this window.",
        )

    async def _deny(self, user_code: str) -> Response:
        await device_authorization.deny(self._services, user_code)
        return self._done(
            "Cancelled", "Nobody was signed in with this code. You may close this window."
        )

    def _ask(self, request: Request, user_code: str, *, problem: str = "") -> Response:
        browser = browser_of(request)
        page = self._pages.page(
            "device_code.html",
            action=PATH,
            carried={TOKEN: self._forms.token(browser, ENTER)},
            user_code=user_code[:CODE_LIMIT],
            problem=problem,
        )
        return remember(page, browser)

    def _confirm(
        self, request: Request, pending: PendingSignIn, user_code: str, current: SignedIn
    ) -> Response:
        browser = browser_of(request)
        token = self._forms.token(browser, CONFIRM, user_code, current.id_hash)
        page = self._pages.page(
            "device_confirm.html",
            action=PATH,
            carried={TOKEN: token, "user_code": user_code},
            application=pending.client.display_name,
            user_code=user_code,
            asked_from=pending.asked_from,
            asked_at=datetime.fromtimestamp(pending.expires_at - LIFETIME, UTC),
            user_principal_name=current.user.user_principal_name,
        )
        return remember(page, browser)

    def _done(self, heading: str, text: str) -> Response:
        return self._pages.page("done.html", status=HTTPStatus.OK, heading=heading, text=text)


def _errand(pending: PendingSignIn, user_code: str) -> Errand:
    return Errand(
        application=pending.client.display_name, action=PATH, carried={"user_code": user_code}
    )
