"""Users of the directory: people that sign in here with a password."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.directory import Match, matching
from towrope.control.store.tables import group_members
from towrope.control.store.tables import users as table


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`valid_from` and `created` are Unix seconds."""

    object_id: str
    user_principal_name: str
    display_name: str
    given_name: str | None = None
    surname: str | None = None
    mail: str | None = None
    account_enabled: bool = True
    password_hash: str | None = field(repr=False, default=None)
    must_change_password: bool = False
    valid_from: int = 0
    """What was issued to the user before is not good any more."""
    created: int


_COLUMNS = [column for column in table.columns if column.name != "key"]


async def find(connection: AsyncConnection, object_id: str) -> User | None:
    return await _one(connection, table.c.object_id == object_id.lower())


async def find_by_name(connection: AsyncConnection, user_principal_name: str) -> User | None:
    if "\0" in user_principal_name:  # not even to be asked for in PostgreSQL
        return None
    return await _one(connection, table.c.key == user_principal_name.lower())


async def _one(connection: AsyncConnection, where: Any) -> User | None:
    row = (await connection.execute(select(*_COLUMNS).where(where))).one_or_none()
    return User(**row._mapping) if row is not None else None


async def find_many(connection: AsyncConnection, object_ids: Sequence[str]) -> Sequence[User]:
    """Those of at most a thousand that there are, in no order."""
    query = select(*_COLUMNS).where(table.c.object_id.in_(object_ids))
    return [User(**row._mapping) for row in await connection.execute(query)]


async def page(
    connection: AsyncConnection,
    *,
    after: str | None,
    limit: int,
    matches: Sequence[Match] = (),
) -> Sequence[User]:
    """At most `limit` users in the order of their names, those after one that match."""
    query = select(*_COLUMNS).where(*matching(table, matches)).order_by(table.c.key).limit(limit)
    if after is not None:
        query = query.where(table.c.key > after.lower())
    return [User(**row._mapping) for row in await connection.execute(query)]


async def count(connection: AsyncConnection, matches: Sequence[Match] = ()) -> int:
    query = select(func.count()).select_from(table).where(*matching(table, matches))
    return (await connection.execute(query)).scalar_one()


async def add(connection: AsyncConnection, user: User) -> None:
    """Raises `IntegrityError` where the name is taken."""
    values = {column.name: getattr(user, column.name) for column in _COLUMNS}
    key = user.user_principal_name.lower()
    await connection.execute(insert(table).values(**values, key=key))


async def change(connection: AsyncConnection, object_id: str, **values: Any) -> None:
    """Sets columns of a user that is there."""
    if "user_principal_name" in values:
        values["key"] = values["user_principal_name"].lower()
    await connection.execute(update(table).where(table.c.object_id == object_id).values(values))


async def remove(connection: AsyncConnection, object_id: str) -> None:
    await connection.execute(delete(group_members).where(group_members.c.member_id == object_id))
    await connection.execute(delete(table).where(table.c.object_id == object_id))
