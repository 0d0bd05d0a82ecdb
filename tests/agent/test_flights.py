"""One question for all who ask it at once."""

import asyncio

import pytest

from towrope.agent.flights import Flights
from towrope.ops import tasks
from towrope.wire.errors import Hop, Unreachable

WITHIN = 5.0


class Played:
    """A question that is answered when the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.asked += 1
        asked = self.asked
        async with asyncio.timeout(WITHIN):
            await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return asked


async def test_all_who_ask_at_once_get_one_answer() -> None:
    flights, question = Flights[int](), Played()
    asking = [tasks.spawn(flights.ask("a", question), name="ask") for _ in range(5)]
    await asyncio.sleep(0)
    assert flights.is_asked("a")
    question.may_answer.set()
    assert await asyncio.gather(*asking) == [1] * 5
    assert not flights.is_asked("a")
    assert await flights.ask("a", question) == 2


async def test_other_questions_are_asked_beside_it() -> None:
    flights, question = Flights[int](), Played()
    question.may_answer.set()
    both = await asyncio.gather(flights.ask("a", question), flights.ask("b", question))
    assert list(both) == [1, 2]


async def test_who_gives_up_takes_it_from_nobody() -> None:
    flights, question = Flights[int](), Played()
    first = tasks.spawn(flights.ask("a", question), name="first")
    second = tasks.spawn(flights.ask("a", question), name="second")
    await asyncio.sleep(0)
    await tasks.cancel(first)
    question.may_answer.set()
    assert await second == 1
    assert question.asked == 1


async def test_a_failure_is_everybodys_and_not_for_ever() -> None:
    flights, question = Flights[int](), Played()
    question.may_answer.set()
    question.failure = Unreachable("away", hop=Hop.SERVER)
    asking = (flights.ask("a", question), flights.ask("a", question))
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert list(found) == [question.failure] * 2
    question.failure = None
    assert await flights.ask("a", question) == 2


async def test_a_fault_of_ours_is_raised_too() -> None:
    flights, question = Flights[int](), Played()
    question.may_answer.set()
    question.failure = AssertionError("ours")
    with pytest.raises(AssertionError, match="ours"):
        await flights.ask("a", question)
