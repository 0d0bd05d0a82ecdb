"""`Microsoft.Authorization/roleAssignments`: which principal has which role, at a scope.

What cannot be honoured is refused with the reason, and never kept without effect.
"""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import authorization_filter, policy_changes, scope_routes
from towrope.control.arm_error import ArmError
from towrope.control.assignability import assignee, check_assignable
from towrope.control.authority import allowed, caller, visible
from towrope.control.authorization_filter import Conditions
from towrope.control.filling import filled
from towrope.control.graph.errors import conflicts_as
from towrope.control.graph.names import as_guid
from towrope.control.json_body import answer, decode
from towrope.control.operation import PAGED, Page, operation
from towrope.control.paging import page, position, size
from towrope.control.role_ids import parse_role_id, role_resource_id
from towrope.control.roles.scope import ROOT, Scope
from towrope.control.routing import arm_route
from towrope.control.services import Services
from towrope.control.store import groups
from towrope.control.store import role_assignments as store
from towrope.control.store.groups import MemberKind
from towrope.control.store.role_assignments import RoleAssignment
from towrope.control.store.role_definitions import Authorship
from towrope.wire.errors import foreign

TYPE = "Microsoft.Authorization/roleAssignments"
COLLECTION = f"{scope_routes.PROVIDER}/roleAssignments"
FILTERS = ("atScope()", "principalId", "assignedTo(x)")
DESCRIPTION_LIMIT = 1024


class _Given(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    role_definition_id: str
    principal_id: str
    principal_type: MemberKind | None = None
    description: str | None = None
    condition: str | None = None
    delegated_managed_identity_resource_id: str | None = None


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    properties: _Given


class _Properties(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    scope: str
    role_definition_id: str
    principal_id: str
    principal_type: MemberKind
    description: str | None
    created_on: datetime
    updated_on: datetime
    created_by: str
    updated_by: str
    condition: None = None
    condition_version: None = None
    delegated_managed_identity_resource_id: None = None


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    properties: _Properties
    type: str = TYPE


class RoleAssignments:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        read, write, delete = (f"{TYPE}/{each}" for each in ("read", "write", "delete"))
        lists = [
            arm_route(
                self._settings,
                scope + COLLECTION,
                get=scope_routes.guard(scope, read, self._list),
            )
            for scope in scope_routes.SCOPES
        ]
        each = [
            arm_route(
                self._settings,
                f"{scope}{COLLECTION}/{{assignment}}",
                get=allowed(read, self._show),
                put=allowed(write, self._put),
                delete=allowed(delete, self._delete),
            )
            for scope in scope_routes.SCOPES
        ]
        return [*lists, *each]

    def _shape(self, assignment: RoleAssignment, asked: Scope) -> _Shape:
        at = "" if assignment.scope == ROOT else assignment.scope.path
        authorship = assignment.authorship
        return _Shape(
            id=f"{at}{COLLECTION}/{assignment.id}",
            name=assignment.id,
            properties=_Properties(
                scope=assignment.scope.path,
                role_definition_id=role_resource_id(assignment.role_id, asked, self._settings),
                principal_id=assignment.principal_id,
                principal_type=assignment.principal_kind,
                description=assignment.description,
                created_on=datetime.fromtimestamp(authorship.created_on, UTC),
                updated_on=datetime.fromtimestamp(authorship.updated_on, UTC),
                created_by=authorship.created_by,
                updated_by=authorship.updated_by,
            ),
        )

    @operation(None, {HTTPStatus.OK: Page[_Shape]}, query=(*PAGED, "$filter", "$top"))
    async def _list(self, request: Request) -> Response:
        after = position(request, keys=1)
        conditions = authorization_filter.asked(request, FILTERS)
        is_readable = visible(request, f"{TYPE}/read")
        async with self._services.database.reading() as connection:
            scope = await scope_routes.named(connection, request, self._settings)
            reads_all = is_readable(scope.path)
            found = await filled(
                partial(
                    store.page,
                    connection,
                    scope,
                    with_below="atScope()" not in conditions,
                    principal_ids=await _principals(connection, conditions),
                ),
                after=after[0] if after else None,
                size=size(request, self._settings.page_size),
                key=lambda assignment: assignment.id,
                is_visible=lambda assignment: reads_all or is_readable(assignment.scope.path),
            )
        shapes = [self._shape(each, scope) for each in found.shown]
        last = [found.last] if found.last is not None else None
        return page(request, self._settings.url, shapes, last=last)

    @operation(None, {HTTPStatus.OK: _Shape})
    async def _show(self, request: Request) -> Response:
        async with self._services.database.reading() as connection:
            scope = await scope_routes.named(connection, request, self._settings)
            found = await _find(connection, request, scope)
        if found is None:
            raise _not_found(request.path_params["assignment"])
        return answer(self._shape(found, scope))

    @operation(_Body, {HTTPStatus.OK: _Shape, HTTPStatus.CREATED: _Shape})
    async def _put(self, request: Request) -> Response:
        assignment_id = _valid_id(request.path_params["assignment"])
        given = (await decode(request, _Body)).properties
        _check_supported(given)
        with conflicts_as(_exists("")):
            async with self._services.database.writing() as connection:
                scope = await scope_routes.named(connection, request, self._settings)
                wanted = await self._wanted(connection, request, assignment_id, scope, given)
                there = await store.find(connection, assignment_id)
                if there is not None:
                    kept = await _described(connection, there, wanted)
                    return answer(self._shape(kept, scope))
                same = await store.find_same(connection, wanted)
                if same is not None:
                    raise _exists(f" The ID of the existing role assignment is {same.id}.")
                await store.add(connection, wanted)
        await policy_changes.announce(self._services, scope)
        return answer(self._shape(wanted, scope), status=HTTPStatus.CREATED)

    async def _wanted(
        self,
        connection: AsyncConnection,
        request: Request,
        assignment_id: str,
        scope: Scope,
        given: _Given,
    ) -> RoleAssignment:
        """What a PUT asks for, as if there were none. Raises `ArmError`."""
        role_id = parse_role_id(given.role_definition_id, self._settings)
        await check_assignable(connection, role_id, scope, by=caller(request))
        found = await assignee(
            connection, given.principal_id, given.principal_type, tenant=self._settings.tenant
        )
        now, by = int(self._services.clock()), caller(request).object_id
        return RoleAssignment(
            id=assignment_id,
            scope=scope,
            role_id=role_id,
            principal_id=given.principal_id.lower(),
            principal_kind=found.kind,
            is_external=found.is_external,
            description=given.description,
            authorship=Authorship(created_on=now, created_by=by, updated_on=now, updated_by=by),
        )

    @operation(None, {HTTPStatus.OK: _Shape, HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        async with self._services.database.writing() as connection:
            scope = await scope_routes.named(connection, request, self._settings)
            there = await _find(connection, request, scope)
            if there is None:
                return Response(status_code=HTTPStatus.NO_CONTENT)
            await store.remove(connection, there.id)
        await policy_changes.announce(self._services, scope)
        return answer(self._shape(there, scope))


async def _find(
    connection: AsyncConnection, request: Request, scope: Scope
) -> RoleAssignment | None:
    """The one that the path names, which is of the path's very scope."""
    found = await store.find(connection, request.path_params["assignment"])
    # Who may read or delete here may not do so elsewhere.
    is_here = found is not None and store.key(found.scope) == store.key(scope)
    return found if is_here else None


async def _principals(connection: AsyncConnection, conditions: Conditions) -> frozenset[str] | None:
    """Whose assignments are asked for; None: everybody's."""
    wanted = [frozenset({conditions["principalId"]})] if "principalId" in conditions else []
    if "assignedTo(x)" in conditions:
        principal = conditions["assignedTo(x)"].lower()
        wanted.append(await groups.groups_of(connection, principal) | {principal})
    return frozenset.intersection(*wanted) if wanted else None


async def _described(
    connection: AsyncConnection, there: RoleAssignment, wanted: RoleAssignment
) -> RoleAssignment:
    """`there` with another description; nothing else of an assignment can be changed."""
    if _identity(there) != _identity(wanted):
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "RoleAssignmentUpdateNotPermitted",
            "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
        )
    if there.description == wanted.description:
        return there
    by = wanted.authorship
    authorship = replace(there.authorship, updated_on=by.updated_on, updated_by=by.updated_by)
    changed = replace(there, description=wanted.description, authorship=authorship)
    await store.describe(connection, changed)
    return changed


def _identity(assignment: RoleAssignment) -> tuple[str, str, str]:
    return store.key(assignment.scope), assignment.role_id, assignment.principal_id


def _valid_id(given: str) -> str:
    found = as_guid(given)
    if found is None:
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "InvalidRoleAssignmentId",
            f"The role assignment ID '{foreign(given)}' is not valid. The role assignment ID must"
            " be a GUID.",
        )
    return found


def _check_supported(given: _Given) -> None:
    refused: dict[str, Any] = {
        "Conditions of role assignments are not honoured here: assign without 'condition', to a"
        " narrower scope or with another role.": given.condition,
        "Delegated managed identities are not known here: assign without"
        " 'delegatedManagedIdentityResourceId'.": given.delegated_managed_identity_resource_id,
    }
    for why, value in refused.items():
        if value:
            raise ArmError(HTTPStatus.BAD_REQUEST, "RoleAssignmentPropertyNotSupported", why)
    if given.description is not None and len(given.description) > DESCRIPTION_LIMIT:
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "RoleAssignmentDescriptionTooLong",
            f"The description has more than {DESCRIPTION_LIMIT} characters.",
        )


def _exists(which: str) -> ArmError:
    return ArmError(
        HTTPStatus.CONFLICT, "RoleAssignmentExists", f"The role assignment already exists.{which}"
    )


def _not_found(name: str) -> ArmError:
    return ArmError(
        HTTPStatus.NOT_FOUND,
        "RoleAssignmentNotFound",
        f"The role assignment '{foreign(name)}' is not found.",
    )
