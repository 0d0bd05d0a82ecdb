"""Capped exponential back-off with full jitter: the delays between attempts to reach a peer."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Backoff:
    """`next_delay()`: 0 to `first * 2**n` seconds, at most `cap`; `reset()` when one worked."""

    first: float = 0.2
    cap: float = 5.0
    rng: random.Random = field(default_factory=random.SystemRandom)
    _attempt: int = 0

    def next_delay(self) -> float:
        ceiling = min(self.cap, self.first * 2 ** min(self._attempt, 32))
        self._attempt += 1
        return self.rng.uniform(0, ceiling)

    def reset(self) -> None:
        self._attempt = 0
