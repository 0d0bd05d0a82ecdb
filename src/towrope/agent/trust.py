"""The trust that is in force: what the server last said, and whether it may have changed since.

After a hint that it changed, no issuer's token is judged before it was fetched again. After the
control channel was away, so that a hint may have been missed, that is tried once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from towrope.agent.flights import Flights
from towrope.agent.issuers import Issuer, Issuers
from towrope.wire import agent_api
from towrope.wire.agent_api import Configuration, FetchConfiguration, Trust, UnknownKey
from towrope.wire.errors import Hop, TowropeError, Unreachable

FETCH_WITHIN = 4.0
UNKNOWN_KEY_EVERY = 10.0
"""Seconds between two fetches for keys that one issuer is not known to have."""

Fetch = Callable[[FetchConfiguration], Awaitable[Configuration]]

_log = structlog.get_logger()


class CurrentTrust:
    """`fetch` asks the server. Fetches are numbered as they begin, so that a late answer to an
    early one never takes the place of a newer, nor counts as an answer to a hint between them."""

    def __init__(
        self, trust: Trust, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuers = Issuers(trust)
        self._fetch = fetch
        self._clock = clock
        self._flights: Flights[None] = Flights()
        self._begun = 0
        self._taken = 0
        self._ended = 0
        self._must_reach = 0
        self._should_reach = 0
        self._hints = 0
        self.on_hint: Callable[[], None] | None = None
        """Called when `hints` has grown."""
        self._next_key_fetch: dict[str, float] = {}

    @property
    def issuers(self) -> Issuers:
        """In force, or out of date."""
        return self._issuers

    @property
    def hints(self) -> int:
        """Grows whenever something may have changed, even where `issuers` stay the same."""
        return self._hints

    def notified(self, kind: str) -> None:
        """The control channel brought a hint of this kind."""
        if kind == agent_api.TRUST:
            self._must_reach = self._begun + 1
            self._tell()

    def missed(self) -> None:
        """The control channel is gone, or there again: hints may have been missed."""
        self._should_reach = self._begun + 1
        self._tell()

    async def current(self) -> Issuers:
        """For a trusted issuer's token. Raises `Unreachable` where they cannot be known."""
        if self._taken < self._must_reach:
            await self._refresh()
        else:
            await self.attempted()
        return self._issuers

    async def attempted(self) -> Issuers:
        """For a token of nobody who was trusted so far: as `current`, but tried once only, since
        such a token is for the apiserver to judge whether the server can be reached or not."""
        if self._ended < max(self._must_reach, self._should_reach):
            try:
                await self._refresh()
            except Unreachable as error:
                _log.warning("the trust may be out of date", reason=error.message)
        return self._issuers

    async def with_key(self, issuer: Issuer, key_id: str) -> Issuers:
        """After another look at the issuer's keys, unless there was one just now. Raises
        `Unreachable`."""
        now = self._clock()
        if not self._flights.is_asked(issuer.name):
            if now < self._next_key_fetch.get(issuer.name, now):
                return self._issuers
            self._next_key_fetch[issuer.name] = now + UNKNOWN_KEY_EVERY
        unknown = UnknownKey(issuer=issuer.name, key_id=key_id)
        await self._flights.ask(issuer.name, lambda: self._fetch_for(unknown))
        return self._issuers

    async def renew_by(self, ask: Callable[[], Awaitable[Configuration]]) -> None:
        """Takes what the server says in answer to something else. Raises what `ask` raises."""
        self._begun += 1
        number = self._begun
        try:
            configuration = await ask()
        finally:
            self._ended = max(self._ended, number)
        if number > self._taken:
            self._taken = number
            if configuration.trust != self._issuers.trust:
                self._issuers = Issuers(configuration.trust)
                self._tell()

    def _tell(self) -> None:
        self._hints += 1
        if self.on_hint is not None:
            self.on_hint()

    async def _refresh(self) -> None:
        # By the number that it must have: one that began before the last hint is not joined.
        target = max(self._must_reach, self._should_reach)
        await self._flights.ask(target, self._fetch_for)

    async def _fetch_for(self, *unknown: UnknownKey) -> None:
        request = FetchConfiguration(unknown_keys=unknown)
        try:
            async with asyncio.timeout(FETCH_WITHIN):
                await self.renew_by(lambda: self._fetch(request))
        except TimeoutError:
            raise _unknown(f"it did not answer within {FETCH_WITHIN:g} s") from None
        except TowropeError as error:
            raise _unknown(error.message) from None


def _unknown(why: str) -> Unreachable:
    return Unreachable(
        "The agent cannot ask the server whether this token is still good, and does not serve it"
        f" until it can: {why}",
        hop=Hop.SERVER,
    )
