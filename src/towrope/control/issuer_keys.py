"""Keeps the keys of trusted issuers current: by their age, and when somebody meets an unknown one.

What could not be fetched changes nothing: the last good keys stay. Agents are told when a key set
has changed.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from towrope.control import issuers
from towrope.control.issuer_metadata import Metadata, fetch
from towrope.control.issuers import Issuer
from towrope.control.store.database import Database
from towrope.ops.tasks import cancel, spawn
from towrope.wire import agent_api
from towrope.wire.errors import Unreachable

AGE_LIMIT = 3600.0
"""Seconds after which keys are fetched anew; a withdrawn key is good for so long at most."""
LOOK_EVERY = 60.0
AGAIN_AFTER = 10.0
"""Seconds for which an issuer is not asked again, however many unknown keys are met."""

_log = structlog.get_logger()


@dataclass(slots=True)
class _Attempt:
    at: float
    task: asyncio.Task[None] = field(repr=False)


class IssuerKeys:
    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float],
        notify: Callable[[str | None, str], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._notify = notify
        self._attempts: dict[str, _Attempt] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._keeper = spawn(self._keep_forever(), name="issuer keys")

    async def stop(self) -> None:
        await cancel(self._keeper, *(attempt.task for attempt in self._attempts.values()))

    async def look_again(self, name: str) -> None:
        """Fetches the keys of an issuer, for somebody met one that is not known.

        All who ask meanwhile wait for the same attempt; soon after it nothing is done.
        """
        attempt = self._attempts.get(name.lower())
        if attempt is None or abs(self._clock() - attempt.at) >= AGAIN_AFTER:
            attempt = self._attempt(name)
        await asyncio.wait([attempt.task])

    def forget(self, name: str) -> None:
        """The issuer is another one from here on, or gone."""
        attempt = self._attempts.pop(name.lower(), None)
        if attempt is not None:
            attempt.task.cancel()

    async def refresh_what_is_old(self) -> None:
        async with self._database.reading() as connection:
            found = await issuers.every(connection)
        limit = AGE_LIMIT * random.uniform(0.8, 1.0)  # noqa: S311 - so that servers do not march
        old = [each.name for each in found if abs(self._clock() - each.fetched_at) >= limit]
        for name in old:
            await self.look_again(name)

    def _attempt(self, name: str) -> _Attempt:
        task = spawn(self._refresh(name), name=f"keys of {name}")
        attempt = self._attempts[name.lower()] = _Attempt(self._clock(), task)
        return attempt

    async def _keep_forever(self) -> None:
        while True:
            try:
                await self.refresh_what_is_old()
            except Exception as error:
                _log.warning("issuers are not refreshed", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY)

    async def _refresh(self, name: str) -> None:
        async with self._database.reading() as connection:
            issuer = await issuers.find(connection, name)
        if issuer is None:
            return
        try:
            metadata, fetched_at = await fetch(issuer.settings), int(self._clock())
        except Unreachable as error:
            _log.warning("issuer is not usable", issuer=name, reason=error.message)
            metadata = msgspec.structs.replace(issuer.metadata, last_error=error.message)
            fetched_at = issuer.fetched_at
        await self._keep(issuer, metadata, fetched_at)

    async def _keep(self, issuer: Issuer, metadata: Metadata, fetched_at: int) -> None:
        async with self._database.writing() as connection:
            there = await issuers.find(connection, issuer.name)
            if there is None or there.settings != issuer.settings:
                return
            await issuers.set_metadata(connection, issuer.name, metadata, fetched_at=fetched_at)
        if there.metadata.keys != metadata.keys:
            _log.info("issuer has other keys", issuer=issuer.name, keys=len(metadata.keys))
            self._notify(None, agent_api.TRUST)
