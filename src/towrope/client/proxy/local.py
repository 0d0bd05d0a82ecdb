"""The local proxy of one process: it has the port, or joins the process that has it.

    claim ──▶ has the port ──────────────▶ until it is closed
      ▲  └──▶ joined to its owner ──┐
      └──────── the owner has gone ─┘

Several run side by side, one for each cluster; when the port's owner ends, another takes it over.
"""

import asyncio
import contextlib
from pathlib import Path

from towrope.client.proxy.front import Front, Report
from towrope.client.proxy.join import Lease, joined
from towrope.client.proxy.port import Owned, claim, listen, port_in_use
from towrope.client.proxy.routes import Route, Routes
from towrope.ops.backoff import Backoff
from towrope.ops.tasks import cancel, spawn
from towrope.wire.errors import TowropeError

CLAIM_WITHIN = 3.0
"""Seconds to get hold of a port whose owner is just coming or going."""


class LocalProxy:
    """Makes one cluster reachable at one port of 127.0.0.1."""

    def __init__(self, route: Route, *, port: int, folder: Path, report: Report) -> None:
        self._route = route
        self._wanted = port
        self._folder = folder
        self._report = report
        routes = Routes()
        routes.add(route)
        self._front = Front(routes=routes, report=report)
        self._owned: Owned | None = None
        self._own_port: int | None = None
        """Where the port's owner finds this process when it has joined."""
        self._lease: Lease | None = None
        self._leases = contextlib.AsyncExitStack()
        self._following: asyncio.Task[None] | None = None

    @property
    def owns_port(self) -> bool:
        return self._owned is not None

    async def start(self) -> int:
        """Returns the port once the cluster can be reached there. Raises `TowropeError`."""
        await self._settle()
        if self._owned is None:
            self._following = spawn(self._follow(), name="local proxy: follow the port's owner")
            return self._wanted
        return self._owned.record.port

    async def close(self) -> None:
        await cancel(self._following)
        if self._owned is not None:
            # Before the port is free: its next owner writes a record of its own.
            await asyncio.to_thread(self._owned.withdraw)
        await self._leases.aclose()
        await self._front.close()

    async def _settle(self) -> None:
        deadline = asyncio.get_running_loop().time() + CLAIM_WITHIN
        backoff = Backoff(first=0.05, cap=0.5)
        while not await self._try_to_settle():
            pause = backoff.next_delay()
            if asyncio.get_running_loop().time() + pause > deadline:
                raise await asyncio.to_thread(port_in_use, self._wanted)
            await asyncio.sleep(pause)

    async def _try_to_settle(self) -> bool:
        claimed = await asyncio.to_thread(claim, self._wanted, self._folder)
        if isinstance(claimed, Owned):
            self._owned = claimed
            self._front.secret = claimed.record.secret
            await self._front.listen(claimed.sock)
            return True
        if claimed is None:
            return False
        await self._listen_for_owner()
        assert self._own_port is not None
        lease = joined(claimed, server_name=self._route.server_name, port=self._own_port)
        try:
            self._lease = await self._leases.enter_async_context(lease)
        except TowropeError:
            return False
        return True

    async def _listen_for_owner(self) -> None:
        if self._own_port is None:
            sock = listen(0)
            self._own_port = sock.getsockname()[1]
            await self._front.listen(sock)

    async def _follow(self) -> None:
        """Waits for the end of the port's owner, and then takes its place or joins the next."""
        while self._owned is None:
            assert self._lease is not None
            await self._lease.ended()
            await self._leases.aclose()
            while True:
                try:
                    await self._settle()
                    break
                except TowropeError as error:
                    self._report(f"The proxy has lost its port and tries to get it back: {error}")
                    await asyncio.sleep(1.0)
