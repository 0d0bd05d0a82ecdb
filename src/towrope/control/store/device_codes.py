"""Device codes that wait for somebody, and what became of them. Only hashes of codes are here."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store import expired
from towrope.control.store.tables import device_codes as table


class DeviceState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    code_hash: str = field(repr=False)
    user_code_hash: str = field(repr=False)
    client_id: str
    scope: str
    state: DeviceState = DeviceState.PENDING
    object_id: str | None = None
    """Of the user that approved it."""
    authenticated_at: int | None = None
    asked_from: str = ""
    """The address of the program that waits."""
    polled_at: int = 0
    expires_at: int


def code_hash(device_code: str) -> str:
    """Of a random code of 256 bits, which cannot be guessed."""
    return hashlib.sha256(device_code.encode()).hexdigest()


async def add(connection: AsyncConnection, code: DeviceCode, *, now: int) -> None:
    await expired.remove(connection, table, table.c.code_hash, now)
    values: dict[str, Any] = {column.name: getattr(code, column.name) for column in table.columns}
    await connection.execute(insert(table).values(**values))


async def count(connection: AsyncConnection, *, now: int) -> int:
    """How many there are that have not ended."""
    query = select(func.count()).select_from(table).where(table.c.expires_at >= now)
    return (await connection.execute(query)).scalar_one()


async def find(connection: AsyncConnection, device_code: str) -> DeviceCode | None:
    query = select(*table.columns).where(table.c.code_hash == code_hash(device_code))
    return _code((await connection.execute(query)).one_or_none())


async def find_pending(
    connection: AsyncConnection, user_code_hash: str, *, now: int
) -> DeviceCode | None:
    where = (
        table.c.user_code_hash == user_code_hash,
        table.c.state == DeviceState.PENDING.value,
        table.c.expires_at > now,
    )
    return _code((await connection.execute(select(*table.columns).where(*where))).one_or_none())


async def settle(connection: AsyncConnection, code: DeviceCode, **values: Any) -> bool:
    """Sets what became of a code that waited. Whether it still did."""
    where = (table.c.code_hash == code.code_hash, table.c.state == DeviceState.PENDING.value)
    return (await connection.execute(update(table).where(*where).values(values))).rowcount > 0


async def set_polled(connection: AsyncConnection, code: DeviceCode, now: int) -> bool:
    """Whether it is still there. Who asks at the same time waits for the transaction's end."""
    where = table.c.code_hash == code.code_hash
    return (await connection.execute(update(table).where(where).values(polled_at=now))).rowcount > 0


async def remove(connection: AsyncConnection, code: DeviceCode) -> None:
    await connection.execute(delete(table).where(table.c.code_hash == code.code_hash))


async def remove_of(connection: AsyncConnection, object_id: str) -> None:
    """All that a user approved."""
    await connection.execute(delete(table).where(table.c.object_id == object_id))


def _code(row: Row[Any] | None) -> DeviceCode | None:
    if row is None:
        return None
    return DeviceCode(**{**row._mapping, "state": DeviceState(row.state)})
