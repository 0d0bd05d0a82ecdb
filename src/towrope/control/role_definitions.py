"""`Microsoft.Authorization/roleDefinitions`: the built-in roles, and custom ones.

A custom role is its authors' wherever it can be assigned: to make, to change or to delete it takes
the right to do so at each of its assignable scopes, for it changes what its holders may do there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import authorization_filter, custom_roles, policy_changes, scope_routes
from towrope.control.arm_error import ArmError
from towrope.control.authority import allowed, caller, forbidden, may, visible
from towrope.control.authorization_filter import Conditions
from towrope.control.graph.errors import conflicts_as
from towrope.control.graph.names import as_guid
from towrope.control.json_body import answer, decode
from towrope.control.operation import Page, operation
from towrope.control.paging import whole
from towrope.control.permissions import PermissionShape, shape_of
from towrope.control.role_ids import COLLECTION, role_resource_id
from towrope.control.roles.built_in import BUILT_IN_ROLES
from towrope.control.roles.definition import Permission, RoleDefinition, RoleKind
from towrope.control.roles.scope import Scope
from towrope.control.routing import arm_route
from towrope.control.services import Services
from towrope.control.store import role_assignments
from towrope.control.store import role_definitions as store
from towrope.control.store.role_definitions import Authorship, CustomRole
from towrope.wire.errors import foreign

TYPE = "Microsoft.Authorization/roleDefinitions"
READ, WRITE, DELETE = f"{TYPE}/read", f"{TYPE}/write", f"{TYPE}/delete"
FILTERS = ("roleName", "type", "atScopeAndBelow()")
_BUILT_IN = {role.id: role for role in BUILT_IN_ROLES}


class _Given(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    role_name: str
    assignable_scopes: tuple[str, ...]
    permissions: tuple[PermissionShape, ...]
    description: str | None = None
    type: RoleKind = RoleKind.CUSTOM


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    properties: _Given


class _Properties(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    role_name: str
    type: RoleKind
    description: str
    assignable_scopes: tuple[str, ...]
    permissions: tuple[PermissionShape, ...]
    created_on: datetime | None = None
    updated_on: datetime | None = None
    created_by: str | None = None
    updated_by: str | None = None


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    properties: _Properties
    type: str = TYPE


class RoleDefinitions:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        lists = [
            arm_route(
                self._settings, scope + COLLECTION, get=scope_routes.guard(scope, READ, self._list)
            )
            for scope in scope_routes.SCOPES
        ]
        each = [
            arm_route(
                self._settings,
                f"{scope}{COLLECTION}/{{role}}",
                get=scope_routes.guard(scope, READ, self._show),
                put=allowed(WRITE, self._put),
                delete=allowed(DELETE, self._delete),
            )
            for scope in scope_routes.SCOPES
        ]
        return [*lists, *each]

    def _shape(
        self, role: RoleDefinition, asked: Scope, authorship: Authorship | None = None
    ) -> _Shape:
        return _Shape(
            id=role_resource_id(role.id, asked, self._settings),
            name=role.id,
            properties=_Properties(
                role_name=role.name,
                type=role.kind,
                description=role.description,
                assignable_scopes=role.assignable_scopes,
                permissions=tuple(map(shape_of, role.permissions)),
                created_on=_time(authorship.created_on) if authorship else None,
                updated_on=_time(authorship.updated_on) if authorship else None,
                created_by=authorship.created_by if authorship else None,
                updated_by=authorship.updated_by if authorship else None,
            ),
        )

    @operation(None, {HTTPStatus.OK: Page[_Shape]}, query=("$filter",))
    async def _list(self, request: Request) -> Response:
        conditions = authorization_filter.asked(request, FILTERS)
        async with self._services.database.reading() as connection:
            scope = await scope_routes.named(connection, request, self._settings)
            custom = await store.every(connection)
        shapes = [self._shape(role, scope) for role in BUILT_IN_ROLES]
        shapes += [
            self._shape(each.role, scope, each.authorship)
            for each in custom
            if _is_visible(request, each.role, scope, with_below="atScopeAndBelow()" in conditions)
        ]
        return whole([each for each in shapes if _is_chosen(each, conditions)])

    @operation(None, {HTTPStatus.OK: _Shape})
    async def _show(self, request: Request) -> Response:
        role_id = request.path_params["role"].lower()
        async with self._services.database.reading() as connection:
            scope = await scope_routes.named(connection, request, self._settings)
            found = await store.find(connection, role_id)
        if role_id in _BUILT_IN:
            return answer(self._shape(_BUILT_IN[role_id], scope))
        if found is None or not _is_visible(request, found.role, scope, with_below=True):
            raise _not_found(role_id)
        return answer(self._shape(found.role, scope, found.authorship))

    @operation(_Body, {HTTPStatus.CREATED: _Shape})
    async def _put(self, request: Request) -> Response:
        """Answers 201 to a change too, as Azure does and its clients expect."""
        role_id = _changeable_id(request.path_params["role"])
        wanted = self._wanted(role_id, (await decode(request, _Body)).properties)
        _check_author(request, WRITE, wanted)
        with conflicts_as(_same_name(wanted)):
            async with self._services.database.writing() as connection:
                scope = await scope_routes.named(connection, request, self._settings)
                await _check_name(connection, wanted)
                there = await store.find(connection, role_id)
                if there is not None:
                    _check_author(request, WRITE, there.role)
                made = CustomRole(role=wanted, authorship=self._authorship(request, there))
                await (store.put if there else store.add)(connection, made)
                held = await _scopes_held(connection, role_id)
                _check_still_assignable(wanted, held)
        await policy_changes.announce(self._services, *held)
        return answer(self._shape(wanted, scope, made.authorship), status=HTTPStatus.CREATED)

    def _wanted(self, role_id: str, given: _Given) -> RoleDefinition:
        """The role that a PUT asks for. Raises `ArmError` (400)."""
        if given.type is not RoleKind.CUSTOM:
            raise _built_in(given.role_name)
        permissions = [
            Permission(
                actions=each.actions,
                not_actions=each.not_actions,
                data_actions=each.data_actions,
                not_data_actions=each.not_data_actions,
            )
            for each in given.permissions
        ]
        return RoleDefinition(
            id=role_id,
            name=custom_roles.name(given.role_name),
            description=custom_roles.description(given.description or ""),
            permissions=custom_roles.permissions(permissions),
            assignable_scopes=custom_roles.assignable_scopes(
                given.assignable_scopes, subscription=self._settings.subscription
            ),
        )

    def _authorship(self, request: Request, there: CustomRole | None) -> Authorship:
        now, by = int(self._services.clock()), caller(request).object_id
        if there is not None:
            return replace(there.authorship, updated_on=now, updated_by=by)
        return Authorship(created_on=now, created_by=by, updated_on=now, updated_by=by)

    @operation(None, {HTTPStatus.OK: _Shape, HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        role_id = _changeable_id(request.path_params["role"])
        async with self._services.database.writing() as connection:
            scope = await scope_routes.named(connection, request, self._settings)
            there = await store.find(connection, role_id)
            if there is None or not _is_visible(request, there.role, scope, with_below=True):
                return Response(status_code=HTTPStatus.NO_CONTENT)
            _check_author(request, DELETE, there.role)
            if await role_assignments.with_role(connection, role_id):
                raise _has_assignments()
            await store.remove(connection, role_id)
        return answer(self._shape(there.role, scope, there.authorship))


# What is shown.


def _is_visible(request: Request, role: RoleDefinition, scope: Scope, *, with_below: bool) -> bool:
    """Whether a custom role can be assigned at `scope`, or below it, and may be read there."""
    assignable = [Scope(path=each) for each in role.assignable_scopes]
    is_related = any(
        each.covers(scope) or (with_below and scope.covers(each)) for each in assignable
    )
    is_readable = visible(request, READ)
    return is_related and any(is_readable(each.path) for each in (scope, *assignable))


def _is_chosen(shape: _Shape, conditions: Conditions) -> bool:
    properties = shape.properties
    facts = {"roleName": properties.role_name, "type": properties.type}
    return all(
        value.lower() == conditions[name].lower()
        for name, value in facts.items()
        if name in conditions
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# What is allowed.


def _changeable_id(given: str) -> str:
    """A GUID that no built-in role has. Raises `ArmError` (400)."""
    found = as_guid(given)
    if found is None:
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "InvalidRoleDefinitionId",
            f"The role definition ID '{foreign(given)}' is not valid: it must be a GUID.",
        )
    if found in _BUILT_IN:
        raise _built_in(_BUILT_IN[found].name)
    return found


def _check_author(request: Request, action: str, role: RoleDefinition) -> None:
    """Raises `ArmError` (403)."""
    for each in role.assignable_scopes:
        if not may(caller(request), action, Scope(path=each)):
            raise forbidden(request, action, each)
    if role.is_own and not caller(request).is_administrator:
        raise ArmError(
            HTTPStatus.FORBIDDEN,
            "AuthorizationFailed",
            "A role that allows actions of 'Towrope.…' is made, changed and deleted by"
            " administrators of the server alone.",
        )


async def _check_name(connection: AsyncConnection, wanted: RoleDefinition) -> None:
    """Raises `ArmError` (409)."""
    same = await store.find_by_name(connection, wanted.name)
    is_built_in = any(role.name.lower() == wanted.name.lower() for role in BUILT_IN_ROLES)
    if is_built_in or (same is not None and same.role.id != wanted.id):
        raise _same_name(wanted)


async def _scopes_held(connection: AsyncConnection, role_id: str) -> Sequence[Scope]:
    """Where the role is assigned."""
    return [each.scope for each in await role_assignments.with_role(connection, role_id)]


def _check_still_assignable(wanted: RoleDefinition, held: Iterable[Scope]) -> None:
    """Raises `ArmError` (400)."""
    for scope in held:
        if not any(Scope(path=each).covers(scope) for each in wanted.assignable_scopes):
            raise ArmError(
                HTTPStatus.BAD_REQUEST,
                "RoleDefinitionHasAssignments",
                f"The role is assigned at '{scope.path}', which would be none of its assignable"
                " scopes. Delete that role assignment first.",
            )


# Refusals.


def _not_found(role_id: str) -> ArmError:
    return ArmError(
        HTTPStatus.NOT_FOUND,
        "RoleDefinitionDoesNotExist",
        f"The specified role definition with ID '{foreign(role_id)}' does not exist.",
    )


def _built_in(name: str) -> ArmError:
    return ArmError(
        HTTPStatus.BAD_REQUEST,
        "RoleDefinitionIsBuiltIn",
        f"The role '{foreign(name)}' is built-in: it cannot be made, changed or deleted. Make a"
        " custom role, with the type 'CustomRole'.",
    )


def _same_name(wanted: RoleDefinition) -> ArmError:
    return ArmError(
        HTTPStatus.CONFLICT,
        "RoleDefinitionWithSameNameExists",
        f"A role definition with the name '{wanted.name}' exists already.",
    )


def _has_assignments() -> ArmError:
    return ArmError(
        HTTPStatus.BAD_REQUEST,
        "RoleDefinitionHasAssignments",
        "There are existing role assignments referencing role. Delete them first.",
    )
