"""The one subscription and the one tenant of a server."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import (
    READ_SUBSCRIPTION,
    READ_TENANTS,
    allowed,
    listed,
    visible,
)
from towrope.control.json_body import answer
from towrope.control.paging import whole
from towrope.control.routing import SUBSCRIPTION, arm_route
from towrope.control.settings import Settings

DISPLAY_NAME = "Towrope"


class _Subscription(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    subscription_id: str
    tenant_id: str
    display_name: str = DISPLAY_NAME
    state: str = "Enabled"
    authorization_source: str = "RoleBased"


class _Tenant(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    tenant_id: str
    display_name: str = DISPLAY_NAME
    tenant_category: str = "Home"


def routes(settings: Settings) -> list[Route]:
    subscription = _Subscription(
        id=f"/subscriptions/{settings.subscription}",
        subscription_id=settings.subscription,
        tenant_id=settings.tenant,
    )
    tenant = _Tenant(id=f"/tenants/{settings.tenant}", tenant_id=settings.tenant)

    async def show(_: Request) -> Response:
        return answer(subscription)

    async def list_all(request: Request) -> Response:
        is_visible = visible(request, READ_SUBSCRIPTION)(subscription.id)
        return whole([subscription] if is_visible else [])

    async def list_tenants(_: Request) -> Response:
        return whole([tenant])

    return [
        arm_route(
            settings,
            "/subscriptions",
            get=listed(READ_SUBSCRIPTION, list_all),
        ),
        arm_route(settings, SUBSCRIPTION, get=allowed(READ_SUBSCRIPTION, show)),
        arm_route(settings, "/tenants", get=allowed(READ_TENANTS, list_tenants)),
    ]
