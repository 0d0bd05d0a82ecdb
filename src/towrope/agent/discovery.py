"""What resources the cluster has, and that it has others now: for wildcards in roles.

One request for each of `/api` and `/apis` (aggregated discovery, KEP-3352), and a short one while
nothing changed; older apiservers are asked for each group version. Custom resources come and go
with CustomResourceDefinitions and APIServices: after an event of those it is looked at again and
again for some seconds, for discovery follows them with a delay that nobody announces.
"""

import asyncio
from collections.abc import Callable, Iterable

import httpx2
import msgspec
import structlog

from towrope.agent.cluster import mapped
from towrope.agent.informer import METADATA_ONLY, Informer, check, understood
from towrope.wire.data_actions import Resource
from towrope.wire.errors import TowropeError

ROOTS = ("/api", "/apis")
DEFINITIONS = (
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/apiregistration.k8s.io/v1/apiservices",
)
AFTER_EVENT = (0.03, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between the looks after an event."""
LOOK_EVERY = 300.0

_AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
_log = structlog.get_logger()


class Discovery:
    """`await run()` until cancelled; `changed` is called when `resources` are others."""

    def __init__(self, client: httpx2.AsyncClient, *, changed: Callable[[], None]) -> None:
        self.resources: tuple[Resource, ...] = ()
        self.is_tried = False
        """Whether `resources` are what was found, or it failed once to find them."""
        self._client = client
        self._changed = changed
        self._roots = {root: _Root() for root in ROOTS}
        self._hint = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for path in DEFINITIONS:
                informer = Informer(
                    self._client, path, msgspec.Raw, _Hinting(self._hint), accept=METADATA_ONLY
                )
                group.create_task(informer.run())
            group.create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        while True:
            self._hint.clear()
            for delay in (*AFTER_EVENT, LOOK_EVERY):
                await self._look()
                if await self._is_hinted(within=delay):
                    break

    async def _is_hinted(self, *, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                return await self._hint.wait()
        except TimeoutError:
            return False

    async def _look(self) -> None:
        before = self.resources, self.is_tried
        try:
            found = [await self._read(root) for root in ROOTS]
            self.resources = tuple(each for resources in found for each in resources)
        except TowropeError as error:
            _log.warning("resources not discovered", reason=error.message, hop=error.hop)
        self.is_tried = True
        if (self.resources, self.is_tried) != before:
            self._changed()

    async def _read(self, root: str) -> tuple[Resource, ...]:
        known = self._roots[root]
        response = await self._get(root, etag=known.etag)
        if response.status_code == httpx2.codes.NOT_MODIFIED:
            return known.resources
        with understood(root):
            document = msgspec.json.decode(response.content, type=_Document)
        if document.kind == "APIGroupDiscoveryList":
            known.resources = _joined(_of_groups(document.items))
            known.etag = response.headers.get("etag", "")
        else:
            known.resources = _joined(await self._one_by_one(root, document))
        return known.resources

    async def _get(self, path: str, *, etag: str = "") -> httpx2.Response:
        headers = {"Accept": f"{_AGGREGATED},application/json"}
        if etag:
            headers["If-None-Match"] = etag
        with mapped("discover the cluster's resources"):
            response = await self._client.get(path, headers=headers)
            if response.status_code != httpx2.codes.NOT_MODIFIED:
                check(response)
        return response

    async def _one_by_one(self, root: str, document: "_Document") -> list[Resource]:
        """From each group version; one that does not answer gives nothing."""
        named = [("", f"{root}/{version}") for version in document.versions]
        named += [
            (group.name, f"{root}/{version.group_version}")
            for group in document.groups
            for version in group.versions
        ]
        found: list[Resource] = []
        for group, path in named:
            try:
                response = await self._get(path)
                with understood(path):
                    listed = msgspec.json.decode(response.content, type=_ResourceList)
            except TowropeError as error:
                _log.warning("a group was not discovered", path=path, reason=error.message)
                continue
            found += [_split(group, each.name) for each in listed.resources]
        return found


class _Root:
    etag = ""
    resources: tuple[Resource, ...] = ()


class _Hinting:
    """Only that something changed matters."""

    def __init__(self, hint: asyncio.Event) -> None:
        self._hint = hint

    def listed(self, items: list[msgspec.Raw]) -> None:
        self._hint.set()

    def changed(self, event: str, item: msgspec.Raw) -> None:
        self._hint.set()

    def failed(self, reason: str) -> None:
        """The looks now and then remain."""


def _joined(found: Iterable[Resource]) -> tuple[Resource, ...]:
    """Each resource once, with the subresources of all its versions."""
    subresources: dict[tuple[str, str], set[str]] = {}
    for each in found:
        subresources.setdefault((each.group, each.name), set()).update(each.subresources)
    return tuple(
        Resource(group=group, name=name, subresources=frozenset(below))
        for (group, name), below in sorted(subresources.items())
    )


def _of_groups(groups: Iterable["_Group"]) -> Iterable[Resource]:
    for group in groups:
        for version in group.versions:
            for each in version.resources:
                below = frozenset(sub.subresource for sub in each.subresources)
                yield Resource(group=group.metadata.name, name=each.resource, subresources=below)


def _split(group: str, name: str) -> Resource:
    resource, _, below = name.partition("/")
    return Resource(
        group=group, name=resource, subresources=frozenset({below} if below else set[str]())
    )


class _Metadata(msgspec.Struct):
    name: str = ""


class _Subresource(msgspec.Struct):
    subresource: str


class _Resource(msgspec.Struct):
    resource: str
    subresources: list[_Subresource] = []


class _Version(msgspec.Struct):
    resources: list[_Resource] = []


class _Group(msgspec.Struct):
    metadata: _Metadata
    versions: list[_Version] = []


class _GroupVersion(msgspec.Struct, rename="camel"):
    group_version: str


class _OlderGroup(msgspec.Struct):
    name: str
    versions: list[_GroupVersion] = []


class _Document(msgspec.Struct):
    """APIGroupDiscoveryList; or APIVersions and APIGroupList of older apiservers."""

    kind: str
    items: list[_Group] = []
    versions: list[str] = []
    groups: list[_OlderGroup] = []


class _NamedResource(msgspec.Struct):
    name: str


class _ResourceList(msgspec.Struct):
    resources: list[_NamedResource] = []
