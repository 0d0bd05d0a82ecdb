"""Where the issuer is reached: Entra's paths, with a tenant, and those of AD FS, without one.

Azure's clients look nothing up at Microsoft for an address that ends in `/adfs`.
"""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import Route

from towrope.control.authority import Handler
from towrope.control.issuer.oauth_error import invalid_request
from towrope.control.routing import CaselessRoute
from towrope.control.settings import Settings

MULTI_TENANT = ("organizations", "common")
"""Names for whatever tenant the user is of; there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The addresses of one shape: `oauth2` before `/token`, and of the key set."""

    oauth2: str
    keys: str

    def endpoint(self, name: str) -> str:
        return f"{self.oauth2}/{name}"


def shape_of(settings: Settings, tenant: str | None) -> Shape:
    """With a tenant as the client named it, or without one."""
    if tenant is None:
        base = f"{settings.url}/adfs"
        return Shape(oauth2=f"{base}/oauth2", keys=f"{base}/discovery/keys")
    base = f"{settings.url}/{tenant}"
    return Shape(oauth2=f"{base}/oauth2/v2.0", keys=f"{base}/discovery/v2.0/keys")


def token_endpoints(settings: Settings) -> frozenset[str]:
    """Every address of the token endpoint."""
    tenants = (None, settings.tenant, *MULTI_TENANT)
    return frozenset(shape_of(settings, tenant).endpoint("token") for tenant in tenants)


def oauth2_routes(name: str, handlers: dict[str, Handler]) -> list[Route]:
    """An endpoint (`authorize`, `token`, ...) at both of its paths."""
    return [
        CaselessRoute(f"/{{tenant}}/oauth2/v2.0/{name}", handlers),
        CaselessRoute(f"/adfs/oauth2/{name}", handlers),
    ]


def tenant_of(request: Request, settings: Settings) -> str | None:
    """The tenant in the path, if the path has one. Raises `OAuthError`."""
    given: str | None = request.path_params.get("tenant")
    if given is None:
        return None
    if given.lower() not in (settings.tenant, *MULTI_TENANT):
        raise invalid_request(
            f"The tenant is not one of this server; expected '{settings.tenant}'.", code=90002
        )
    return given.lower()
