"""Hybrid connections that users made, and their authorization rules. Clusters have their own."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.tables import authorization_rules as rules
from towrope.control.store.tables import hybrid_connections as table
from towrope.control.store.tables import resource_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridConnection:
    """`name` is its path at the relay; `created` and `updated` are Unix seconds."""

    group: str
    namespace: str
    name: str
    user_metadata: str
    created: int
    updated: int

    def is_in(self, group: str, namespace: str) -> bool:
        mine = (self.group.lower(), self.namespace.lower())
        return mine == (group.lower(), namespace.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRule:
    name: str
    rights: list[str]


_QUERY = select(
    resource_groups.c.name.label("group"),
    table.c.namespace,
    table.c.name,
    table.c.user_metadata,
    table.c.created,
    table.c.updated,
).join_from(table, resource_groups)
_RULES = select(rules.c.name, rules.c.rights)


async def find(connection: AsyncConnection, name: str) -> HybridConnection | None:
    row = (await connection.execute(_QUERY.where(table.c.key == name.lower()))).one_or_none()
    return HybridConnection(**row._mapping) if row is not None else None


async def find_relative(connection: AsyncConnection, name: str) -> HybridConnection | None:
    """One whose name is above or below `name`, as a path."""
    segments = name.lower().split("/")
    above = table.c.key.in_(["/".join(segments[:n]) for n in range(1, len(segments))])
    below = table.c.key.startswith(name.lower() + "/", autoescape=True)
    row = (await connection.execute(_QUERY.where(or_(below, above)).limit(1))).one_or_none()
    return HybridConnection(**row._mapping) if row is not None else None


async def page(
    connection: AsyncConnection, *, group: str, namespace: str, after: str | None, limit: int
) -> Sequence[HybridConnection]:
    query = (
        _QUERY.where(table.c.group_key == group.lower(), table.c.namespace_key == namespace.lower())
        .order_by(table.c.key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(table.c.key > after)
    return [HybridConnection(**row._mapping) for row in await connection.execute(query)]


async def add(connection: AsyncConnection, made: HybridConnection) -> None:
    await connection.execute(
        insert(table).values(
            key=made.name.lower(),
            name=made.name,
            group_key=made.group.lower(),
            namespace_key=made.namespace.lower(),
            namespace=made.namespace,
            user_metadata=made.user_metadata,
            created=made.created,
            updated=made.updated,
        )
    )


async def set_metadata(
    connection: AsyncConnection, name: str, *, user_metadata: str, updated: int
) -> None:
    values = {"user_metadata": user_metadata, "updated": updated}
    await connection.execute(update(table).where(table.c.key == name.lower()).values(values))


async def remove(connection: AsyncConnection, name: str) -> None:
    await connection.execute(delete(table).where(table.c.key == name.lower()))


async def paths_in(connection: AsyncConnection, group: str) -> Sequence[str]:
    query = select(table.c.name).where(table.c.group_key == group.lower())
    return list((await connection.execute(query)).scalars())


async def find_rule(connection: AsyncConnection, name: str, rule: str) -> AuthorizationRule | None:
    where = (rules.c.hybrid_connection_key == name.lower(), rules.c.key == rule.lower())
    row = (await connection.execute(_RULES.where(*where))).one_or_none()
    return AuthorizationRule(**row._mapping) if row is not None else None


async def rules_of(connection: AsyncConnection, name: str) -> Sequence[AuthorizationRule]:
    query = _RULES.where(rules.c.hybrid_connection_key == name.lower()).order_by(rules.c.key)
    return [AuthorizationRule(**row._mapping) for row in await connection.execute(query)]


async def put_rule(connection: AsyncConnection, name: str, rule: AuthorizationRule) -> None:
    await remove_rule(connection, name, rule.name)
    await connection.execute(
        insert(rules).values(
            hybrid_connection_key=name.lower(),
            key=rule.name.lower(),
            name=rule.name,
            rights=rule.rights,
        )
    )


async def remove_rule(connection: AsyncConnection, name: str, rule: str) -> None:
    where = (rules.c.hybrid_connection_key == name.lower(), rules.c.key == rule.lower())
    await connection.execute(delete(rules).where(*where))
