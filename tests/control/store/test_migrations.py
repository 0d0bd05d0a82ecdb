"""Up from every revision, with something in each table: nothing of it is lost."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from towrope.control.store.database import Database
from towrope.control.store.tables import metadata

pytestmark = pytest.mark.both_databases

Row = dict[str, object]
Content = dict[str, Row]
"""The one row of each table."""


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "towrope.control.store:migrations")
    config.attributes["connection"] = connection
    return config


def revisions() -> list[str]:
    """Oldest first."""
    found = ScriptDirectory.from_config(_config()).walk_revisions()
    return [each.revision for each in found][::-1]


def engine(url: str) -> sa.Engine:
    return sa.create_engine(make_url(url.replace("postgresql:", "postgresql+psycopg:")))


def value(column: sa.Column[object]) -> object:
    """The same for each column of a type, so that foreign keys find what they refer to."""
    match column.type:
        case sa.Boolean():
            return True
        case sa.BigInteger():
            return 2**40
        case sa.Integer():
            return 7
        case sa.JSON():
            return {"a": ["é"]}
        case _:
            return "x"


def filled(connection: sa.Connection) -> Content:
    """Puts a row into each table that there is."""
    there = sa.MetaData()
    there.reflect(connection)
    content: Content = {}
    for table in there.sorted_tables:
        if table.name != "alembic_version":
            row = {column.name: value(column) for column in table.columns}
            connection.execute(sa.insert(table).values(row))
            content[table.name] = row
    return content


def kept(connection: sa.Connection, before: Content) -> Content:
    """Of each row, those columns that still are."""
    there = sa.MetaData()
    there.reflect(connection)
    content: Content = {}
    for name, row in before.items():
        found = connection.execute(sa.select(there.tables[name])).mappings().first()
        assert found is not None, name
        content[name] = {column: found[column] for column in row if column in found}
    return content


@pytest.mark.parametrize("revision", revisions())
async def test_everything_is_kept_from(revision: str, new_database_url: str) -> None:
    made = engine(new_database_url)
    with made.begin() as connection:
        command.upgrade(_config(connection), revision)
        before = filled(connection)
    database = Database(new_database_url)
    await database.open()
    await database.close()
    with made.connect() as connection:
        after = kept(connection, before)
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    made.dispose()
    assert len(before) > 3
    assert after == {
        name: {column: row[column] for column in after[name]} for name, row in before.items()
    }
    assert differences == []
