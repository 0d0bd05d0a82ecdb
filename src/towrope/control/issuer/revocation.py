"""The revocation endpoint (RFC 7009): a client needs a refresh token no more.

With the token ends the whole sign-in that it came from. Access tokens are not kept here, so they
last until they end; what ends them at once is that the account's sign-ins are revoked.
"""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.issuer.client_authentication import client_form, identify
from towrope.control.issuer.endpoints import oauth2_routes, tenant_of
from towrope.control.issuer.forms import read_form, required
from towrope.control.issuer.oauth_error import NO_STORE, invalid_grant, told
from towrope.control.services import Services
from towrope.control.store import refresh_tokens


def routes(services: Services) -> list[Route]:
    async def revoke(request: Request) -> Response:
        tenant_of(request, services.settings)
        form = await read_form(request)
        token = required(form, "token")
        client_id = await identify(services, client_form(request, form))
        async with services.database.writing() as connection:
            found = await refresh_tokens.find(connection, token)
            if found is not None and found.client_id == client_id:
                await refresh_tokens.end_family(connection, found.family)
        if found is not None and found.client_id != client_id:
            raise invalid_grant("The token was not issued to this client.", code=700082)
        # An unknown token is one that nobody can use (§2.2).
        return Response(status_code=HTTPStatus.OK, headers=NO_STORE)

    return oauth2_routes("revoke", {"POST": told(revoke, services.clock)})
