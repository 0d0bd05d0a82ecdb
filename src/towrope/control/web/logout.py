"""Signing out at the browser. Programs that were signed in keep their tokens until they end."""

from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from towrope.control.issuer import redirects
from towrope.control.issuer.endpoints import oauth2_routes, tenant_of
from towrope.control.issuer.oauth_error import OAuthError
from towrope.control.services import Services
from towrope.control.web.pages import HEADERS, Pages, Trouble
from towrope.control.web.sessions import Sessions

STATE_LIMIT = 4096


class Logout:
    def __init__(self, services: Services, pages: Pages, sessions: Sessions) -> None:
        self._services = services
        self._pages = pages
        self._sessions = sessions

    def routes(self) -> list[Route]:
        return oauth2_routes("logout", {"GET": self._pages.for_people(self._logout)})

    async def _logout(self, request: Request) -> Response:
        """OpenID Connect RP-Initiated Logout; who links here from elsewhere signs nobody in."""
        try:
            tenant_of(request, self._services.settings)
        except OAuthError as error:
            raise Trouble(HTTPStatus.NOT_FOUND, "No such place", error.message) from None
        response = self._goodbye(request)
        await self._sessions.end(request, response)
        return response

    def _goodbye(self, request: Request) -> Response:
        """Back to a program on the person's own machine, or a page; nobody else is sent to."""
        target = request.query_params.get("post_logout_redirect_uri", "")
        if redirects.is_loopback(target):
            state = request.query_params.get("state", "")[:STATE_LIMIT]
            query = f"?{urlencode({'state': state})}" if state else ""
            return RedirectResponse(target + query, HTTPStatus.SEE_OTHER, headers=HEADERS)
        return self._pages.page(
            "done.html",
            heading="You have signed out",
            text="This browser is not signed in any more. You may close this window.",
        )
