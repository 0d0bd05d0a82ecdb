"""The database: its engine, transactions, and bringing it to the current revision.

SQLite by default, PostgreSQL by URL. There is one writer at a time, of all processes that use the
database: what a writer has read is so until it ends, whichever of the two keeps it. A transaction
that ended without an error is on the disk.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from towrope.wire.errors import Hop, TowropeError, foreign

WRITE_PATIENCE = 30.0
"""Seconds that a writer waits for the writers before it."""
BUSY_TIMEOUT_MS = 10_000
POSTGRESQL = "postgresql"
WRITER_LOCK = int.from_bytes(b"towrope")
"""The advisory lock of PostgreSQL that a writer holds, and whoever migrates."""


class Database:
    """`open()`, then transactions by `reading()` and `writing()`, then `close()`."""

    def __init__(self, url: str) -> None:
        """Raises `TowropeError` where `url` names no database that we can speak to."""
        try:
            self._url = _async_url(url)
            backend = self._url.get_backend_name()
            # A connection of the pool may be to a server that was restarted since.
            self._engine = create_async_engine(self._url, pool_pre_ping=backend == POSTGRESQL)
        except (SQLAlchemyError, ImportError, ValueError):
            # The cause would repeat the URL, which may hold a password.
            raise TowropeError(
                "The database URL is not usable; expected 'postgresql://USER@HOST/NAME' or"
                " 'sqlite:////PATH'.",
                hop=Hop.SERVER,
            ) from None
        _adapt(self._engine.sync_engine)
        self._reading = _READING.get(backend, {})
        self._writer = asyncio.Lock()

    async def open(self) -> None:
        """Migrates to the current revision. Raises `TowropeError` where that cannot be done."""
        try:
            await asyncio.to_thread(_migrate, self._url)
        except (SQLAlchemyError, CommandError, OSError) as error:
            raise _cannot_open(error) from None

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state of the database, and changes nothing."""
        async with self._engine.connect() as plain:
            yield await plain.execution_options(**self._reading)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is durable once the block ends, and undone if the block raises."""
        async with asyncio.timeout(WRITE_PATIENCE):
            await self._writer.acquire()
        try:
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(**_WRITING)
                async with connection.begin():
                    await connection.run_sync(_become_the_writer)
                    yield connection
        finally:
            self._writer.release()


_WRITING = {"towrope_begin": "BEGIN IMMEDIATE"}
_READING: Mapping[str, dict[str, Any]] = {
    POSTGRESQL: {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
}


def _become_the_writer(connection: Connection) -> None:
    """SQLite's own lock came with BEGIN IMMEDIATE."""
    if connection.dialect.name == POSTGRESQL:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(WRITE_PATIENCE * 1000)}")
        connection.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))


def _cannot_open(error: Exception) -> TowropeError:
    if isinstance(error, CommandError):
        why = "it was used by a newer version of Towrope; run that one, or restore a backup"
    else:
        why = foreign(str(getattr(error, "orig", None) or error))
    return TowropeError(f"The database cannot be opened: {why}.", hop=Hop.SERVER)


def _async_url(text: str) -> URL:
    url = make_url(text)
    drivers = {"sqlite": "sqlite+aiosqlite", POSTGRESQL: "postgresql+psycopg"}
    return url.set(drivername=drivers.get(url.drivername, url.drivername))


def _migrate(url: URL) -> None:
    """On a connection of its own, which a failure leaves nothing of to an event loop."""
    engine = create_engine(
        url.set(drivername=url.drivername.replace("+aiosqlite", "")), execution_options=_WRITING
    )
    _adapt(engine)
    try:
        with engine.begin() as connection:
            _become_the_writer(connection)
            _upgrade(connection)
    finally:
        engine.dispose()


def _adapt(engine: Engine) -> None:
    if engine.dialect.name == POSTGRESQL:
        event.listen(engine, "connect", _prepare_postgresql)
    else:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)


def _prepare_postgresql(connection: Any, _: Any) -> None:
    # Every query here finds a few rows by an index. Without this a walk up through nested groups
    # may read all memberships for each step, whatever the statistics say.
    cursor = connection.cursor()
    for name in ("enable_hashjoin", "enable_mergejoin", "jit"):
        cursor.execute(f"SET {name} = off")
    cursor.close()
    connection.commit()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # The driver must not begin transactions by itself: it would begin them deferred, and a
    # deferred transaction that turns into a writer cannot wait for the writer before it.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("towrope_begin", "BEGIN"))


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "towrope.control.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
