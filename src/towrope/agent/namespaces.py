"""Which namespaces there are: what is granted in one that is not there yet waits for it."""

from collections.abc import Callable

import httpx2

from towrope.agent.informer import DELETED, METADATA_ONLY, Informer, PartialObject


class Namespaces:
    """`await run()` until cancelled; `changed` is called when there are others."""

    def __init__(self, client: httpx2.AsyncClient, *, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._names: set[str] | None = None
        self._informer = Informer(
            client, "/api/v1/namespaces", PartialObject, self, accept=METADATA_ONLY
        )

    async def run(self) -> None:
        await self._informer.run()

    def is_missing(self, name: str) -> bool:
        """False too while they are not known: then the apiserver says it upon a write."""
        return bool(name) and self._names is not None and name not in self._names

    def listed(self, items: list[PartialObject]) -> None:
        self._names = {each.metadata.name for each in items}
        self._changed()

    def changed(self, event: str, item: PartialObject) -> None:
        if self._names is None:
            return
        before = item.metadata.name in self._names
        if event == DELETED:
            self._names.discard(item.metadata.name)
        else:
            self._names.add(item.metadata.name)
        if before != (item.metadata.name in self._names):
            self._changed()

    def failed(self, reason: str) -> None:
        self._names = None
