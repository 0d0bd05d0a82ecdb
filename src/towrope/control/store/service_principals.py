"""Service principals: programs that sign in with a secret or a certificate, of which they may have
several at a time. A secret is kept as its hash only."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.directory import Match, matching
from towrope.control.store.tables import application_credentials as credentials
from towrope.control.store.tables import group_members
from towrope.control.store.tables import service_principals as table

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePrincipal:
    """`app_id` is its client id; `valid_from` and `created` are Unix seconds."""

    app_id: str
    object_id: str
    application_object_id: str
    """Of the application object, which Azure tells apart from the principal."""
    display_name: str
    account_enabled: bool = True
    valid_from: int = 0
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationCredential:
    """Either `secret_hash` or `certificate` (PEM) is there; times are Unix seconds."""

    key_id: str
    app_id: str
    display_name: str | None = None
    secret_hash: str | None = field(repr=False, default=None)
    certificate: str | None = None
    hint: str | None = None
    """The first characters of the secret, to tell secrets apart."""
    starts: int
    ends: int


def new_secret() -> str:
    """256 bits that nobody can guess, in letters that an URL can have."""
    while True:
        secret = secrets.token_urlsafe(SECRET_BYTES)
        # A command line would take one that begins so for an option.
        if not secret.startswith("-"):
            return secret


def secret_hash(secret: str) -> str:
    """Of a random secret of 256 bits: nothing slower is needed, for it cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def find(connection: AsyncConnection, app_id: str) -> ServicePrincipal | None:
    if "\0" in app_id:  # not even to be asked for in PostgreSQL
        return None
    return await _one(connection, table.c.app_id == app_id.lower())


async def find_by_object_id(connection: AsyncConnection, object_id: str) -> ServicePrincipal | None:
    return await _one(connection, table.c.object_id == object_id.lower())


async def find_by_application(
    connection: AsyncConnection, application_object_id: str
) -> ServicePrincipal | None:
    return await _one(connection, table.c.application_object_id == application_object_id.lower())


async def _one(connection: AsyncConnection, where: Any) -> ServicePrincipal | None:
    row = (await connection.execute(select(*table.columns).where(where))).one_or_none()
    return ServicePrincipal(**row._mapping) if row is not None else None


async def find_many(
    connection: AsyncConnection, object_ids: Sequence[str]
) -> Sequence[ServicePrincipal]:
    """Those of at most a thousand that there are, in no order."""
    query = select(*table.columns).where(table.c.object_id.in_(object_ids))
    return [ServicePrincipal(**row._mapping) for row in await connection.execute(query)]


async def page(
    connection: AsyncConnection,
    *,
    after: str | None,
    limit: int,
    matches: Sequence[Match] = (),
) -> Sequence[ServicePrincipal]:
    """At most `limit` in the order of their application ids, those after one that match."""
    query = select(*table.columns).where(*matching(table, matches))
    if after is not None:
        query = query.where(table.c.app_id > after)
    query = query.order_by(table.c.app_id).limit(limit)
    return [ServicePrincipal(**row._mapping) for row in await connection.execute(query)]


async def count(connection: AsyncConnection, matches: Sequence[Match] = ()) -> int:
    query = select(func.count()).select_from(table).where(*matching(table, matches))
    return (await connection.execute(query)).scalar_one()


async def add(connection: AsyncConnection, principal: ServicePrincipal) -> None:
    values = {column.name: getattr(principal, column.name) for column in table.columns}
    await connection.execute(insert(table).values(**values))


async def change(connection: AsyncConnection, app_id: str, **values: Any) -> None:
    await connection.execute(update(table).where(table.c.app_id == app_id).values(values))


async def remove(connection: AsyncConnection, principal: ServicePrincipal) -> None:
    where = group_members.c.member_id == principal.object_id
    await connection.execute(delete(group_members).where(where))
    await connection.execute(delete(table).where(table.c.app_id == principal.app_id))


async def credentials_of(
    connection: AsyncConnection, app_id: str
) -> Sequence[ApplicationCredential]:
    query = select(*credentials.columns).where(credentials.c.app_id == app_id.lower())
    rows = await connection.execute(query.order_by(credentials.c.starts, credentials.c.key_id))
    return [ApplicationCredential(**row._mapping) for row in rows]


async def credentials_of_many(
    connection: AsyncConnection, app_ids: Sequence[str]
) -> Sequence[ApplicationCredential]:
    """Of at most a thousand, the oldest first."""
    query = select(*credentials.columns).where(credentials.c.app_id.in_(app_ids))
    rows = await connection.execute(query.order_by(credentials.c.starts, credentials.c.key_id))
    return [ApplicationCredential(**row._mapping) for row in rows]


async def add_credential(connection: AsyncConnection, made: ApplicationCredential) -> None:
    values = {column.name: getattr(made, column.name) for column in credentials.columns}
    await connection.execute(insert(credentials).values(**values))


async def remove_credential(connection: AsyncConnection, app_id: str, key_id: str) -> bool:
    """Whether there was such a credential."""
    where = (credentials.c.app_id == app_id, credentials.c.key_id == key_id)
    return (await connection.execute(delete(credentials).where(*where))).rowcount > 0
