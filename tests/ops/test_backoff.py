import random

from hypothesis import given
from hypothesis import strategies as st

from towrope.ops.backoff import Backoff


@given(st.integers(), st.integers(min_value=1, max_value=200))
def test_a_delay_is_never_over_the_cap_nor_over_its_step(seed: int, attempts: int) -> None:
    backoff = Backoff(first=0.1, cap=3.0, rng=random.Random(seed))
    for attempt in range(attempts):
        assert 0 <= backoff.next_delay() <= min(3.0, 0.1 * 2**attempt)


def test_it_starts_anew_after_success() -> None:
    class Highest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    backoff = Backoff(first=1.0, cap=10.0, rng=Highest())
    assert [backoff.next_delay() for _ in range(5)] == [1.0, 2.0, 4.0, 8.0, 10.0]
    backoff.reset()
    assert backoff.next_delay() == 1.0
