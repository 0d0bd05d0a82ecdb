"""When the directory last changed so that somebody lost something that a token may still say."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.tables import directory_state as table

KEY = "directory"


async def changed_at(connection: AsyncConnection) -> int:
    """Unix seconds; 0 where nothing was ever lost."""
    return (await connection.execute(select(table.c.changed_at))).scalar() or 0


async def set_changed(connection: AsyncConnection, now: int) -> None:
    """It never goes back, whatever the clock does."""
    if await changed_at(connection) >= now:
        return
    done = await connection.execute(update(table).values(changed_at=now))
    if not done.rowcount:
        await connection.execute(insert(table).values(key=KEY, changed_at=now))
