from collections.abc import Sequence

import pytest

from towrope.control import filling
from towrope.control.filling import Filled, filled

NUMBERS = range(1, 2001)


async def fetch(*, after: int | None, limit: int) -> Sequence[int]:
    return [number for number in NUMBERS if after is None or number > after][:limit]


async def fill(*, size: int, every: int, after: int | None = None) -> Filled[int, int]:
    return await filled(
        fetch,
        after=after,
        size=size,
        key=lambda number: number,
        is_visible=lambda number: number % every == 0,
    )


@pytest.mark.parametrize("every", [1, 3, 600, 2000, 2001])
@pytest.mark.parametrize("size", [1, 2, 3, 700, 2000])
async def test_pages_hold_all_that_is_visible_once(size: int, every: int) -> None:
    seen: list[int] = []
    after = None
    while True:
        page = await fill(size=size, every=every, after=after)
        seen += page.shown
        assert len(page.shown) <= size
        if page.last is None:
            break
        assert len(page.shown) == size
        after = page.last
    assert seen == [number for number in NUMBERS if number % every == 0]


async def test_the_last_page_has_no_next_one_though_more_is_there_that_is_hidden() -> None:
    page = await fill(size=1, every=2000)
    assert (page.shown, page.last) == ([2000], None)
    assert len(NUMBERS) > filling.BATCH
