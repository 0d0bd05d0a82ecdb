"""Which hybrid connections have listeners: heard from the relay, written to the store on change.

The newest state of a path is what is written; the states between are not worth a write.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum

import structlog

from towrope.control.store import clusters
from towrope.control.store.database import Database
from towrope.ops.backoff import Backoff
from towrope.ops.tasks import cancel, spawn

_log = structlog.get_logger()


class Connectivity(StrEnum):
    """`connectivityStatus`, Arc's words. Connecting until there was a listener."""

    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    OFFLINE = "Offline"


class Presence:
    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._listeners: dict[str, int] = {}
        self._unwritten: dict[str, Connectivity] = {}
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        async with self._database.writing() as connection:
            await clusters.set_all_present_to(
                connection, Connectivity.OFFLINE, present=Connectivity.CONNECTED
            )
        self._writer = spawn(self._write_forever(), name="presence")

    async def stop(self) -> None:
        """Writes what is unwritten, once."""
        await cancel(self._writer)
        await self._write()

    def changed(self, path: str, listeners: int) -> None:
        """The relay tells how many listeners `path` has."""
        key = path.lower()
        had = key in self._listeners
        if listeners > 0:
            self._listeners[key] = listeners
        else:
            self._listeners.pop(key, None)
        if had != (listeners > 0):
            present = listeners > 0
            self._unwritten[key] = Connectivity.CONNECTED if present else Connectivity.OFFLINE
            self._wake.set()

    def listeners(self, path: str) -> int:
        return self._listeners.get(path.lower(), 0)

    async def _write_forever(self) -> None:
        backoff = Backoff()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._write()
                backoff.reset()
            except Exception as error:
                _log.warning("presence is not written", error=type(error).__name__)
                self._wake.set()
                await asyncio.sleep(backoff.next_delay())

    async def _write(self) -> None:
        states, now = dict(self._unwritten), int(self._clock())
        if not states:
            return
        async with self._database.writing() as connection:
            for path, status in states.items():
                await clusters.set_presence(connection, path, status=status, seen=now)
        for path, status in states.items():
            if self._unwritten.get(path) is status:
                del self._unwritten[path]
