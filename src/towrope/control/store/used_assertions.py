"""Clients' assertions that were used, by a hash of what may not come again, until they end."""

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store import expired
from towrope.control.store.tables import used_assertions as table


async def add(connection: AsyncConnection, id_hash: str, *, expires_at: int, now: int) -> bool:
    """Whether it is the first time. Of two at once, one is."""
    await expired.remove(connection, table, table.c.id_hash, now)
    try:
        async with connection.begin_nested():
            await connection.execute(insert(table).values(id_hash=id_hash, expires_at=expires_at))
    except IntegrityError:
        return False
    return True
