"""Role assignments: which principal has which role, and where."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.roles.scope import Scope
from towrope.control.store.groups import MemberKind
from towrope.control.store.role_definitions import Authorship
from towrope.control.store.tables import role_assignments as table


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssignment:
    id: str
    """A GUID; with it and the scope the assignment's resource id is made."""
    scope: Scope
    role_id: str
    principal_id: str
    principal_kind: MemberKind
    is_external: bool = False
    """Whether another issuer vouches for the principal, not this server's directory."""
    description: str | None = None
    authorship: Authorship


async def find(connection: AsyncConnection, assignment_id: str) -> RoleAssignment | None:
    where = table.c.id == assignment_id.lower()
    row = (await connection.execute(select(table).where(where))).first()
    return _assignment(row) if row is not None else None


async def find_same(connection: AsyncConnection, wanted: RoleAssignment) -> RoleAssignment | None:
    """The one of the same principal, role and scope, whatever its id."""
    where = and_(
        table.c.principal_id == wanted.principal_id.lower(),
        table.c.role_id == wanted.role_id.lower(),
        table.c.scope_key == key(wanted.scope),
    )
    row = (await connection.execute(select(table).where(where))).first()
    return _assignment(row) if row is not None else None


async def held_by(
    connection: AsyncConnection, principal_ids: Collection[str]
) -> Sequence[RoleAssignment]:
    """All of a principal's, given its own id and those of its groups."""
    found: list[RoleAssignment] = []
    ids = sorted({each.lower() for each in principal_ids})
    for at in range(0, len(ids), _VARIABLES):
        where = table.c.principal_id.in_(ids[at : at + _VARIABLES])
        found += map(_assignment, await connection.execute(select(table).where(where)))
    return found


async def above(connection: AsyncConnection, scope: Scope) -> Sequence[RoleAssignment]:
    """Those at `scope` and at all that it lies in: what holds there."""
    where = table.c.scope_key.in_(_lineage(scope))
    rows = await connection.execute(select(table).where(where).order_by(table.c.id))
    return [_assignment(row) for row in rows]


async def below(connection: AsyncConnection, scope: Scope) -> Sequence[RoleAssignment]:
    """Those at `scope` and at all that lies in it."""
    rows = await connection.execute(select(table).where(_is_below(scope)).order_by(table.c.id))
    return [_assignment(row) for row in rows]


async def touching(connection: AsyncConnection, scope: Scope) -> Sequence[RoleAssignment]:
    """Those at `scope`, at all that it lies in, and at all that lies in it."""
    where = or_(table.c.scope_key.in_(_lineage(scope)), _is_below(scope))
    return [_assignment(row) for row in await connection.execute(select(table).where(where))]


async def page(
    connection: AsyncConnection,
    scope: Scope,
    *,
    with_below: bool,
    principal_ids: Collection[str] | None,
    after: str | None,
    limit: int,
) -> Sequence[RoleAssignment]:
    """At most `limit` in the order of their ids, after one: those at `scope` and above it, and
    `with_below` those below it too; of these principals, or of all."""
    above = table.c.scope_key.in_(_lineage(scope))
    where: list[ColumnElement[bool]] = [or_(above, _is_below(scope)) if with_below else above]
    if principal_ids is not None:
        where.append(table.c.principal_id.in_({each.lower() for each in principal_ids}))
    if after is not None:
        where.append(table.c.id > after)
    query = select(table).where(*where).order_by(table.c.id).limit(limit)
    return [_assignment(row) for row in await connection.execute(query)]


async def with_role(connection: AsyncConnection, role_id: str) -> Sequence[RoleAssignment]:
    where = table.c.role_id == role_id.lower()
    return [_assignment(row) for row in await connection.execute(select(table).where(where))]


async def add(connection: AsyncConnection, made: RoleAssignment) -> None:
    """Raises `IntegrityError` where there is one of this id, or the same with another id."""
    authorship = made.authorship
    await connection.execute(
        insert(table).values(
            id=made.id.lower(),
            scope=made.scope.path,
            scope_key=key(made.scope),
            role_id=made.role_id.lower(),
            principal_id=made.principal_id.lower(),
            principal_kind=made.principal_kind.value,
            is_external=made.is_external,
            description=made.description,
            created_on=authorship.created_on,
            created_by=authorship.created_by,
            updated_on=authorship.updated_on,
            updated_by=authorship.updated_by,
        )
    )


async def describe(connection: AsyncConnection, changed: RoleAssignment) -> None:
    """Writes the description of one that is there: all else of it stays as it was made."""
    values = {
        "description": changed.description,
        "updated_on": changed.authorship.updated_on,
        "updated_by": changed.authorship.updated_by,
    }
    await connection.execute(update(table).where(table.c.id == changed.id.lower()).values(values))


async def remove(connection: AsyncConnection, assignment_id: str) -> None:
    await connection.execute(delete(table).where(table.c.id == assignment_id.lower()))


async def remove_below(connection: AsyncConnection, scope: Scope) -> None:
    """For a resource that is deleted: what comes after it under its name inherits nothing."""
    await connection.execute(delete(table).where(_is_below(scope)))


def key(scope: Scope) -> str:
    """How a scope is compared."""
    return scope.path.lower().rstrip("/") or "/"


_VARIABLES = 500
"""Parameters of one statement."""


def _lineage(scope: Scope) -> list[str]:
    """The keys of a scope and of every path that it begins with."""
    segments = [segment for segment in key(scope).split("/") if segment]
    return ["/", *("/" + "/".join(segments[:end]) for end in range(1, len(segments) + 1))]


def _is_below(scope: Scope) -> ColumnElement[bool]:
    own = key(scope)
    if own == "/":
        return true()
    # A range, not a pattern, so that the index serves it: "0" is what comes after "/".
    within = and_(table.c.scope_key > own + "/", table.c.scope_key < own + "0")
    return or_(table.c.scope_key == own, within)


def _assignment(row: Row[Any]) -> RoleAssignment:
    return RoleAssignment(
        id=row.id,
        scope=Scope(path=row.scope),
        role_id=row.role_id,
        principal_id=row.principal_id,
        principal_kind=MemberKind(row.principal_kind),
        is_external=row.is_external,
        description=row.description,
        authorship=Authorship(
            created_on=row.created_on,
            created_by=row.created_by,
            updated_on=row.updated_on,
            updated_by=row.updated_by,
        ),
    )
