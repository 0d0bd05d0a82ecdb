"""The listener's tokens: fetched from the control plane, kept until shortly before they end."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from towrope.wire.agent_api import Listen

MARGIN = 0.2
"""Of a token's life, at the end, in which the next one is fetched."""


class Tickets:
    """One token at a time, however many ask for it."""

    def __init__(
        self, fetch: Callable[[], Awaitable[Listen]], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._current: Listen | None = None
        self._renew_at = 0.0

    async def get(self) -> Listen:
        """A token that is good for a while. Raises what `fetch` raises."""
        async with self._lock:
            if self._current is None or self._clock() >= self._renew_at:
                fetched = await self._fetch()
                left = max(0.0, fetched.expires_at - self._clock())
                self._renew_at = fetched.expires_at - left * MARGIN
                self._current = fetched
            return self._current

    @property
    def seconds_left(self) -> float:
        """Until the next one is due."""
        return max(0.0, self._renew_at - self._clock())

    def reject(self) -> None:
        """The relay refused the current token: the next `get` fetches another."""
        self._current = None
