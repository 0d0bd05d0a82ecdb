"""Sessions of people in browsers. Each is known by the SHA-256 of its cookie alone."""

from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.tables import sign_in_sessions as table


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Times are Unix seconds."""

    id_hash: str
    object_id: str
    authenticated_at: int
    expires_at: int


async def find(connection: AsyncConnection, id_hash: str, *, now: int) -> Session | None:
    query = select(table).where(table.c.id_hash == id_hash, table.c.expires_at > now)
    row = (await connection.execute(query)).one_or_none()
    return Session(**row._mapping) if row is not None else None


async def add(connection: AsyncConnection, session: Session) -> None:
    await connection.execute(
        insert(table).values(
            id_hash=session.id_hash,
            object_id=session.object_id,
            authenticated_at=session.authenticated_at,
            expires_at=session.expires_at,
        )
    )


async def remove(connection: AsyncConnection, id_hash: str) -> None:
    await connection.execute(delete(table).where(table.c.id_hash == id_hash))


async def remove_expired(connection: AsyncConnection, *, now: int) -> None:
    await connection.execute(delete(table).where(table.c.expires_at <= now))
