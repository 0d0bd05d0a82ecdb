"""Authorization codes: what one was given for. A code itself is not here, but its hash."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store import expired
from towrope.control.store.tables import authorization_codes as table


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode:
    code_hash: str = field(repr=False)
    client_id: str
    redirect_uri: str
    scope: str
    object_id: str
    """The user's that signed in."""
    nonce: str | None
    code_challenge: str
    """RFC 7636, S256."""
    authenticated_at: int
    expires_at: int
    family: str | None = None
    """Of the refresh tokens that it gave, once it was redeemed."""


def code_hash(code: str) -> str:
    """Of a random code of 256 bits, which cannot be guessed."""
    return hashlib.sha256(code.encode()).hexdigest()


async def add(connection: AsyncConnection, code: AuthorizationCode, *, now: int) -> None:
    await expired.remove(connection, table, table.c.code_hash, now)
    values: dict[str, Any] = {column.name: getattr(code, column.name) for column in table.columns}
    await connection.execute(insert(table).values(**values))


async def find(connection: AsyncConnection, code: str) -> AuthorizationCode | None:
    query = select(*table.columns).where(table.c.code_hash == code_hash(code))
    row = (await connection.execute(query)).one_or_none()
    return AuthorizationCode(**row._mapping) if row is not None else None


async def redeem(connection: AsyncConnection, code: AuthorizationCode, *, family: str) -> str:
    """The family of whoever was first: `family` itself, unless it was redeemed before."""
    is_it = table.c.code_hash == code.code_hash
    first = update(table).where(is_it, table.c.family.is_(None)).values(family=family)
    await connection.execute(first)
    kept: str = (await connection.execute(select(table.c.family).where(is_it))).scalar_one()
    return kept


async def remove_of(connection: AsyncConnection, object_id: str) -> None:
    """All that were given to a user."""
    await connection.execute(delete(table).where(table.c.object_id == object_id))
