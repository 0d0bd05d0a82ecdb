"""Resource groups: what clusters and hybrid connections are kept in."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.tables import resource_groups as table


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceGroup:
    name: str
    location: str
    tags: dict[str, str]


_QUERY = select(table.c.name, table.c.location, table.c.tags)


async def find(connection: AsyncConnection, name: str) -> ResourceGroup | None:
    row = (await connection.execute(_QUERY.where(table.c.key == name.lower()))).one_or_none()
    return ResourceGroup(**row._mapping) if row is not None else None


async def page(
    connection: AsyncConnection, *, after: str | None, limit: int
) -> Sequence[ResourceGroup]:
    query = _QUERY.order_by(table.c.key).limit(limit)
    if after is not None:
        query = query.where(table.c.key > after)
    return [ResourceGroup(**row._mapping) for row in await connection.execute(query)]


async def add(connection: AsyncConnection, group: ResourceGroup) -> None:
    values = {"name": group.name, "location": group.location, "tags": group.tags}
    await connection.execute(insert(table).values(key=group.name.lower(), **values))


async def set_tags(connection: AsyncConnection, name: str, tags: dict[str, str]) -> None:
    await connection.execute(update(table).where(table.c.key == name.lower()).values(tags=tags))


async def remove(connection: AsyncConnection, name: str) -> None:
    """Removes the group with all that is in it."""
    await connection.execute(delete(table).where(table.c.key == name.lower()))
