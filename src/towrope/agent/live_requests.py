"""The requests that run at this moment, so that those whose right is taken away can be ended.

A gate keeps each here from before the apiserver sees it: whatever changes afterwards finds it.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from towrope.agent.identity import Decision
from towrope.agent.request_info import RequestInfo
from towrope.wire.head import RequestHead

SHORT = 1.0
"""Seconds after which any request counts as one that lasts."""
STREAMING = frozenset({"attach", "exec", "log", "portforward", "proxy"})
"""Subresources whose requests may last."""


@dataclass(slots=True, kw_only=True, eq=False)
class LiveRequest:
    """One request. `decision` is replaced when it is decided anew who its caller is."""

    head: RequestHead
    info: RequestInfo
    decision: Decision
    cut: Callable[[str], None]
    """Ends it at once, and never as if in order; the reason is for the audit event."""
    began: float = 0.0

    def lasts(self, now: float) -> bool:
        is_stream = self.info.verb == "watch" or self.info.subresource in STREAMING
        return is_stream or now - self.began >= SHORT


class LiveRequests:
    """Those of all gates. `on_begin` hears of each that begins."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.on_begin: Callable[[LiveRequest], None] | None = None
        self._clock = clock
        self._running: set[LiveRequest] = set()

    @contextlib.contextmanager
    def running(self, request: LiveRequest) -> Iterator[None]:
        request.began = self._clock()
        self._running.add(request)
        if self.on_begin is not None:
            self.on_begin(request)
        try:
            yield
        finally:
            self._running.discard(request)

    def lasting(self) -> list[LiveRequest]:
        """Without those that came a moment ago and may be over the next: cut, they would look as if
        they had failed, when they were allowed and done."""
        now = self._clock()
        return [request for request in self._running if request.lasts(now)]

    def cut(self, request: LiveRequest, reason: str) -> None:
        """Once: it is among them no longer, whenever its gate comes to an end with it."""
        self._running.discard(request)
        request.cut(reason)

    def __contains__(self, request: LiveRequest) -> bool:
        return request in self._running
