"""Rows that have ended are removed as others come, a bounded number each time."""

from sqlalchemy import Column, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

AT_ONCE = 100


async def remove(connection: AsyncConnection, table: Table, key: Column[str], now: int) -> None:
    """Of a table with a column `expires_at`, in Unix seconds."""
    ended = select(key).where(table.c.expires_at < now).limit(AT_ONCE)
    await connection.execute(delete(table).where(key.in_(ended)))
