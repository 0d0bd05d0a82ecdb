"""Refresh tokens, in families: all that came from one sign-in. Only their hashes are here.

One that was used stays until it ends, so that its reuse is seen.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store import expired
from towrope.control.store.tables import refresh_tokens as table


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    token_hash: str = field(repr=False)
    family: str
    object_id: str
    client_id: str
    scope: str
    authenticated_at: int
    expires_at: int
    used_at: int | None = None


def token_hash(token: str) -> str:
    """Of a random token of 256 bits, which cannot be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


async def add(connection: AsyncConnection, token: RefreshToken, *, now: int) -> None:
    await expired.remove(connection, table, table.c.token_hash, now)
    values: dict[str, Any] = {column.name: getattr(token, column.name) for column in table.columns}
    await connection.execute(insert(table).values(**values))


async def find(connection: AsyncConnection, token: str) -> RefreshToken | None:
    query = select(*table.columns).where(table.c.token_hash == token_hash(token))
    row = (await connection.execute(query)).one_or_none()
    return RefreshToken(**row._mapping) if row is not None else None


async def use(connection: AsyncConnection, token: RefreshToken, *, now: int) -> bool:
    """Whether it is the first time. Of two at once, one is."""
    where = (table.c.token_hash == token.token_hash, table.c.used_at.is_(None))
    return (await connection.execute(update(table).where(*where).values(used_at=now))).rowcount > 0


async def end_family(connection: AsyncConnection, family: str) -> None:
    await connection.execute(delete(table).where(table.c.family == family))


async def remove_of(connection: AsyncConnection, object_id: str) -> None:
    """All of a user: every sign-in ends."""
    await connection.execute(delete(table).where(table.c.object_id == object_id))
