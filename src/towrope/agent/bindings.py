"""The groups that the cluster's role bindings name, kept current by watches.

They are what membership is asked for: a caller's other groups decide nothing in this cluster.
"""

import asyncio
import re
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

import httpx2
import structlog
from lightkube import ALL_NS, AsyncClient
from lightkube.config.kubeconfig import SingleConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.models.rbac_v1 import Subject
from lightkube.resources.rbac_authorization_v1 import ClusterRoleBinding, RoleBinding

from towrope.agent.cluster import mapped
from towrope.agent.usernames import OBJECT_ID
from towrope.ops.backoff import Backoff
from towrope.wire.errors import Hop, TowropeError, Unreachable
from towrope.wire.names import object_id_group
from towrope.wire.reserved_names import is_reserved

READY_WITHIN = 5.0
LIST_WITHIN = 30.0
WATCH_FOR = 300.0
"""Seconds after which all are listed again: a watch may be a connection that died unnoticed."""
CHUNK = 500
BINDINGS_LIMIT = 50_000
"""Bindings with groups of each kind, that are looked at."""
GROUPS_LIMIT = 16_384
LONGEST_DELAY = 30.0

Binding = ClusterRoleBinding | RoleBinding

# What bindings made from role assignments name; nothing else of ours is a group.
_BY_OBJECT_ID = re.compile(re.escape(object_id_group("")) + OBJECT_ID.pattern)

_log = structlog.get_logger()


class Bindings:
    """`await run()` until cancelled; `close()` after it."""

    def __init__(
        self, config: SingleConfig, *, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        with mapped("read the kubeconfig"):
            self._client = AsyncClient(config, trust_env=False, transport=transport)
        self._kinds = [_Kind(), _Kind()]
        self._groups: frozenset[str] | None = None

    async def close(self) -> None:
        await self._client.close()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(ClusterRoleBinding, self._kinds[0]))
            group.create_task(self._keep(RoleBinding, self._kinds[1]))

    async def groups(self) -> frozenset[str]:
        """The same object while nothing changed. Raises `Unreachable` while they are not known."""
        try:
            async with asyncio.timeout(READY_WITHIN):
                for kind in self._kinds:
                    await kind.is_known.wait()
        except TimeoutError:
            why = next((kind.failure for kind in self._kinds if kind.failure), "no answer yet")
            raise Unreachable(
                f"The agent does not know the cluster's role bindings: {why}", hop=Hop.APISERVER
            ) from None
        if self._groups is None:
            named = frozenset().union(*(kind.groups() for kind in self._kinds))
            self._groups = frozenset(sorted(named)[:GROUPS_LIMIT])
        return self._groups

    async def _keep(self, kind: type[Any], found: "_Kind") -> None:
        backoff = Backoff(cap=LONGEST_DELAY)
        while True:
            try:
                version = await self._list(kind, found)
                backoff.reset()
                await self._watch(kind, found, version)
            except TowropeError as error:
                found.failure = error.message
                _log.warning("role bindings not watched", reason=error.message, hop=error.hop)
                await asyncio.sleep(backoff.next_delay())

    async def _list(self, kind: type[Any], found: "_Kind") -> str:
        """All of them; the version that they are of."""
        items: dict[str, tuple[str, ...]] = {}
        try:
            async with asyncio.timeout(LIST_WITHIN):
                with mapped(f"list {kind.__name__}s"):
                    listed = self._client.list(kind, namespace=_namespace(kind), chunk_size=CHUNK)
                    async for binding in listed:
                        _put(items, binding)
                    version = listed.resourceVersion
        except TimeoutError:
            raise _slow(kind) from None
        if found.replace(items):
            self._groups = None
        return version

    async def _watch(self, kind: type[Any], found: "_Kind", version: str) -> None:
        # The library's generators: they hold a connection until they are closed.
        events: Any = self._client.watch(kind, namespace=_namespace(kind), resource_version=version)
        try:
            async with asyncio.timeout(WATCH_FOR), aclosing(events):
                with mapped(f"watch {kind.__name__}s"):
                    async for event, binding in events:
                        if found.change(event, binding):
                            self._groups = None
        except TimeoutError:
            return


class _Kind:
    """The groups of the bindings of one kind."""

    def __init__(self) -> None:
        self.is_known = asyncio.Event()
        self.failure = ""
        self._items: dict[str, tuple[str, ...]] = {}

    def groups(self) -> Iterable[str]:
        return (group for groups in self._items.values() for group in groups)

    def replace(self, items: dict[str, tuple[str, ...]]) -> bool:
        """Whether that is another content."""
        is_other = items != self._items
        self._items = items
        self.failure = ""
        self.is_known.set()
        return is_other

    def change(self, event: str, binding: Binding) -> bool:
        before = self._items.get(_key(binding))
        if event == "DELETED":
            self._items.pop(_key(binding), None)
        else:
            _put(self._items, binding)
        return self._items.get(_key(binding)) != before


def _put(items: dict[str, tuple[str, ...]], binding: Binding) -> None:
    groups = tuple(_groups(binding.subjects or ()))
    if not groups:
        items.pop(_key(binding), None)
    elif len(items) < BINDINGS_LIMIT:
        items[_key(binding)] = groups
    else:
        _log.error("too many role bindings; one is not looked at", binding=_key(binding))


def _groups(subjects: Iterable[Subject]) -> Iterable[str]:
    for subject in subjects:
        is_by_id = _BY_OBJECT_ID.fullmatch(subject.name) is not None
        if subject.kind == "Group" and (is_by_id or not is_reserved(subject.name)):
            yield subject.name


def _key(binding: Binding) -> str:
    metadata = binding.metadata or ObjectMeta()
    return f"{metadata.namespace or ''}/{metadata.name}"


def _slow(kind: type[Any]) -> Unreachable:
    return Unreachable(
        f"The apiserver did not list the {kind.__name__}s within {LIST_WITHIN:g} s.",
        hop=Hop.APISERVER,
    )


def _namespace(kind: type[Any]) -> str | None:
    return ALL_NS if kind is RoleBinding else None
