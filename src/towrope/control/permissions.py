"""`Microsoft.Authorization/permissions`: what the caller may do at a scope, by its roles there.

It tells of nobody else, and looks nothing up: where there is nothing, the roles of what it would
lie in are shown.
"""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import caller, listed
from towrope.control.operation import Page, operation
from towrope.control.paging import whole
from towrope.control.roles.definition import Permission
from towrope.control.roles.scope import Scope
from towrope.control.routing import arm_route
from towrope.control.scope_routes import PROVIDER, SCOPES
from towrope.control.services import Services


class PermissionShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


def shape_of(permission: Permission) -> PermissionShape:
    return PermissionShape(
        actions=permission.actions,
        not_actions=permission.not_actions,
        data_actions=permission.data_actions,
        not_data_actions=permission.not_data_actions,
    )


def routes(services: Services) -> list[Route]:
    path, action = f"{PROVIDER}/permissions", "Microsoft.Authorization/permissions/read"
    return [
        arm_route(services.settings, scope + path, get=listed(action, _list)) for scope in SCOPES
    ]


@operation(None, {HTTPStatus.OK: Page[PermissionShape]})
async def _list(request: Request) -> Response:
    asked = Scope(path=request.scope["path"])
    held = [each for each in caller(request).held if each.scope.covers(asked)]
    return whole([shape_of(each) for one in held for each in one.role.permissions])
