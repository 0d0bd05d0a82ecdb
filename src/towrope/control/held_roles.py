"""The roles that a principal holds: by its own id, and by those of its groups."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.roles.built_in import OWNER
from towrope.control.roles.decision import Held
from towrope.control.roles.scope import ROOT
from towrope.control.store import role_assignments, role_definitions
from towrope.control.store.groups import ADMINISTRATORS

ADMINISTRATION = Held(assignment_id=ADMINISTRATORS, scope=ROOT, role=OWNER)
"""What administrators hold without an assignment."""


async def held_by(
    connection: AsyncConnection, object_ids: Collection[str], *, is_external: bool = False
) -> tuple[Held, ...]:
    """Of a principal, given its object id and those of all its groups. What another issuer says
    that somebody is (`is_external`) is nobody of this server's directory."""
    assigned = [
        each
        for each in await role_assignments.held_by(connection, object_ids)
        if each.is_external == is_external
    ]
    roles = await role_definitions.by_id(connection, {each.role_id for each in assigned})
    found = tuple(
        Held(assignment_id=each.id, scope=each.scope, role=roles[each.role_id])
        for each in assigned
        if each.role_id in roles
    )
    is_administrator = ADMINISTRATORS in object_ids and not is_external
    return (ADMINISTRATION, *found) if is_administrator else found
