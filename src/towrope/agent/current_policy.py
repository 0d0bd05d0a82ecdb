"""The policy that is in force: what the server last said, fetched again upon each hint.

While the server cannot be reached, what is known stays in force. Nothing is known before the first
answer of this run.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from towrope.ops.backoff import Backoff
from towrope.wire import agent_api
from towrope.wire.agent_api import FetchPolicy, Policy
from towrope.wire.errors import TowropeError

FETCH_WITHIN = 4.0
FETCH_EVERY = 300.0
"""Seconds; hints come at once, and this is for one that was lost."""
LONGEST_DELAY = 30.0

Fetch = Callable[[FetchPolicy], Awaitable[Policy | None]]
"""None: the policy is current."""

_log = structlog.get_logger()


class CurrentPolicy:
    """`await run()` until cancelled; `changed` is called when `policy` is another."""

    def __init__(self, fetch: Fetch, *, changed: Callable[[], None]) -> None:
        self.policy: Policy | None = None
        self._fetch = fetch
        self._changed = changed
        # Reasons to fetch are counted: a fetch answers those before its beginning alone.
        self._asked = 1
        self._tried = 0
        self._must_try = 1
        self._hint = asyncio.Event()
        self._ended = asyncio.Event()

    def notified(self, kind: str) -> None:
        """The control channel brought a hint of this kind."""
        if kind == agent_api.POLICY:
            self._ask()

    def missed(self) -> None:
        """The control channel is gone, or there again: hints may have been missed."""
        self._ask()
        self._must_try = self._asked

    def _ask(self) -> None:
        self._asked += 1
        self._hint.set()

    async def run(self) -> None:
        backoff = Backoff(cap=LONGEST_DELAY)
        while True:
            self._hint.clear()
            number = self._asked
            is_answered = await self._try()
            self._tried = number
            self._ended.set()
            if is_answered:
                backoff.reset()
            await self._hinted(within=FETCH_EVERY if is_answered else backoff.next_delay())

    async def tried(self) -> None:
        """Until it was tried once since the start, and since the control channel was away."""
        while self._tried < self._must_try:
            self._ended.clear()
            await self._ended.wait()

    async def _try(self) -> bool:
        known = self.policy
        try:
            async with asyncio.timeout(FETCH_WITHIN):
                found = await self._fetch(FetchPolicy(version=known.version if known else ""))
        except TimeoutError:
            _log.warning("the policy may be out of date", reason="no answer in time")
            return False
        except TowropeError as error:
            _log.warning("the policy may be out of date", reason=error.message, hop=error.hop)
            return False
        if found is not None:
            self.policy = found
            _log.info("policy", version=found.version, is_enforced=found.is_enforced)
            self._changed()
        return True

    async def _hinted(self, *, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._hint.wait()
        except TimeoutError:
            return
