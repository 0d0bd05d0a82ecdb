"""Service principals: programs that sign in with a secret, of which only the hash is kept."""

from dataclasses import dataclass, field

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.tables import service_principals as table


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePrincipal:
    """`secret_hash` is the SHA-256 of a random secret of 256 bits, hexadecimal."""

    app_id: str
    object_id: str
    display_name: str
    secret_hash: str = field(repr=False)


async def find(connection: AsyncConnection, app_id: str) -> ServicePrincipal | None:
    query = select(*table.columns).where(table.c.app_id == app_id.lower())
    row = (await connection.execute(query)).one_or_none()
    return ServicePrincipal(**row._mapping) if row is not None else None


async def find_by_name(connection: AsyncConnection, display_name: str) -> ServicePrincipal | None:
    query = select(*table.columns).where(table.c.display_name == display_name).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return ServicePrincipal(**row._mapping) if row is not None else None


async def add(connection: AsyncConnection, principal: ServicePrincipal) -> None:
    await connection.execute(
        insert(table).values(
            app_id=principal.app_id,
            object_id=principal.object_id,
            display_name=principal.display_name,
            secret_hash=principal.secret_hash,
        )
    )
