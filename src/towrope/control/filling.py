"""Fills a page of a list with what its caller may see, past what the caller may not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
Key = TypeVar("Key")
"""Where in its order something of a list is."""

T_co = TypeVar("T_co", covariant=True)
Key_contra = TypeVar("Key_contra", contravariant=True)

BATCH = 500


class Fetch(Protocol[T_co, Key_contra]):
    def __call__(self, *, after: Key_contra | None, limit: int) -> Awaitable[Sequence[T_co]]:
        """At most `limit` in their order, those after a place in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled(Generic[T, Key]):
    shown: Sequence[T]
    last: Key | None
    """Of the last one, where more follow."""


async def filled(
    fetch: Fetch[T, Key],
    *,
    after: Key | None,
    size: int,
    key: Callable[[T], Key],
    is_visible: Callable[[T], bool],
) -> Filled[T, Key]:
    """At most `size` that are visible."""
    shown: list[T] = []
    batch = size + 1
    while True:
        found = await fetch(after=after, limit=batch)
        for each in filter(is_visible, found):
            if len(shown) == size:
                return Filled(shown=shown, last=key(shown[-1]))
            shown.append(each)
        if len(found) < batch:
            return Filled(shown=shown, last=None)
        after, batch = key(found[-1]), max(batch, BATCH)
