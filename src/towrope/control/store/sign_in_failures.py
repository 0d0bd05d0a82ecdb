"""Attempts that count as failed, by what they are counted for; each is named by a SHA-256.

The table stays bounded: what is forgotten goes, and beyond the limit those that say least.
"""

from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.tables import sign_in_failures as table

ROW_LIMIT = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Times are Unix seconds; from `expires_at` on nothing of it counts."""

    key: str
    failures: int
    locked_until: int
    expires_at: int


async def find(connection: AsyncConnection, key: str, *, now: int) -> Failures | None:
    query = select(table).where(table.c.key == key, table.c.expires_at > now)
    row = (await connection.execute(query)).one_or_none()
    return Failures(**row._mapping) if row is not None else None


async def put(connection: AsyncConnection, counted: Failures) -> None:
    values = {
        "failures": counted.failures,
        "locked_until": counted.locked_until,
        "expires_at": counted.expires_at,
    }
    changed = await connection.execute(
        update(table).where(table.c.key == counted.key).values(values)
    )
    if not changed.rowcount:
        await connection.execute(insert(table).values(key=counted.key, **values))


async def remove(connection: AsyncConnection, key: str) -> None:
    await connection.execute(delete(table).where(table.c.key == key))


async def trim(connection: AsyncConnection, *, now: int) -> None:
    """Forgets what has expired, and then what has the fewest failures, the oldest first."""
    await connection.execute(delete(table).where(table.c.expires_at <= now))
    kept = (await connection.execute(select(func.count()).select_from(table))).scalar_one()
    if kept > ROW_LIMIT:
        least = (
            select(table.c.key)
            .order_by(table.c.failures, table.c.expires_at)
            .limit(kept - ROW_LIMIT)
        )
        await connection.execute(delete(table).where(table.c.key.in_(least)))
