"""From a stranger to a session: the pages for name and password, and for a new password.

Whatever somebody signs in for stays where it was: the same address, and fields that are carried.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from towrope.control import passwords
from towrope.control.services import Services
from towrope.control.store.users import User
from towrope.control.web.forms import TOKEN, Forms, browser_of, remember
from towrope.control.web.pages import Pages, Trouble
from towrope.control.web.password_change import PasswordChange
from towrope.control.web.sessions import Sessions, SignedIn
from towrope.control.web.sign_in import REFUSAL, Refused, SignIn

USE = "sign in"
NEW_PASSWORD = "new_password"  # noqa: S105 - the name of a field


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What somebody signs in for."""

    application: str
    action: str
    """Where the forms go: a path of this server."""
    carried: Mapping[str, str] = field(default_factory=dict)
    leads_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """Somebody has just signed in; `cookie` is for `sessions.set_cookie`."""

    signed_in: SignedIn
    cookie: str = field(repr=False)


class Entrance:
    def __init__(self, services: Services, pages: Pages, forms: Forms, sessions: Sessions) -> None:
        self.pages = pages
        self.forms = forms
        self.sessions = sessions
        self._sign_in = SignIn(services)
        self._change = PasswordChange(services)

    def ask(
        self, request: Request, errand: Errand, *, username: str = "", problem: str = ""
    ) -> Response:
        """The page for name and password."""
        return self._page(
            request, errand, "sign_in.html", USE, username=username[:256], problem=problem
        )

    def check(self, request: Request, form: Mapping[str, str]) -> str:
        """The browser that one of the two forms is from. Raises `Trouble`."""
        return self.forms.check(request, form, NEW_PASSWORD if "ticket" in form else USE)

    async def enter(
        self, request: Request, form: Mapping[str, str], errand: Errand
    ) -> Entered | Response:
        """What one of the two forms leads to: a session, or a page. Raises `Trouble`."""
        browser = self.check(request, form)
        if "ticket" in form:
            return await self._with_new_password(request, form, errand, browser)
        username = form.get("username", "")
        judged = await self._sign_in.judge(request, username, form.get("password", ""))
        if isinstance(judged, Refused):
            return self.ask(request, errand, username=username, problem=REFUSAL)
        if judged.user.must_change_password:
            return self._ask_new_password(
                request, errand, judged.user, self._change.ticket(judged.user, browser)
            )
        return await self._entered(request, judged.user)

    async def _with_new_password(
        self, request: Request, form: Mapping[str, str], errand: Errand, browser: str
    ) -> Entered | Response:
        user = await self._change.holder(form["ticket"], browser)
        if user is None:
            raise _too_late(errand)
        new = form.get(NEW_PASSWORD, "")
        problem = await self._change.complaint(user, new, form.get("new_password_again", ""))
        if problem is not None:
            return self._ask_new_password(request, errand, user, form["ticket"], problem)
        changed = await self._change.change(user, new)
        if changed is None:
            raise _too_late(errand)
        return await self._entered(request, changed)

    async def _entered(self, request: Request, user: User) -> Entered:
        signed_in, cookie = await self.sessions.begin(request, user)
        return Entered(signed_in=signed_in, cookie=cookie)

    def _ask_new_password(
        self, request: Request, errand: Errand, user: User, ticket: str, problem: str = ""
    ) -> Response:
        return self._page(
            request,
            errand,
            "change_password.html",
            NEW_PASSWORD,
            user_principal_name=user.user_principal_name,
            ticket=ticket,
            problem=problem,
            shortest=passwords.SHORTEST,
            longest=passwords.LONGEST,
        )

    def _page(
        self, request: Request, errand: Errand, template: str, use: str, **values: Any
    ) -> Response:
        browser = browser_of(request)
        page = self.pages.page(
            template,
            leads_to=errand.leads_to,
            application=errand.application,
            action=errand.action,
            carried={**errand.carried, TOKEN: self.forms.token(browser, use)},
            **values,
        )
        return remember(page, browser)


def _too_late(errand: Errand) -> Trouble:
    return Trouble(
        HTTPStatus.FORBIDDEN,
        "That took too long",
        "The page for the new password is not good any more.",
        advice="Sign in again with the password that you were given.",
        again=errand.action,
    )
