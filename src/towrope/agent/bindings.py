"""The groups that the cluster's role bindings name: what membership is asked for.

A caller's other groups decide nothing in this cluster. `RbacChanges` keeps them current.
"""

import asyncio
import re
from collections.abc import Callable, Iterable

import msgspec
import structlog

from towrope.agent.informer import DELETED
from towrope.agent.usernames import OBJECT_ID
from towrope.wire.errors import Hop, Unreachable
from towrope.wire.names import object_id_group
from towrope.wire.reserved_names import is_reserved

READY_WITHIN = 5.0
BINDINGS_LIMIT = 50_000
"""Bindings with groups of each kind, that are looked at."""
GROUPS_LIMIT = 16_384

# What bindings made from role assignments name; nothing else of ours is a group.
_BY_OBJECT_ID = re.compile(
    f"(?:{'|'.join(object_id_group('', is_external=each) for each in (False, True))})"
    + OBJECT_ID.pattern
)

_log = structlog.get_logger()


class _Metadata(msgspec.Struct):
    name: str
    namespace: str = ""


class Subject(msgspec.Struct):
    kind: str
    name: str


class Binding(msgspec.Struct):
    """What matters here of a ClusterRoleBinding or a RoleBinding."""

    metadata: _Metadata
    subjects: tuple[Subject, ...] | None = None

    @property
    def key(self) -> str:
        return f"{self.metadata.namespace}/{self.metadata.name}"


class Bindings:
    """Of both scopes, each told by an informer of its own."""

    def __init__(self) -> None:
        self.cluster = BindingsOfKind(self._forget)
        self.namespaced = BindingsOfKind(self._forget)
        self._groups: frozenset[str] | None = None

    async def groups(self) -> frozenset[str]:
        """The same object while nothing changed. Raises `Unreachable` while they are not known."""
        kinds = (self.cluster, self.namespaced)
        try:
            async with asyncio.timeout(READY_WITHIN):
                for kind in kinds:
                    await kind.is_known.wait()
        except TimeoutError:
            why = next((kind.failure for kind in kinds if kind.failure), "no answer yet")
            raise Unreachable(
                f"The agent does not know the cluster's role bindings: {why}", hop=Hop.APISERVER
            ) from None
        if self._groups is None:
            named = frozenset().union(*(kind.groups() for kind in kinds))
            self._groups = frozenset(sorted(named)[:GROUPS_LIMIT])
        return self._groups

    def _forget(self) -> None:
        self._groups = None


class BindingsOfKind:
    """The groups of the bindings of one kind."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.is_known = asyncio.Event()
        self.failure = ""
        self._on_change = on_change
        self._items: dict[str, tuple[str, ...]] = {}

    def groups(self) -> Iterable[str]:
        return (group for groups in self._items.values() for group in groups)

    def listed(self, items: list[Binding]) -> None:
        before, self._items = self._items, {}
        for binding in items:
            self._put(binding)
        self.failure = ""
        self.is_known.set()
        if self._items != before:
            self._on_change()

    def changed(self, event: str, item: Binding) -> None:
        before = self._items.get(item.key)
        if event == DELETED:
            self._items.pop(item.key, None)
        else:
            self._put(item)
        if self._items.get(item.key) != before:
            self._on_change()

    def failed(self, reason: str) -> None:
        self.failure = reason

    def _put(self, binding: Binding) -> None:
        groups = tuple(_groups(binding.subjects or ()))
        if not groups:
            self._items.pop(binding.key, None)
        elif len(self._items) < BINDINGS_LIMIT or binding.key in self._items:
            self._items[binding.key] = groups
        else:
            _log.error("too many role bindings; one is not looked at", binding=binding.key)


def _groups(subjects: Iterable[Subject]) -> Iterable[str]:
    for subject in subjects:
        is_by_id = _BY_OBJECT_ID.fullmatch(subject.name) is not None
        if subject.kind == "Group" and (is_by_id or not is_reserved(subject.name)):
            yield subject.name
