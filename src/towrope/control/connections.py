"""The HTTP connections of the control plane, each handed over by the relay's doorman.

uvicorn's protocol object serves them in this process; here are the bounds that it does not have: a
head, or the trailers of a body, may neither grow without end nor take for ever.
"""

import asyncio
from typing import Any

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from towrope.wire.head import HEAD_LIMIT

HEAD_TIMEOUT = 30.0
IDLE_TIMEOUT = 60
STOP_TIMEOUT = 5.0


class Connections:
    """`accept` makes the protocol of one connection; `close()` ends them all."""

    def __init__(self, app: ASGIApp) -> None:
        self._config = Config(
            app,
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=IDLE_TIMEOUT,
        )
        self._config.load()
        self._state = ServerState()

    def accept(self) -> asyncio.Protocol:
        return _Bounded(self._config, self._state, {})

    async def close(self) -> None:
        """Lets running requests end, for a while, and then cuts what is left."""
        for connection in list(self._state.connections):
            connection.shutdown()
        if running := list(self._state.tasks):
            _, late = await asyncio.wait(running, timeout=STOP_TIMEOUT)
            for task in late:
                task.cancel()
        for connection in list(self._state.connections):
            transport: asyncio.Transport | None = connection.transport
            if transport is not None:
                transport.abort()


class _Bounded(HttpToolsProtocol):
    """Bounds what comes between two points at which the parser had something to tell."""

    def __init__(self, config: Config, state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, state, app_state)
        self._untold = 0
        self._deadline: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        self._untold += len(data)
        super().data_received(data)
        if self._untold > HEAD_LIMIT:
            self._give_up()
        elif self._untold and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self._give_up)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._told()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._told()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._told()

    def connection_lost(self, exc: Exception | None) -> None:
        self._told()
        super().connection_lost(exc)

    def _told(self) -> None:
        self._untold = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()
