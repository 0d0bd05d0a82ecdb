"""One connection of the gate, to be awaited: bytes read ahead, and back-pressure both ways.

Memory is bounded: reading pauses while `READ_AHEAD` bytes wait to be consumed, and a writer is to
await `drained` after each write. An end in order and a cut are told apart, so that nobody takes a
part of a message for the whole.
"""

import asyncio
from collections.abc import Callable

from towrope.tunnel.websocket import resume_reading
from towrope.wire.errors import Cut, Hop
from towrope.wire.head import HEAD_LIMIT, end_of_head

READ_AHEAD = HEAD_LIMIT
"""A head must fit, for nothing of it is consumed before it is whole."""


class Connection(asyncio.Protocol):
    """For one reader and one writer. `hop` is what is at the far end, for its errors."""

    def __init__(self, *, hop: Hop) -> None:
        self.hop = hop
        self.buffer = bytearray()
        """What came and was not consumed yet."""
        self.on_lost: Callable[[], None] | None = None
        """Called once, as soon as the connection is gone or the far end has no more to say."""
        self._transport: asyncio.Transport | None = None
        self._ended = False
        self._lost = False
        self._aborted = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._writing_is_paused = False
        self._reading_is_paused = False
        self.received = 0
        self.sent = 0

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # aiofastnet's are no asyncio.Transport
        if transport.is_closing():
            self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self.buffer += data
        if len(self.buffer) >= READ_AHEAD and not self._reading_is_paused:
            self._reading_is_paused = True
            self.transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool:
        self._ended = True
        _wake(self._reader)
        self._tell_lost()
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost = True
        _wake(self._reader)
        _wake(self._writer)
        self._tell_lost()

    def pause_writing(self) -> None:
        self._writing_is_paused = True

    def resume_writing(self) -> None:
        self._writing_is_paused = False
        _wake(self._writer)

    def _tell_lost(self) -> None:
        told, self.on_lost = self.on_lost, None
        if told is not None:
            told()

    # What the gate does with it.

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None, "not connected yet"
        return self._transport

    @property
    def is_lost(self) -> bool:
        """Whether nothing can be exchanged any more: gone, ended or given up."""
        return self._lost or self._ended or self._aborted

    async def more(self) -> bool:
        """Waits for more bytes than there are; False at the far end's end. Raises `Cut`."""
        if self._ended or self._lost or self._aborted:
            return self._no_more()
        self._resume_reading()
        assert self._reader is None, "one reader at a time"
        self._reader = asyncio.get_running_loop().create_future()
        before = self.received
        try:
            await self._reader
        finally:
            self._reader = None
        return self.received > before or self._no_more()

    def _no_more(self) -> bool:
        if self._ended and not self._aborted:
            return False
        raise Cut(f"The connection to the {self.hop} was cut.", hop=self.hop)

    async def head(self) -> bytes | None:
        """Takes the next message's head; None where the far end ended before one began.

        Raises `Malformed`, or `Cut` where it ended within it.
        """
        seen = 0
        while (end := end_of_head(self.buffer, start=seen)) is None:
            seen = len(self.buffer)
            if not await self.more():
                if not self.buffer:
                    return None
                raise Cut(f"The {self.hop} ended within a head.", hop=self.hop)
        return self.take(end)

    def take(self, count: int) -> bytes:
        """Consumes bytes of the buffer."""
        taken = bytes(memoryview(self.buffer)[:count])
        self.skip(count)
        return taken

    def skip(self, count: int) -> None:
        del self.buffer[:count]

    def _resume_reading(self) -> None:
        if self._reading_is_paused and not self.transport.is_closing():
            self._reading_is_paused = False
            resume_reading(self.transport)

    def write(self, data: bytes) -> None:
        if data and not self._lost and not self.transport.is_closing():
            self.sent += len(data)
            self.transport.write(data)

    async def drained(self) -> None:
        """Waits while what was written piles up. Raises `Cut`."""
        while self._writing_is_paused and not self.is_lost:
            assert self._writer is None, "one writer at a time"
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        if self.is_lost:
            raise Cut(f"The connection to the {self.hop} was cut.", hop=self.hop)

    def close(self) -> None:
        """Ends it in order, after what was written."""
        if not self._lost:
            self.transport.close()

    def abort(self) -> None:
        """Gives it up: the far end learns that what it got is not whole."""
        self._aborted = True
        _wake(self._reader)
        _wake(self._writer)
        if not self._lost:
            self.transport.abort()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
