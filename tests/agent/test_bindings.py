"""Which groups the cluster's bindings name, at an apiserver that a test plays."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Cluster as ClusterConfig
from lightkube.config.models import User

from towrope.agent import bindings as module
from towrope.agent import informer
from towrope.agent.bindings import Bindings
from towrope.agent.rbac_changes import RbacChanges
from towrope.ops import tasks
from towrope.wire.errors import Unreachable
from towrope.wire.names import object_id_group

WITHIN = 5.0
BY_ID = object_id_group("0f3cfa0b-8a4f-4d6c-8a80-6a3e0b6c5d01")
CLUSTER = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
NAMESPACED = "/apis/rbac.authorization.k8s.io/v1/rolebindings"
ROLES = "/apis/rbac.authorization.k8s.io/v1/roles"
CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
PATHS = (CLUSTER, NAMESPACED, ROLES, CLUSTER_ROLES)


def binding(name: str, *groups: str, namespace: str = "", kind: str = "Group") -> dict[str, Any]:
    metadata = {"name": name, "resourceVersion": "2"}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "metadata": metadata,
        "roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"},
        "subjects": [{"kind": kind, "name": group} for group in groups],
    }


class Apiserver:
    """Lists what it has; its watches say what the test tells them to."""

    def __init__(self) -> None:
        self.items: dict[str, list[dict[str, Any]]] = {path: [] for path in PATHS}
        self.refusal = 0
        self.refused: set[str] = set()
        self.lists = 0
        self.watches: dict[str, asyncio.Queue[bytes | None]] = {}
        self.watched = {path: asyncio.Semaphore(0) for path in PATHS}
        self.lost = asyncio.Semaphore(0)
        """Released whenever somebody may have lost a right."""

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        refusal = 403 if path in self.refused else self.refusal
        if refusal:
            status = {"kind": "Status", "apiVersion": "v1", "code": refusal, "message": "no"}
            return httpx2.Response(refusal, json=status)
        if request.url.params.get("watch") == "true":
            assert request.url.params["resourceVersion"] == "1"
            events = self.watches[path] = asyncio.Queue()
            self.watched[path].release()
            return httpx2.Response(200, content=_lines(events))
        self.lists += 1
        at = int(request.url.params.get("continue", "0"))
        more = str(at + 1) if at + 1 < len(self.items[path]) else ""
        metadata = {"resourceVersion": "1", "continue": more}
        items = self.items[path][at : at + 1]  # one in each answer
        return httpx2.Response(200, json={"metadata": metadata, "items": items})

    def say(self, path: str, kind: str, value: dict[str, Any]) -> None:
        self.watches[path].put_nowait(json.dumps({"type": kind, "object": value}).encode() + b"\n")

    async def is_watched(self, *paths: str) -> None:
        async with asyncio.timeout(WITHIN):
            for path in paths or PATHS:
                await self.watched[path].acquire()


async def _lines(events: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (event := await events.get()) is not None:
        yield event


@contextlib.asynccontextmanager
async def running(apiserver: Apiserver) -> AsyncIterator[Bindings]:
    config = KubeConfig.from_one(
        cluster=ClusterConfig(server="https://apiserver.test"), user=User()
    ).get()
    assert config is not None
    bindings, transport = Bindings(), httpx2.MockTransport(apiserver)
    changes = RbacChanges(config, bindings, lost=apiserver.lost.release, transport=transport)
    watching = tasks.spawn(changes.run(), name="changes")
    try:
        yield bindings
    finally:
        await tasks.cancel(watching)
        await changes.close()


async def become(bindings: Bindings, *groups: str) -> None:
    """Waits until exactly these are named."""
    async with asyncio.timeout(WITHIN):
        while await bindings.groups() != set(groups):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.001)


async def test_the_groups_of_all_bindings() -> None:
    apiserver = Apiserver()
    apiserver.items[CLUSTER] = [binding("a", "g1", "g2"), binding("b", "u", kind="User")]
    apiserver.items[NAMESPACED] = [
        binding("a", "g2", "g3", namespace="one"),
        binding("a", "g4", namespace="two"),
        {**binding("none", namespace="two"), "subjects": None},
        binding("own", "system:authenticated", "System:Masters", namespace="two"),
        binding("ours", BY_ID, f"{BY_ID}0", BY_ID.upper(), "towrope:", namespace="two"),
    ]
    async with running(apiserver) as bindings:
        found = await bindings.groups()
        assert found == {"g1", "g2", "g3", "g4", BY_ID}
        assert await bindings.groups() is found


async def test_they_are_kept_current() -> None:
    apiserver = Apiserver()
    apiserver.items[CLUSTER] = [binding("a", "g1")]
    async with running(apiserver) as bindings:
        await apiserver.is_watched()
        await become(bindings, "g1")
        apiserver.say(NAMESPACED, "ADDED", binding("a", "g2", namespace="one"))
        await become(bindings, "g1", "g2")
        apiserver.say(CLUSTER, "MODIFIED", binding("a", "g3"))
        await become(bindings, "g2", "g3")
        before = await bindings.groups()
        apiserver.say(NAMESPACED, "MODIFIED", binding("a", "g2", namespace="one"))
        apiserver.say(CLUSTER, "MODIFIED", binding("a"))
        await become(bindings, "g2")
        assert before == {"g2", "g3"}
        apiserver.say(NAMESPACED, "DELETED", binding("a", "g2", namespace="one"))
        await become(bindings)


async def test_a_watch_that_is_too_old_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "LONGEST_DELAY", 0.01)
    apiserver = Apiserver()
    apiserver.items[CLUSTER] = [binding("a", "g1"), binding("b", "g2")]
    async with running(apiserver) as bindings:
        await apiserver.is_watched()
        await become(bindings, "g1", "g2")
        apiserver.items[CLUSTER] = [binding("b", "g2")]
        gone = {"kind": "Status", "apiVersion": "v1", "code": 410, "message": "too old"}
        apiserver.say(CLUSTER, "ERROR", gone)
        await become(bindings, "g2")
        await apiserver.is_watched(CLUSTER)
        apiserver.say(CLUSTER, "ADDED", binding("c", "g3"))
        await become(bindings, "g2", "g3")


async def test_all_are_listed_again_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch may be a connection that died, and nobody says so."""
    monkeypatch.setattr(informer, "WATCH_FOR", 0.05)
    apiserver = Apiserver()
    async with running(apiserver) as bindings:
        await become(bindings)
        apiserver.items[CLUSTER] = [binding("a", "g1")]
        await become(bindings, "g1")


async def test_an_apiserver_that_refuses_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "LONGEST_DELAY", 0.01)
    monkeypatch.setattr(module, "READY_WITHIN", 0.2)
    apiserver = Apiserver()
    apiserver.refusal = 403
    async with running(apiserver) as bindings:
        with pytest.raises(Unreachable, match="role bindings: The agent cannot list"):
            await bindings.groups()
        apiserver.refusal = 0
        apiserver.items[CLUSTER] = [binding("a", "g1")]
        await become(bindings, "g1")
        apiserver.refusal = 500
        assert await bindings.groups() == {"g1"}


async def test_an_apiserver_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "LIST_WITHIN", 0.01)
    monkeypatch.setattr(module, "READY_WITHIN", 0.1)

    class Silent(Apiserver):
        async def __call__(self, request: httpx2.Request) -> httpx2.Response:
            await asyncio.sleep(60)
            raise AssertionError

    async with running(Silent()) as bindings:
        with pytest.raises(Unreachable, match="did not list"):
            await bindings.groups()


async def test_only_so_many_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BINDINGS_LIMIT", 2)
    monkeypatch.setattr(module, "GROUPS_LIMIT", 3)
    apiserver = Apiserver()
    apiserver.items[CLUSTER] = [binding(name, f"g{name}") for name in "abc"]
    apiserver.items[NAMESPACED] = [binding("a", "g1", "g2", "g3", "g4", namespace="one")]
    async with running(apiserver) as bindings:
        assert await bindings.groups() == {"g1", "g2", "g3"}
