"""Groups of the directory. A member may be a user, a service principal, or another group."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import CTE, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.directory import Match, matching
from towrope.control.store.tables import group_members as members
from towrope.control.store.tables import groups as table
from towrope.control.store.tables import service_principals, users

ADMINISTRATORS = "62e90394-69f5-4237-9190-012177145e10"
"""The object id of the group whose members may do everything; the id of Entra's role for that."""


class MemberKind(StrEnum):
    """`principalType`, as role assignments have it."""

    USER = "User"
    GROUP = "Group"
    SERVICE_PRINCIPAL = "ServicePrincipal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    object_id: str
    display_name: str
    description: str | None = None
    mail_nickname: str
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    object_id: str
    kind: MemberKind


_COLUMNS = [column for column in table.columns if column.name != "key"]


async def find(connection: AsyncConnection, object_id: str) -> Group | None:
    query = select(*_COLUMNS).where(table.c.object_id == object_id.lower())
    row = (await connection.execute(query)).one_or_none()
    return Group(**row._mapping) if row is not None else None


async def find_many(connection: AsyncConnection, object_ids: Sequence[str]) -> Sequence[Group]:
    """Those of at most a thousand that there are, in no order."""
    query = select(*_COLUMNS).where(table.c.object_id.in_(object_ids))
    return [Group(**row._mapping) for row in await connection.execute(query)]


async def page(
    connection: AsyncConnection,
    *,
    after: tuple[str, ...] | None,
    limit: int,
    matches: Sequence[Match] = (),
) -> Sequence[Group]:
    """At most `limit` groups in the order of name and id, after (name, id) of one, that match."""
    query = select(*_COLUMNS).where(*matching(table, matches))
    if after is not None:
        name_after, id_after = after
        key = name_after.lower()
        query = query.where(
            (table.c.key > key) | ((table.c.key == key) & (table.c.object_id > id_after))
        )
    query = query.order_by(table.c.key, table.c.object_id).limit(limit)
    return [Group(**row._mapping) for row in await connection.execute(query)]


async def count(connection: AsyncConnection, matches: Sequence[Match] = ()) -> int:
    query = select(func.count()).select_from(table).where(*matching(table, matches))
    return (await connection.execute(query)).scalar_one()


async def add(connection: AsyncConnection, group: Group) -> None:
    values = {column.name: getattr(group, column.name) for column in _COLUMNS}
    await connection.execute(insert(table).values(**values, key=group.display_name.lower()))


async def change(connection: AsyncConnection, object_id: str, **values: Any) -> None:
    if "display_name" in values:
        values["key"] = values["display_name"].lower()
    await connection.execute(update(table).where(table.c.object_id == object_id).values(values))


async def remove(connection: AsyncConnection, object_id: str) -> None:
    await connection.execute(delete(members).where(members.c.member_id == object_id))
    await connection.execute(delete(table).where(table.c.object_id == object_id))


async def add_member(connection: AsyncConnection, group_id: str, member: Member) -> None:
    """Raises `IntegrityError` where it is a member already."""
    await connection.execute(
        insert(members).values(
            group_id=group_id, member_id=member.object_id, member_kind=member.kind.value
        )
    )


async def remove_member(connection: AsyncConnection, group_id: str, member_id: str) -> bool:
    """Whether it was a direct member."""
    where = (members.c.group_id == group_id, members.c.member_id == member_id)
    return (await connection.execute(delete(members).where(*where))).rowcount > 0


async def members_of(
    connection: AsyncConnection, group_id: str, *, after: str | None = None, limit: int = 1000
) -> Sequence[Member]:
    """Direct members, in the order of their ids."""
    query = (
        select(members.c.member_id, members.c.member_kind)
        .where(members.c.group_id == group_id)
        .order_by(members.c.member_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(members.c.member_id > after)
    return [
        Member(object_id=row.member_id, kind=MemberKind(row.member_kind))
        for row in await connection.execute(query)
    ]


async def groups_of(connection: AsyncConnection, member_id: str) -> frozenset[str]:
    """The ids of all groups that a principal is in, through other groups too."""
    found = _above(member_id)
    return frozenset((await connection.execute(select(found.c.group_id))).scalars())


async def memberships_above(
    connection: AsyncConnection, member_id: str
) -> Sequence[tuple[str, str]]:
    """Which group has which member, of all by which a principal is in its groups."""
    ids = select(_above(member_id).c.group_id)
    query = select(members.c.group_id, members.c.member_id).where(
        members.c.group_id.in_(ids),
        or_(members.c.member_id == member_id, members.c.member_id.in_(ids)),
    )
    return [(row.group_id, row.member_id) for row in await connection.execute(query)]


async def groups_among(
    connection: AsyncConnection, member_id: str, wanted: Sequence[str]
) -> frozenset[str]:
    """Those of the groups `wanted` that a principal is in, through other groups too."""
    found = _above(member_id)
    query = select(found.c.group_id).where(found.c.group_id.in_(wanted))
    return frozenset((await connection.execute(query)).scalars())


async def page_of_member(
    connection: AsyncConnection,
    member_id: str,
    *,
    is_transitive: bool,
    after: str | None,
    limit: int,
) -> Sequence[Group]:
    """At most `limit` groups that a principal is in, in the order of their ids, after one."""
    ids = select(members.c.group_id).where(members.c.member_id == member_id)
    if is_transitive:
        ids = select(_above(member_id).c.group_id)
    query = select(*_COLUMNS).where(table.c.object_id.in_(ids))
    if after is not None:
        query = query.where(table.c.object_id > after)
    query = query.order_by(table.c.object_id).limit(limit)
    return [Group(**row._mapping) for row in await connection.execute(query)]


async def has_administrator(connection: AsyncConnection) -> bool:
    """Whether somebody whose account is enabled is an administrator, through other groups too.

    Whoever asks before a commit is alone with it: another transaction that asks waits.
    """
    alone = select(table.c.object_id).where(table.c.object_id == ADMINISTRATORS).with_for_update()
    await connection.execute(alone)
    found = _below(ADMINISTRATORS)
    for accounts in (users, service_principals):
        query = (
            select(accounts.c.object_id)
            .join(found, found.c.member_id == accounts.c.object_id)
            .where(accounts.c.account_enabled.is_(True))
            .limit(1)
        )
        if (await connection.execute(query)).first() is not None:
            return True
    return False


# `UNION` keeps each row once, so that groups in a circle end.


def _above(member_id: str) -> CTE:
    first = select(members.c.group_id).where(members.c.member_id == member_id)
    found = first.cte("above", recursive=True)
    return found.union(
        select(members.c.group_id).join(found, members.c.member_id == found.c.group_id)
    )


def _below(group_id: str) -> CTE:
    first = select(members.c.member_id).where(members.c.group_id == group_id)
    found = first.cte("below", recursive=True)
    return found.union(
        select(members.c.member_id).join(found, members.c.group_id == found.c.member_id)
    )
