"""The one subscription and the one tenant of a server."""

from functools import wraps
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import (
    READ_SUBSCRIPTION,
    READ_TENANTS,
    Handler,
    allowed,
    forbidden,
    listed,
    visible,
)
from towrope.control.json_body import answer
from towrope.control.operation import Page, operation
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

    @operation(None, {HTTPStatus.OK: _Subscription})
    async def show(_: Request) -> Response:
        return answer(subscription)

    @operation(None, {HTTPStatus.OK: Page[_Subscription]})
    async def list_all(request: Request) -> Response:
        is_visible = visible(request, READ_SUBSCRIPTION)(subscription.id)
        return whole([subscription] if is_visible else [])

    @operation(None, {HTTPStatus.OK: Page[_Tenant]})
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


def for_readers(settings: Settings, action: str, handler: Handler) -> Handler:
    """`handler` of what is a part of the subscription itself, for those who may read that: as with
    Azure, everybody who holds something anywhere in it."""

    @wraps(handler)
    async def checked(request: Request) -> Response:
        if not visible(request, READ_SUBSCRIPTION)(f"/subscriptions/{settings.subscription}"):
            raise forbidden(request, action, request.scope["path"])
        return await handler(request)

    return listed(action, checked)
