"""Answers a request with an HTTP status and a sentence, and lets the connection go."""

import asyncio
from dataclasses import dataclass

from towrope.tunnel.websocket import resume_reading
from towrope.wire.head import Fields, ResponseHead

LINGER = 5.0
"""Seconds that a refused peer has to read the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request gets no WebSocket."""

    status: int
    text: str


class _Lingering(asyncio.Protocol):
    """Reads and drops what a refused peer still sends, or a reset would destroy the answer."""


def refuse(transport: asyncio.Transport, refusal: Refusal, *, tracking_id: str) -> None:
    """Writes the answer. Clients show the reason phrase or the body, so both hold the sentence."""
    sentence = f"{refusal.text} TrackingId:{tracking_id}"
    body = f"{sentence}\n".encode()
    fields = Fields(
        (
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Connection", b"close"),
        )
    )
    reason = sentence.encode("ascii", "replace")
    transport.set_protocol(_Lingering())
    transport.write(ResponseHead(refusal.status, fields, reason).encode() + body)
    resume_reading(transport)
    asyncio.get_running_loop().call_later(LINGER, transport.abort)
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()  # TLS waits for the peer's end by itself
