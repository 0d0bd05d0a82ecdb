import asyncio
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import update

from towrope.control.store import groups, resource_groups, service_principals
from towrope.control.store.database import Database
from towrope.control.store.resource_groups import ResourceGroup
from towrope.control.store.tables import metadata
from towrope.control.store.tables import resource_groups as table
from towrope.wire.errors import TowropeError


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'towrope.db'}"


def group(name: str) -> ResourceGroup:
    return ResourceGroup(name=name, location="local", tags={})


async def names(database: Database) -> list[str]:
    async with database.reading() as connection:
        return [g.name for g in await resource_groups.page(connection, after=None, limit=100)]


@pytest.mark.both_databases
async def test_the_migrations_make_the_tables(new_database_url: str) -> None:
    database = Database(new_database_url)
    await database.open()
    async with database.reading() as connection:
        differences = await connection.run_sync(
            lambda plain: compare_metadata(MigrationContext.configure(plain), metadata)
        )
    await database.close()
    assert differences == []


@pytest.mark.both_databases
async def test_opening_again_keeps_what_is_there(new_database_url: str) -> None:
    for expected in ([], ["a"]):
        database = Database(new_database_url)
        await database.open()
        assert await names(database) == expected
        if not expected:
            async with database.writing() as connection:
                await resource_groups.add(connection, group("a"))
        await database.close()


async def test_sqlite_is_durable_and_shared(tmp_path: Path) -> None:
    database = Database(url(tmp_path))
    await database.open()
    async with database.reading() as connection:
        read = {
            pragma: (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar()
            for pragma in ("journal_mode", "synchronous", "foreign_keys")
        }
    await database.close()
    assert read == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.both_databases
async def test_a_failed_transaction_leaves_nothing(new_database_url: str) -> None:
    database = Database(new_database_url)
    await database.open()
    with pytest.raises(RuntimeError):
        async with database.writing() as connection:
            await resource_groups.add(connection, group("a"))
            raise RuntimeError
    assert await names(database) == []
    async with database.writing() as connection:
        await resource_groups.add(connection, group("b"))
    assert await names(database) == ["b"]
    await database.close()


@pytest.mark.both_databases
async def test_writers_queue_up(new_database_url: str) -> None:
    database = Database(new_database_url)
    await database.open()

    async def write(name: str) -> None:
        async with database.writing() as connection:
            if await resource_groups.find(connection, "same") is None:
                await resource_groups.add(connection, group("same"))
            await resource_groups.add(connection, group(name))

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(write(f"g{number:02}"))
    assert await names(database) == [*(f"g{number:02}" for number in range(20)), "same"]
    await database.close()


@pytest.mark.both_databases
async def test_two_processes_can_write(new_database_url: str) -> None:
    one, other = Database(new_database_url), Database(new_database_url)
    await one.open()
    await other.open()

    async def write(database: Database, name: str) -> None:
        for number in range(10):
            async with database.writing() as connection:
                await resource_groups.find(connection, "x")
                await resource_groups.add(connection, group(f"{name}{number}"))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write(one, "a"))
        tasks.create_task(write(other, "b"))
    assert len(await names(one)) == 20
    await one.close()
    await other.close()


@pytest.mark.both_databases
async def test_what_a_writer_has_read_stays_so(new_database_url: str) -> None:
    one, other = Database(new_database_url), Database(new_database_url)
    await one.open()
    await other.open()
    async with one.writing() as connection:
        await resource_groups.add(connection, ResourceGroup(name="a", location="0", tags={}))

    async def count(database: Database) -> None:
        for _ in range(10):
            async with database.writing() as connection:
                read = await resource_groups.find(connection, "a")
                assert read is not None
                more = update(table).values(location=str(int(read.location) + 1))
                await connection.execute(more)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(count(one))
        tasks.create_task(count(other))
    async with one.reading() as connection:
        counted = await resource_groups.find(connection, "a")
    assert counted is not None
    assert counted.location == "20"
    await one.close()
    await other.close()


@pytest.mark.both_databases
async def test_two_processes_can_migrate_at_once(new_database_url: str) -> None:
    program = "import asyncio, sys; from towrope.control.store.database import Database\n"
    program += "asyncio.run(Database(sys.argv[1]).open())"
    command = [sys.executable, "-c", program, new_database_url]
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(2)]
    assert [await process.wait() for process in processes] == [0, 0]


@pytest.mark.both_databases
async def test_a_reader_sees_one_state(new_database_url: str) -> None:
    database = Database(new_database_url)
    await database.open()
    async with database.reading() as reading:
        assert await resource_groups.find(reading, "a") is None
        async with database.writing() as writing:
            await resource_groups.add(writing, group("a"))
        assert await resource_groups.find(reading, "a") is None
    assert await names(database) == ["a"]
    await database.close()


@pytest.mark.parametrize("content", [b"garbage" * 1000, None])
async def test_what_is_no_database_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / "towrope.db").mkdir()
    else:
        (tmp_path / "towrope.db").write_bytes(content)
    database = Database(url(tmp_path))
    with pytest.raises(TowropeError, match="cannot be opened"):
        await database.open()


@pytest.mark.parametrize(
    "text", ["", "nonsense", "mysql://u:hunter2@h/n", "postgresql://u:hunter2@h:port/n"]
)
def test_what_is_no_database_url_is_said_without_it(text: str) -> None:
    with pytest.raises(TowropeError, match="database URL is not usable") as failed:
        Database(text)
    assert "hunter2" not in failed.value.message


@pytest.mark.both_databases
async def test_a_newer_schema_is_refused(new_database_url: str) -> None:
    database = Database(new_database_url)
    await database.open()
    async with database.writing() as connection:
        await connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    await database.close()
    with pytest.raises(TowropeError, match="newer version"):
        await Database(new_database_url).open()


async def test_a_service_principal_of_the_first_revision_keeps_its_secret(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'towrope.db'}")
    with engine.begin() as plain:
        config = Config()
        config.set_main_option("script_location", "towrope.control.store:migrations")
        config.attributes["connection"] = plain
        command.upgrade(config, "0001")
        plain.execute(
            sa.text(
                "INSERT INTO service_principals (app_id, object_id, display_name, secret_hash)"
                " VALUES ('app', 'object', 'administrator', 'hash')"
            )
        )
    engine.dispose()
    database = Database(url(tmp_path))
    await database.open()
    async with database.reading() as connection:
        principal = await service_principals.find(connection, "app")
        credentials = await service_principals.credentials_of(connection, "app")
        memberships = await groups.groups_of(connection, "object")
    await database.close()
    assert principal is not None
    assert principal.account_enabled
    assert [each.secret_hash for each in credentials] == ["hash"]
    assert memberships == {groups.ADMINISTRATORS}


@pytest.mark.both_databases
async def test_groups_in_a_circle_end(new_database_url: str) -> None:
    database = Database(new_database_url)
    await database.open()
    async with database.writing() as connection:
        for name in ("a", "b", "c"):
            made = groups.Group(object_id=name, display_name=name, mail_nickname=name, created=1)
            await groups.add(connection, made)
        for inner, outer in (("user", "a"), ("a", "b"), ("b", "c"), ("c", "a")):
            member = groups.Member(object_id=inner, kind=groups.MemberKind.GROUP)
            await groups.add_member(connection, outer, member)
    async with database.reading() as connection:
        found = await groups.groups_of(connection, "user")
    await database.close()
    assert found == {"a", "b", "c"}
