import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from towrope.control import throttle
from towrope.control.store import sign_in_failures
from towrope.control.store.database import Database
from towrope.control.throttle import Rule, Subject, Throttle

ADA = throttle.account("ada@example.org")
HERE = throttle.address("192.0.2.1")


@dataclass(kw_only=True)
class Trial:
    throttle: Throttle
    database: Database
    now: float = 1_800_000_000.0

    async def fail(self, times: int, *subjects: Subject) -> list[bool]:
        return [await self.throttle.admit(*subjects) for _ in range(times)]


@pytest.fixture
async def trial(tmp_path: Path) -> AsyncIterator[Trial]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'towrope.db'}")
    await database.open()
    made: list[Trial] = []
    made.append(Trial(throttle=Throttle(database, clock=lambda: made[0].now), database=database))
    try:
        yield made[0]
    finally:
        await database.close()


async def test_five_failures_lock_an_account(trial: Trial) -> None:
    assert await trial.fail(7, ADA) == [True] * 5 + [False] * 2


async def test_the_delays_grow_to_a_quarter_of_an_hour(trial: Trial) -> None:
    await trial.fail(5, ADA)
    for minutes in (1, 2, 4, 8, 15, 15):
        trial.now += minutes * 60 - 1
        assert not await trial.throttle.admit(ADA)
        trial.now += 1
        assert await trial.throttle.admit(ADA)


async def test_attempts_while_locked_do_not_lengthen_the_lock(trial: Trial) -> None:
    await trial.fail(5, ADA)
    await trial.fail(20, ADA)
    trial.now += 60
    assert await trial.throttle.admit(ADA)


async def test_attempts_at_once_are_not_more_than_attempts_in_turn(trial: Trial) -> None:
    answers = await asyncio.gather(*(trial.throttle.admit(ADA) for _ in range(20)))
    assert sum(answers) == 5


async def test_a_success_clears_the_account(trial: Trial) -> None:
    for _ in range(10):
        assert await trial.fail(5, ADA, HERE) == [True] * 5
        await trial.throttle.succeeded(HERE, cleared=ADA)
        trial.now += 2 * 3600


async def test_a_success_does_not_clear_the_address(trial: Trial) -> None:
    """One good account does not let its owner guess at the others from the same address."""
    admitted = 0
    for number in range(100):
        admitted += await trial.throttle.admit(throttle.account(f"user{number}"), HERE)
        if await trial.throttle.admit(ADA, HERE):
            await trial.throttle.succeeded(HERE, cleared=ADA)
    assert admitted == throttle.ADDRESS.allowed


async def test_successes_alone_never_lock_an_address(trial: Trial) -> None:
    for _ in range(throttle.ADDRESS.allowed + 5):
        assert await trial.throttle.admit(ADA, HERE)
        await trial.throttle.succeeded(HERE, cleared=ADA)


async def test_an_attempt_that_an_address_may_not_make_does_not_count_for_the_account(
    trial: Trial,
) -> None:
    await trial.fail(throttle.ADDRESS.allowed, HERE)
    await trial.fail(20, ADA, HERE)
    assert await trial.throttle.admit(ADA)


async def test_failures_are_forgotten_after_a_day(trial: Trial) -> None:
    await trial.fail(4, ADA)
    trial.now += throttle.ACCOUNT.forgotten_after
    assert await trial.fail(5, ADA) == [True] * 5


async def test_the_delay_is_bounded_whatever_the_count(trial: Trial) -> None:
    for _ in range(100):
        await trial.throttle.admit(ADA)
        trial.now += throttle.ACCOUNT.longest_lock
    assert await trial.throttle.admit(ADA)


async def test_the_table_is_bounded_and_keeps_what_is_locked(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_failures, "ROW_LIMIT", 10)
    await trial.fail(5, ADA)
    for number in range(30):
        await trial.throttle.admit(throttle.account(f"nobody{number}"))
    async with trial.database.reading() as connection:
        rows = (await connection.exec_driver_sql("SELECT count(*) FROM sign_in_failures")).scalar()
    assert rows == 10
    assert not await trial.throttle.admit(ADA)


async def test_what_has_expired_leaves_the_table(trial: Trial) -> None:
    await trial.fail(1, HERE)
    trial.now += throttle.ADDRESS.forgotten_after
    await trial.fail(1, ADA)
    async with trial.database.reading() as connection:
        keys = (await connection.exec_driver_sql("SELECT key FROM sign_in_failures")).scalars()
        assert list(keys) == [ADA.key]


async def test_nothing_that_was_typed_is_in_the_table(trial: Trial) -> None:
    await trial.fail(1, ADA, HERE)
    async with trial.database.reading() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM sign_in_failures")).all()
    assert "ada" not in str(rows)
    assert "192.0" not in str(rows)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (throttle.account("ADA@Example.org"), ADA),
        (throttle.account("\uff41da@example.org"), ADA),
        (throttle.address("2001:db8::1"), throttle.address("2001:db8::ffff:2")),
        (throttle.address("::ffff:192.0.2.1"), HERE),
    ],
)
def test_names_for_the_same_are_counted_together(one: Subject, other: Subject) -> None:
    assert one == other


@pytest.mark.parametrize(
    "other",
    [
        throttle.account("bob@example.org"),
        throttle.address("ada@example.org"),
        throttle.code_address("192.0.2.1"),
        throttle.address("2001:db8:0:1::1"),
        throttle.address("testclient"),
        throttle.account("\ud800"),
        throttle.code_everywhere(),
    ],
)
def test_names_for_different_things_are_counted_apart(other: Subject) -> None:
    assert other.key not in (ADA.key, HERE.key, throttle.address("2001:db8::1").key)


async def test_codes_are_locked_for_everybody_only_shortly(trial: Trial) -> None:
    everywhere = Subject(key="0" * 64, rule=Rule(allowed=2, longest_lock=60, forgotten_after=900))
    assert throttle.CODE_EVERYWHERE.longest_lock == everywhere.rule.longest_lock
    for _ in range(5):
        await trial.fail(3, everywhere)
    trial.now += 60
    assert await trial.throttle.admit(everywhere)
