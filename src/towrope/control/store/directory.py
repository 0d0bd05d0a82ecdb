"""What the stores of the directory have in common: when it last changed so that somebody lost
something that a token may still say, and what a row must have to be found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.tables import directory_state as table

KEY = "directory"
_HELD_IN_LOWER_CASE = frozenset({"key", "object_id", "app_id", "application_object_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a row must have in `column`: a text without regard to case, or its beginning."""

    column: str
    value: str | bool
    is_prefix: bool = False


def matching(where: Table, matches: Sequence[Match]) -> list[ColumnElement[bool]]:
    return [_condition(where.c[match.column], match) for match in matches]


def _condition(column: Any, match: Match) -> ColumnElement[bool]:
    if isinstance(match.value, bool):
        is_so: ColumnElement[bool] = column.is_(match.value)
        return is_so
    # The database's own idea of lower case, on both sides: SQLite's knows ASCII only.
    text = _as_pattern(match.value) if match.is_prefix else match.value
    held: Any = func.lower(column)
    given: Any = func.lower(text)
    if column.name in _HELD_IN_LOWER_CASE:
        held, given = column, text.lower()
    found: ColumnElement[bool] = held.like(given, escape="/") if match.is_prefix else held == given
    return found


def _as_pattern(prefix: str) -> str:
    return prefix.replace("/", "//").replace("%", "/%").replace("_", "/_") + "%"


async def changed_at(connection: AsyncConnection) -> int:
    """Unix seconds; 0 where nothing was ever lost."""
    return (await connection.execute(select(table.c.changed_at))).scalar() or 0


async def set_changed(connection: AsyncConnection, now: int) -> None:
    """It never goes back, whatever the clock does."""
    if await changed_at(connection) >= now:
        return
    done = await connection.execute(update(table).values(changed_at=now))
    if not done.rowcount:
        await connection.execute(insert(table).values(key=KEY, changed_at=now))


def from_next_second(now: float) -> int:
    """The `valid_from` that ends all that was issued until now: within this very second too."""
    return int(now) + 1
