"""What a WebSocket brings before its owner is there, kept in order.

The far end may speak at once, in the same bytes as the end of the handshake.
"""

from towrope.tunnel.websocket import Closing, Kind, Receiver, WebSocket


class Arrivals(Receiver):
    """Give it to `websocket.dial`, and call `hand_over` as soon as that returned.

    It holds no more than what the event loop read in between.
    """

    def __init__(self) -> None:
        self._frames: list[tuple[Kind, bytes, bool]] = []
        self._closing: Closing | None = None

    def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        self._frames.append((kind, bytes(payload), fin))

    def closed(self, closing: Closing) -> None:
        self._closing = closing

    def hand_over(self, ws: WebSocket, receiver: Receiver) -> None:
        """Makes `receiver` the WebSocket's, and tells it all. It may put another in its place."""
        ws.receiver = receiver
        for kind, payload, fin in self._frames:
            ws.receiver.frame_received(kind, memoryview(payload), fin=fin)
        if self._closing is not None:
            ws.receiver.closed(self._closing)
