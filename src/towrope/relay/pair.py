"""Two joined WebSockets: what comes from one goes to the other, frame by frame, at its pace.

Nothing is queued but in a transport's write buffer, and beyond its mark the other end is not read.
What the frames hold is the affair of the two ends.
"""

import time
from collections.abc import Callable

import structlog

from towrope.tunnel.websocket import Closing, Kind, Receiver, WebSocket

INTERNAL_ERROR = 1011

_log = structlog.get_logger()


class Leg(Receiver):
    """One WebSocket of a pair."""

    other: "Leg"

    def __init__(self, name: str, ws: WebSocket, ended: "Callable[[Leg], None]") -> None:
        self.name = name
        self.ws = ws
        self.received = 0
        """Bytes of payload that came from this leg's end."""
        self.closing: Closing | None = None
        self._ended = ended

    def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        self.received += len(payload)
        self.other.ws.send(kind, payload, fin=fin)

    def pause_writing(self) -> None:
        self.other.ws.pause_reading()

    def resume_writing(self) -> None:
        self.other.ws.resume_reading()

    def closed(self, closing: Closing) -> None:
        self.closing = closing
        self._ended(self)


class Pair:
    """A listener's WebSocket and a sender's, joined. It reads from both at once."""

    def __init__(
        self,
        listener: WebSocket,
        sender: WebSocket,
        *,
        path: str,
        stream_id: str,
        by: str,
        ended: "Callable[[Pair], None]",
    ) -> None:
        """`by` says how they met: `accept` or `standby`."""
        self.path = path
        self._listener = Leg("listener", listener, self._leg_ended)
        self._sender = Leg("sender", sender, self._leg_ended)
        self._listener.other, self._sender.other = self._sender, self._listener
        self._ended = ended
        self._first: Leg | None = None
        self._log = _log.bind(stream=stream_id, path=path)
        self._log.info("stream started", by=by)
        self._started_at = time.monotonic()
        for leg in (self._listener, self._sender):
            leg.ws.receiver = leg
            leg.ws.resume_reading()

    def close(self, code: int, reason: str) -> None:
        """Ends both once what was passed on has gone."""
        self._listener.ws.close(code, reason)
        self._sender.ws.close(code, reason)

    def abort(self) -> None:
        self._listener.ws.abort()
        self._sender.ws.abort()

    def _leg_ended(self, leg: Leg) -> None:
        if self._first is None:
            self._first = leg
            self._pass_on(leg)
        if self._listener.closing is not None and self._sender.closing is not None:
            self._log_end(self._first)
            self._ended(self)

    def _pass_on(self, leg: Leg) -> None:
        assert leg.closing is not None
        if is_sendable(leg.closing.code):
            leg.other.ws.close(leg.closing.code, leg.closing.reason)
        else:
            # Never a normal end after a cut: the other end would take what came for the whole.
            leg.other.ws.close(INTERNAL_ERROR, f"The connection to the {leg.name} was lost.")

    def _log_end(self, first: Leg) -> None:
        assert first.closing is not None
        self._log.info(
            "stream ended",
            ended_by=first.name,
            code=first.closing.code,
            reason=first.closing.reason,
            bytes_to_listener=self._sender.received,
            bytes_to_sender=self._listener.received,
            duration=round(time.monotonic() - self._started_at, 3),
        )


def is_sendable(code: int) -> bool:
    """RFC 6455 §7.4: 1004, 1005, 1006 and 1015 never stand in a frame, nor any below 1000."""
    return code in {1000, 1001, 1002, 1003, *range(1007, 1015)} or 3000 <= code < 5000
