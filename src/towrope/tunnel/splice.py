"""Joins two asyncio transports: the bytes of each go to the other, at the pace of the slower."""

import asyncio
from collections.abc import Callable

Ended = Callable[["BaseException | None"], None]


class Splice(asyncio.Protocol):
    """One half of a joined pair. Make both with `join`."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.other: Splice | None = None
        self.received = 0
        """Bytes that came from this half's transport."""
        self.ended: Ended | None = None
        self._lost = False

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        self.received += len(data)
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        assert self.other is not None
        if self.other.transport.can_write_eof():
            self.other.transport.write_eof()
            return True
        self.other.transport.close()
        return False

    def pause_writing(self) -> None:
        if self.other is not None and not self.other._lost:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other._lost:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost = True
        other = self.other
        assert other is not None
        if not other._lost:
            if exc is None:
                other.transport.close()
            else:
                # Never a clean end after a broken one: the far side would take it for the whole.
                other.transport.abort()
        if self.ended is not None:
            self.ended(exc)
            self.ended = None
            other.ended = None


def join(
    left: asyncio.Transport, right: asyncio.Transport, *, ended: Ended | None = None
) -> tuple[Splice, Splice]:
    """Joins two transports and starts to read from both.

    `ended` is called once, when the first of them is lost, with the error or None.
    """
    first, second = Splice(left), Splice(right)
    first.other, second.other = second, first
    first.ended = second.ended = ended
    for half in (first, second):
        half.transport.set_protocol(half)
        half.transport.resume_reading()
    return first, second
