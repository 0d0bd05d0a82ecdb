"""Whether a role can be assigned to a principal at a scope: everything that is checked first."""

from dataclasses import dataclass
from http import HTTPStatus

from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.arm_error import ArmError
from towrope.control.graph.names import as_guid
from towrope.control.principal import Principal
from towrope.control.roles.definition import RoleDefinition
from towrope.control.roles.scope import Scope
from towrope.control.store import groups, role_definitions, service_principals, users
from towrope.control.store.groups import MemberKind
from towrope.wire.errors import foreign


async def check_assignable(
    connection: AsyncConnection, role_id: str, scope: Scope, *, by: Principal
) -> None:
    """Raises `ArmError` (400, 403, 404)."""
    role = (await role_definitions.by_id(connection, {role_id})).get(role_id)
    if role is None:
        raise ArmError(
            HTTPStatus.NOT_FOUND,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{role_id}' does not exist.",
        )
    if not any(Scope(path=each).covers(scope) for each in role.assignable_scopes):
        raise _not_assignable(role, scope)
    if scope.namespace is not None and not role.has_data_actions:
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "RoleNotAssignableInNamespace",
            f"The role '{role.name}' has no data actions, so it would give nothing in a namespace."
            " Assign it at the cluster or above.",
        )
    if role.is_own and not by.is_administrator:
        raise ArmError(
            HTTPStatus.FORBIDDEN,
            "AuthorizationFailed",
            f"The role '{role.name}' allows actions of 'Towrope.…', so that administrators of the"
            " server alone may assign it.",
        )


def _not_assignable(role: RoleDefinition, scope: Scope) -> ArmError:
    return ArmError(
        HTTPStatus.BAD_REQUEST,
        "RoleDefinitionNotAssignableAtScope",
        f"The role '{role.name}' cannot be assigned at '{scope.path}': its assignable scopes are"
        f" {foreign(', '.join(role.assignable_scopes))}.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignee:
    """What the principal of an assignment is."""

    kind: MemberKind
    is_external: bool
    """Not of this server's directory: another issuer vouches for it."""


async def assignee(
    connection: AsyncConnection, object_id: str, given: MemberKind | None, *, tenant: str
) -> Assignee:
    """As the directory has it, or of the kind that is `given`. Raises `ArmError` (400)."""
    if as_guid(object_id) is None:
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "InvalidPrincipalId",
            f"The Principal ID '{foreign(object_id)}' is not valid. Principal ID must be a GUID.",
        )
    known = await kind_in_directory(connection, object_id)
    if known is None and given is None:
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "PrincipalNotFound",
            f"Principal {object_id} does not exist in the directory {tenant}. Check that you have"
            " the correct principal ID: an object ID, and not an application ID. For a principal"
            " of another issuer, set the principalType property to User, Group or"
            " ServicePrincipal.",
        )
    if known is not None and given not in (None, known):
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "UnmatchedPrincipalType",
            f"The PrincipalId '{object_id}' has type '{known}', which is different from specified"
            f" PrincipalType '{given}'.",
        )
    kind = known or given
    assert kind is not None
    return Assignee(kind=kind, is_external=known is None)


async def kind_in_directory(connection: AsyncConnection, object_id: str) -> MemberKind | None:
    if await users.find(connection, object_id) is not None:
        return MemberKind.USER
    if await groups.find(connection, object_id) is not None:
        return MemberKind.GROUP
    if await service_principals.find_by_object_id(connection, object_id) is not None:
        return MemberKind.SERVICE_PRINCIPAL
    return None
