"""Trusted issuers: what an administrator said about each, and what was fetched from it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.tables import groups, service_principals, users
from towrope.control.store.tables import trusted_issuers as table


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuerRow:
    """`properties` and `discovered` are JSON objects; `fetched_at` is Unix seconds."""

    name: str
    properties: dict[str, Any]
    discovered: dict[str, Any]
    fetched_at: int
    sealed_secret: str | None = field(repr=False, default=None)


_COLUMNS = [column for column in table.columns if column.name != "key"]


async def find(connection: AsyncConnection, name: str) -> TrustedIssuerRow | None:
    query = select(*_COLUMNS).where(table.c.key == name.lower())
    row = (await connection.execute(query)).one_or_none()
    return TrustedIssuerRow(**row._mapping) if row is not None else None


async def every(connection: AsyncConnection) -> Sequence[TrustedIssuerRow]:
    """In the order of their names; there are few."""
    rows = await connection.execute(select(*_COLUMNS).order_by(table.c.key))
    return [TrustedIssuerRow(**row._mapping) for row in rows]


async def put(connection: AsyncConnection, row: TrustedIssuerRow) -> None:
    """Adds it, or replaces the one with its name."""
    await remove(connection, row.name)
    values = {column.name: getattr(row, column.name) for column in _COLUMNS}
    await connection.execute(insert(table).values(**values, key=row.name.lower()))


async def set_discovered(
    connection: AsyncConnection, name: str, discovered: dict[str, Any], *, fetched_at: int
) -> None:
    where = table.c.key == name.lower()
    values = {"discovered": discovered, "fetched_at": fetched_at}
    await connection.execute(update(table).where(where).values(values))


async def remove(connection: AsyncConnection, name: str) -> bool:
    """Whether it was there."""
    where = table.c.key == name.lower()
    return (await connection.execute(delete(table).where(where))).rowcount > 0


async def own_among(connection: AsyncConnection, object_ids: Collection[str]) -> frozenset[str]:
    """Those of the ids that are of this server's own directory, in lower case."""
    wanted = {object_id.lower() for object_id in object_ids}
    found: set[str] = set()
    for source in (users, groups, service_principals):
        query = select(source.c.object_id).where(source.c.object_id.in_(wanted))
        found.update((await connection.execute(query)).scalars())
    return frozenset(found)
