"""Trusted issuers as the rest of the control plane reads them, out of the store."""

from dataclasses import dataclass, field

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.issuer_metadata import Metadata
from towrope.control.issuer_settings import IssuerSettings
from towrope.control.store import trusted_issuers as store
from towrope.control.store.trusted_issuers import TrustedIssuerRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    name: str
    settings: IssuerSettings
    metadata: Metadata
    fetched_at: int
    """Unix seconds of the last time that its metadata could be fetched."""
    sealed_secret: str | None = field(repr=False, default=None)


async def find(connection: AsyncConnection, name: str) -> Issuer | None:
    row = await store.find(connection, name)
    return None if row is None else _issuer(row)


async def every(connection: AsyncConnection) -> list[Issuer]:
    return [_issuer(row) for row in await store.every(connection)]


async def put(connection: AsyncConnection, issuer: Issuer) -> None:
    row = TrustedIssuerRow(
        name=issuer.name,
        properties=msgspec.to_builtins(issuer.settings),
        discovered=msgspec.to_builtins(issuer.metadata),
        fetched_at=issuer.fetched_at,
        sealed_secret=issuer.sealed_secret,
    )
    await store.put(connection, row)


async def set_metadata(
    connection: AsyncConnection, name: str, metadata: Metadata, *, fetched_at: int
) -> None:
    discovered = msgspec.to_builtins(metadata)
    await store.set_discovered(connection, name, discovered, fetched_at=fetched_at)


def _issuer(row: TrustedIssuerRow) -> Issuer:
    return Issuer(
        name=row.name,
        settings=msgspec.convert(row.properties, IssuerSettings),
        metadata=msgspec.convert(row.discovered, Metadata),
        fetched_at=row.fetched_at,
        sealed_secret=row.sealed_secret,
    )
