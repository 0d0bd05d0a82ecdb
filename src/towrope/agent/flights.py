"""One question at a time: however many want an answer, it is asked for once.

Whoever gives up waiting does not take the answer from the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from towrope.ops import tasks
from towrope.wire.errors import TowropeError

Answer = TypeVar("Answer")


class Flights(Generic[Answer]):
    """Questions that are under way, by their keys."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Answer | TowropeError]] = {}

    def is_asked(self, key: Hashable) -> bool:
        return key in self._running

    async def ask(self, key: Hashable, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Raises what `question` raises; of our own errors those in the tree alone."""
        task = self._running.get(key)
        if task is None:
            task = tasks.spawn(_outcome(question), name="question")
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key))
        outcome = await asyncio.shield(task)
        if isinstance(outcome, TowropeError):
            raise outcome
        return outcome


async def _outcome(question: Callable[[], Awaitable[Answer]]) -> Answer | TowropeError:
    try:
        return await question()
    except TowropeError as error:
        return error
