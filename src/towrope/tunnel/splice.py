"""Joins two asyncio transports: the bytes of each go to the other, at the pace of the slower.

The end of one ends the other, and never in better order than it ended itself: what was cut on one
side is cut on the other, so that nobody takes a part for the whole.
"""

import asyncio
from collections.abc import Callable

from towrope.tunnel.websocket import resume_reading

Ended = Callable[["BaseException | None"], None]


class Splice(asyncio.Protocol):
    """One half of a joined pair. Make both with `join`."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.other: Splice | None = None
        self.received = 0
        """Bytes that came from this half's transport."""
        self.ended: Ended | None = None
        self._has_ended = False
        """Its transport's bytes came to an orderly end, or were no longer wanted."""
        self._is_lost = False

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        other = self._other.transport
        if not other.is_closing():
            other.write(data)

    def eof_received(self) -> bool:
        self._has_ended = True
        other = self._other
        if other._has_ended or not (_can_half_close(self) and _can_half_close(other)):
            self._close()
            other._close()
            return False
        other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if not self._other.transport.is_closing():
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.transport.is_closing():
            resume_reading(self._other.transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._is_lost = True
        other = self._other
        if exc is None and not self._has_ended:
            # How TLS tells a connection that was cut without close_notify.
            exc = ConnectionAbortedError("the connection ended without saying so")
        if exc is None:
            other._close()
        elif not other._is_lost:
            other.transport.abort()
        self._tell(exc)

    def _close(self) -> None:
        self._has_ended = True
        self.transport.close()

    def _tell(self, exc: BaseException | None) -> None:
        ended, self.ended, self._other.ended = self.ended, None, None
        if ended is not None:
            ended(exc)

    @property
    def _other(self) -> "Splice":
        assert self.other is not None, "made by join()"
        return self.other


def _can_half_close(half: Splice) -> bool:
    return half.transport.can_write_eof()


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
    if left.is_closing() or right.is_closing():
        # The loss of that one was, or will be, told to the protocol that it had.
        left.abort()
        right.abort()
        gone = ConnectionAbortedError("the connection was closed already")
        asyncio.get_running_loop().call_soon(first._tell, gone)
        return first, second
    for half in (first, second):
        resume_reading(half.transport)
    return first, second
