"""Connections to the apiserver: each for one client alone, and a few fresh ones kept ready.

Those for requests with the caller's own credential and those for requests with the agent's are two
`Upstreams`, and never the same connection. A ready connection has carried nothing. It is thrown
away before the apiserver would (its limit for the first request's head is 32 s), and none are kept
while nobody calls.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from dataclasses import dataclass, field

import aiofastnet

from towrope.agent.connection import Connection
from towrope.agent.own_credential import OwnCredential
from towrope.ops import tasks
from towrope.wire.errors import Hop, TowropeError, Unreachable, foreign

DIAL_WITHIN = 5.0
READY = 2
FRESH_FOR = 20.0
"""Seconds for which a connection that carried nothing is still offered."""
KEPT_FOR = 300.0
"""Seconds after the last call for which connections are kept ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the apiserver is, and how it is known to be the right one."""

    host: str
    port: int
    tls: ssl.SSLContext = field(repr=False)
    tls_server_name: str
    path: bytes = b""
    """What stands before each request's target, where the apiserver is behind another server."""

    @property
    def authority(self) -> bytes:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == 443 else f"{host}:{self.port}").encode()


class Upstreams:
    """Gives out connections to one apiserver.

    With `credential`, the agent's own, they are for verified callers' requests alone.
    """

    def __init__(
        self, address: Address, *, credential: OwnCredential | None = None, ready: int = READY
    ) -> None:
        self.address = address
        self.credential = credential
        self._wanted = ready
        self._ready: deque[tuple[float, Connection]] = deque()
        self._keeper: asyncio.Task[None] | None = None
        self._taken = asyncio.Event()
        self._last_taken = 0.0

    async def take(self) -> Connection:
        """A connection that nothing was sent on yet. Raises `Unreachable`."""
        self._last_taken = _now()
        self._taken.set()
        connection = self._take_ready()
        if self._wanted and (self._keeper is None or self._keeper.done()):
            self._keeper = tasks.spawn(self._keep(), name="upstream keeper")
        return connection or await dial(self.address)

    def _take_ready(self) -> Connection | None:
        self._drop_old()
        return self._ready.popleft()[1] if self._ready else None

    def _drop_old(self) -> None:
        usable = [
            (made_at, connection)
            for made_at, connection in self._ready
            if _now() - made_at < FRESH_FOR and not connection.is_lost and not connection.buffer
        ]
        for item in self._ready:
            if item not in usable:
                item[1].abort()
        self._ready = deque(usable)

    async def _keep(self) -> None:
        while _now() - self._last_taken < KEPT_FOR:
            self._drop_old()
            try:
                while len(self._ready) < self._wanted:
                    connection = await dial(self.address)
                    self._ready.append((_now(), connection))
            except TowropeError:
                return  # the next call dials for itself, and says why it cannot
            self._taken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FRESH_FOR / 2):
                    await self._taken.wait()

    async def close(self) -> None:
        await tasks.cancel(self._keeper)
        while self._ready:
            self._ready.popleft()[1].abort()


async def dial(address: Address, *, within: float = DIAL_WITHIN) -> Connection:
    """A new connection to the apiserver. Raises `Unreachable`."""
    where = f"{address.host}:{address.port}"
    try:
        async with asyncio.timeout(within):
            _, connection = await aiofastnet.create_connection(
                asyncio.get_running_loop(),
                lambda: Connection(hop=Hop.APISERVER),
                address.host,
                address.port,
                ssl=address.tls,
                server_hostname=address.tls_server_name,
            )
    except ssl.SSLCertVerificationError as error:
        raise _unreachable(
            where, f"its certificate is not trusted ({error.verify_message})"
        ) from None
    except TimeoutError:
        raise _unreachable(where, f"no answer within {within:g} s") from None
    except OSError as error:
        raise _unreachable(where, foreign(str(error)) or type(error).__name__) from None
    return connection


def _unreachable(where: str, why: str) -> Unreachable:
    return Unreachable(
        f"The agent cannot reach the apiserver at {where}: {why}."
        " Check that the apiserver runs and that the agent's network reaches it.",
        hop=Hop.APISERVER,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
