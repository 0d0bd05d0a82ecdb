"""Finds peers that are gone, without taking one that reads slowly for dead.

An idle peer is pinged, and is dead when it does not answer. An end that does not read, because
what is behind it is slow, cannot see a ping: it sends pongs unasked instead (RFC 6455 §5.5.3), so
that its peer hears of it. Any frame counts as a sign of life.
"""

import asyncio
import socket
from typing import Any, Protocol

PING_AFTER = 8.0
"""Seconds without a frame after which a peer is pinged."""
PONG_WITHIN = 8.0

# Unanswered retransmissions, or probes of a closed window, after which TCP's peer is not there.
# With Linux's timers that takes a LAN's peer 6 s and a slow line's up to 30 s.
TCP_TRIES = 5


class Beating(Protocol):
    """What a heartbeat needs of its WebSocket."""

    @property
    def reading_is_paused(self) -> bool: ...
    def write_buffer_size(self) -> int: ...
    def send_ping(self) -> None: ...
    def send_pong(self, payload: bytes = b"") -> None: ...
    def abort(self, reason: str = "") -> None: ...
    def extra_info(self, name: str, default: Any = None) -> Any: ...


class Heartbeat:
    """The timer of one WebSocket."""

    __slots__ = ("_pinged", "_timer", "_ws", "heard")

    def __init__(self, ws: Beating) -> None:
        self._ws = ws
        self._timer: asyncio.TimerHandle | None = None
        self._pinged = False
        self.heard = False
        """Set by the WebSocket for each frame."""

    def start(self) -> None:
        self._wait(PING_AFTER)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._beat)

    def _beat(self) -> None:
        if self._ws.reading_is_paused:
            self._ws.send_pong()
        if self.heard or self._ws.reading_is_paused or self._is_back_pressured():
            self.heard = self._pinged = False
            self._wait(PING_AFTER)
        elif self._pinged:
            self._ws.abort("the peer did not answer a ping")
        else:
            self._pinged = True
            self._ws.send_ping()
            self._wait(PONG_WITHIN)

    def _is_back_pressured(self) -> bool:
        # A ping would only queue behind what the peer does not read yet.
        return self._ws.write_buffer_size() > 0 and self.tcp_answers()

    def tcp_answers(self) -> bool:
        """Whether the peer's TCP is there, as far as the system tells (Linux does)."""
        option = getattr(socket, "TCP_INFO", None)
        if option is None:
            return True
        try:
            sock = self._ws.extra_info("socket")
            info: bytes = sock.getsockopt(socket.IPPROTO_TCP, option, 8)
        except OSError:
            return False
        # struct tcp_info: state, ca_state, retransmits, probes, …
        return info[2] < TCP_TRIES and info[3] < TCP_TRIES
