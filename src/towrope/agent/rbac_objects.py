"""The native RBAC objects that the agent made from the policy: which there are, and how it writes.

Kept current by watches of those with the agent's label. Objects of others are never touched: what
is there under a name and is not ours is not written over, and only what is ours is deleted, each by
its name and its uid.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec

from towrope.agent.cluster import mapped
from towrope.agent.informer import DELETED, Informer, check, understood
from towrope.agent.policy_objects import (
    RBAC_GROUP,
    Content,
    Key,
    Kind,
    PolicyRule,
    RoleRef,
    Subject,
)
from towrope.wire import policy_names
from towrope.wire.errors import Forbidden, Hop, Refused
from towrope.wire.policy_names import MANAGED_BY, MANAGED_BY_LABEL

API = f"/apis/{RBAC_GROUP}/v1"
CONFIRMED_WITHIN = 2.0
_LABELS = {MANAGED_BY_LABEL: MANAGED_BY}
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_JSON = {"Content-Type": "application/json"}


class Manager(msgspec.Struct, frozen=True):
    manager: str = ""


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    managed_fields: tuple[Manager, ...] = ()

    @property
    def version(self) -> int:
        """Versions of one kind are numbers that grow (KEP-5504)."""
        return int(self.resource_version) if self.resource_version.isdecimal() else 0


class NativeObject(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A role or a binding, as the apiserver has it."""

    metadata: Metadata
    rules: tuple[PolicyRule, ...] | None = None
    role_ref: RoleRef | None = None
    subjects: tuple[Subject, ...] | None = None
    aggregation_rule: dict[str, Any] | None = None
    """Where there is one, a controller of the cluster writes the rules."""

    @property
    def content(self) -> Content:
        return Content(rules=self.rules or (), role_ref=self.role_ref, subjects=self.subjects or ())

    def agrees_with(self, content: Content) -> bool:
        return self.content == content and self.aggregation_rule is None

    @property
    def is_ours(self) -> bool:
        """By its label; or, where that was taken off it, by who wrote it."""
        managers = (each.manager for each in self.metadata.managed_fields)
        return self.metadata.labels.get(MANAGED_BY_LABEL) == MANAGED_BY or MANAGED_BY in managers


class RbacObjects:
    """`await run()` until cancelled; `changed` is called when one of `objects` is another."""

    def __init__(self, client: httpx2.AsyncClient, *, changed: Callable[[], None]) -> None:
        self._client = client
        self._changed = changed
        self._kinds = {kind: _Kind(kind, changed) for kind in Kind}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for kind, keeper in self._kinds.items():
                informer = Informer(
                    self._client,
                    f"{API}/{kind}",
                    NativeObject,
                    keeper,
                    labels=policy_names.SELECTOR,
                )
                group.create_task(informer.run())

    @property
    def is_known(self) -> bool:
        return all(kind.is_known for kind in self._kinds.values())

    @property
    def failure(self) -> str:
        """Why they are not known, or may have changed unseen; empty while they are watched."""
        return next((kind.failure for kind in self._kinds.values() if kind.failure), "")

    @property
    def objects(self) -> Mapping[Key, NativeObject]:
        return {key: each for kind in self._kinds.values() for key, each in kind.objects.items()}

    async def confirmed(self) -> None:
        """Waits until the watches told of all that was written, or do not: the apiserver's own
        authorizer learns of it in the same way."""
        try:
            async with asyncio.timeout(CONFIRMED_WITHIN):
                for kind in self._kinds.values():
                    await kind.is_confirmed.wait()
        except TimeoutError:
            return

    async def write(self, key: Key, content: Content) -> None:
        """Raises `Refused` where there is such an object of somebody else's, or what the apiserver
        answers."""
        there = self._kinds[key.kind].objects.get(key)
        if there is None:
            await self._create(key, content)
        else:
            await self._bring_about(key, there, content)

    async def delete(self, key: Key) -> None:
        there = self._kinds[key.kind].objects.get(key)
        if there is not None:
            await self._delete(key, there)

    async def _create(self, key: Key, content: Content) -> None:
        with _writing("create", key):
            response = await self._client.post(
                _collection(key),
                params={"fieldManager": MANAGED_BY},
                content=_body(key, content),
                headers=_JSON,
            )
            if response.status_code != httpx2.codes.CONFLICT:
                return self._take(key, response)
        there = await self._read(key)
        if not there.is_ours:
            raise Refused(
                f"There is a {key} that is not the agent's; it stays as it is, and what role"
                " assignments ask for there is not in force. Rename or delete it.",
                hop=Hop.APISERVER,
            )
        return await self._bring_about(key, there, content)

    async def _bring_about(self, key: Key, there: NativeObject, content: Content) -> None:
        if there.aggregation_rule is not None or there.role_ref != content.role_ref:
            # It cannot be changed in place.
            await self._delete(key, there)
            await self._create(key, content)
        else:
            await self._apply(key, there, content)

    async def _apply(self, key: Key, there: NativeObject, content: Content) -> None:
        with _writing("apply", key):
            # With its uid: another object that took its place is not written over.
            response = await self._client.patch(
                _path(key),
                params={"fieldManager": MANAGED_BY, "force": "true"},
                content=_body(key, content, uid=there.metadata.uid),
                headers=_APPLY,
            )
            self._take(key, response)

    async def _delete(self, key: Key, there: NativeObject) -> None:
        with _writing("delete", key):
            response = await self._client.request(
                "DELETE",
                _path(key),
                content=msgspec.json.encode({"preconditions": {"uid": there.metadata.uid}}),
                headers=_JSON,
            )
            if response.status_code != httpx2.codes.NOT_FOUND:
                check(response)
        self._kinds[key.kind].deleted(key, there)

    async def _read(self, key: Key) -> NativeObject:
        with _writing("read", key):
            response = await self._client.get(_path(key))
            check(response)
        with understood(_path(key)):
            return msgspec.json.decode(response.content, type=NativeObject)

    def _take(self, key: Key, response: httpx2.Response) -> None:
        check(response)
        with understood(_path(key)):
            written = msgspec.json.decode(response.content, type=NativeObject)
        self._kinds[key.kind].written(key, written)


class _Kind:
    """The objects of one kind, as the watch tells and as our own writes were answered."""

    def __init__(self, kind: Kind, changed: Callable[[], None]) -> None:
        self.objects: dict[Key, NativeObject] = {}
        self.is_known = False
        self.failure = ""
        self.is_confirmed = asyncio.Event()
        self.is_confirmed.set()
        self._kind = kind
        self._changed = changed
        self._unseen: dict[Key, int] = {}
        """The version of what was written and that the watch did not tell yet."""

    # What the informer tells.

    def listed(self, items: list[NativeObject]) -> None:
        self.objects = {self._key(each): each for each in items}
        self.is_known, self.failure = True, ""
        self._unseen.clear()
        self.is_confirmed.set()
        self._changed()

    def changed(self, event: str, item: NativeObject) -> None:
        key = self._key(item)
        if item.metadata.version < self._unseen.get(key, 0):
            return
        self._seen(key)
        if event == DELETED:
            self.objects.pop(key, None)
        else:
            self.objects[key] = item
        self._changed()

    def failed(self, reason: str) -> None:
        self.failure = reason
        self._changed()

    # What was written.

    def written(self, key: Key, there: NativeObject) -> None:
        known = self.objects.get(key)
        if known is None or known.metadata.version < there.metadata.version:
            self.objects[key] = there
            self._expect(key, there.metadata.version)

    def deleted(self, key: Key, there: NativeObject) -> None:
        if self.objects.pop(key, None) is not None:
            self._expect(key, there.metadata.version + 1)

    def _expect(self, key: Key, version: int) -> None:
        self._unseen[key] = version
        self.is_confirmed.clear()

    def _seen(self, key: Key) -> None:
        self._unseen.pop(key, None)
        if not self._unseen:
            self.is_confirmed.set()

    def _key(self, item: NativeObject) -> Key:
        return Key(kind=self._kind, name=item.metadata.name, namespace=item.metadata.namespace)


def _collection(key: Key) -> str:
    where = f"/namespaces/{quote(key.namespace, safe='')}" if key.namespace else ""
    return f"{API}{where}/{key.kind}"


def _path(key: Key) -> str:
    return f"{_collection(key)}/{quote(key.name, safe=':')}"


def _body(key: Key, content: Content, *, uid: str = "") -> bytes:
    metadata: dict[str, object] = {"name": key.name, "labels": _LABELS}
    if key.namespace:
        metadata["namespace"] = key.namespace
    if uid:
        metadata["uid"] = uid
    own = (
        {"rules": content.rules}
        if content.role_ref is None
        else {
            "roleRef": content.role_ref,
            "subjects": content.subjects,
        }
    )
    return msgspec.json.encode(
        {"apiVersion": f"{RBAC_GROUP}/v1", "kind": key.kind.shown, "metadata": metadata, **own}
    )


@contextmanager
def _writing(verb: str, key: Key) -> Iterator[None]:
    try:
        with mapped(f"{verb} the {key}"):
            yield
    except Forbidden as error:
        raise Forbidden(
            f"{error.message} Give it the rights for role assignments with 'towrope connectedk8s"
            " enable-features --features azure-rbac'.",
            hop=error.hop,
        ) from None
