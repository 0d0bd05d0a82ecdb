"""What a keeper is told of the objects of one kind: by a real apiserver, and by one that a test
plays where it is to fail.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Cluster as ClusterConfig
from lightkube.config.models import User

from tests.fixtures.cluster import Cluster
from towrope.agent import apiserver, informer
from towrope.agent.informer import METADATA_ONLY, WHOLE, Accept, Informer, PartialObject, client_of
from towrope.ops import tasks

WITHIN = 20.0
PATH = "/api/v1/configmaps"


@dataclass
class Kept:
    """All that was told, in its order."""

    told: asyncio.Queue[tuple[str, tuple[str, ...]]] = field(default_factory=asyncio.Queue)

    def listed(self, items: list[PartialObject]) -> None:
        self.told.put_nowait(("LIST", tuple(sorted(each.metadata.name for each in items))))

    def changed(self, event: str, item: PartialObject) -> None:
        self.told.put_nowait((event, (item.metadata.name,)))

    def failed(self, reason: str) -> None:
        self.told.put_nowait(("FAILED", (reason,)))

    async def next(self) -> tuple[str, tuple[str, ...]]:
        async with asyncio.timeout(WITHIN):
            return await self.told.get()


@contextlib.asynccontextmanager
async def informed(
    client: httpx2.AsyncClient, *, path: str = PATH, accept: Accept = WHOLE
) -> AsyncIterator[Kept]:
    kept = Kept()
    running = tasks.spawn(
        Informer(client, path, PartialObject, kept, accept=accept).run(), name="informer"
    )
    try:
        yield kept
    finally:
        await tasks.cancel(running)
        await client.aclose()


@pytest.mark.parametrize("accept", [WHOLE, METADATA_ONLY], ids=["whole", "metadata"])
async def test_events_are_told_one_by_one(cluster: Cluster, namespace: str, accept: Accept) -> None:
    async def kubectl(*words: str) -> None:
        await asyncio.to_thread(cluster.kubectl, *words, "-n", namespace)

    client = client_of(apiserver.find(kubeconfig=cluster.kubeconfig, context=None).own_access)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await kubectl("create", "configmap", "first")
    async with informed(client, path=path, accept=accept) as kept:
        kind, names = await kept.next()
        assert (kind, "first" in names) == ("LIST", True)
        await kubectl("create", "configmap", "second")
        await kubectl("label", "configmap", "second", "a=b")
        await kubectl("delete", "configmap", "second")
        told: list[str] = []
        while len(told) < 3:
            event, which = await kept.next()
            assert event != "LIST"
            told += [event] if which == ("second",) else []
        assert told == ["ADDED", "MODIFIED", "DELETED"]


Answer = Callable[[httpx2.Request], httpx2.Response]


class Apiserver:
    """Answers lists and watches by what the test puts into them; the last one stays."""

    def __init__(self, lists: list[Answer], watches: list[Answer]) -> None:
        self.lists, self.watches = lists, watches
        self.asked: list[dict[str, str]] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        params = dict(request.url.params)
        self.asked.append(params)
        answers = self.watches if "watch" in params else self.lists
        return (answers.pop(0) if len(answers) > 1 else answers[0])(request)

    def client(self) -> httpx2.AsyncClient:
        config = KubeConfig.from_one(
            cluster=ClusterConfig(server="https://apiserver.test"), user=User()
        ).get()
        assert config is not None
        return client_of(config, transport=httpx2.MockTransport(self))


def listing(*names: str, more: str = "", version: str = "1") -> Answer:
    items = [{"metadata": {"name": name}} for name in names] or None
    metadata = {"resourceVersion": version, "continue": more}
    return lambda _: httpx2.Response(200, json={"metadata": metadata, "items": items})


def refusing(status: int) -> Answer:
    body = {"kind": "Status", "apiVersion": "v1", "code": status, "message": "because"}
    return lambda _: httpx2.Response(status, json=body)


def saying(*events: Any, waits: bool = True) -> Answer:
    async def lines() -> AsyncIterator[bytes]:
        for event in events:
            yield json.dumps(event).encode() + b"\n"
        if waits:
            await asyncio.Event().wait()

    return lambda _: httpx2.Response(200, content=lines())


async def test_a_list_in_parts_is_told_as_one() -> None:
    played = Apiserver([listing("a", more="x"), listing("b", version="7")], [saying()])
    async with informed(played.client()) as kept:
        assert await kept.next() == ("LIST", ("a", "b"))
    assert [each.get("continue") for each in played.asked[:2]] == [None, "x"]


async def test_a_watch_that_is_too_old_begins_anew() -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
    played = Apiserver([listing("a"), listing()], [saying(gone), saying()])
    async with informed(played.client()) as kept:
        assert await kept.next() == ("LIST", ("a",))
        kind, (reason,) = await kept.next()
        assert (kind, "ended" in reason) == ("FAILED", True)
        assert await kept.next() == ("LIST", ())


async def test_a_watch_that_ends_is_followed_by_a_list() -> None:
    played = Apiserver([listing("a"), listing("b")], [saying(waits=False), saying()])
    async with informed(played.client()) as kept:
        assert await kept.next() == ("LIST", ("a",))
        assert await kept.next() == ("LIST", ("b",))


async def test_all_are_listed_again_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "WATCH_FOR", 0.01)
    monkeypatch.setattr(informer, "STABLE_AFTER", 0.0)
    played = Apiserver([listing("a"), listing("b")], [saying()])
    async with informed(played.client()) as kept:
        assert await kept.next() == ("LIST", ("a",))
        assert await kept.next() == ("LIST", ("b",))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusing(403), "cannot list /api/v1/configmaps: because"),
        (lambda _: httpx2.Response(500, text="oops"), "the apiserver answered 500"),
        (lambda _: httpx2.Response(200, text="no json"), "is not understood"),
        (lambda _: httpx2.Response(200, json={"metadata": {}, "items": [7]}), "is not understood"),
    ],
)
async def test_a_refused_list_is_tried_again(answer: Answer, said: str) -> None:
    played = Apiserver([answer, listing("a")], [saying()])
    async with informed(played.client()) as kept:
        kind, (reason,) = await kept.next()
        assert kind == "FAILED"
        assert said in reason
        assert await kept.next() == ("LIST", ("a",))


@pytest.mark.parametrize(
    ("answer", "said"),
    [(refusing(403), "cannot watch"), (saying("no event"), "is not understood")],
)
async def test_a_refused_watch_is_tried_again(answer: Answer, said: str) -> None:
    played = Apiserver([listing("a"), listing("b")], [answer, saying()])
    async with informed(played.client()) as kept:
        await kept.next()
        kind, (reason,) = await kept.next()
        assert kind == "FAILED"
        assert said in reason
        assert await kept.next() == ("LIST", ("b",))


async def test_an_apiserver_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "LIST_WITHIN", 0.01)

    async def silent(_: httpx2.Request) -> httpx2.Response:
        return await asyncio.Future()

    client = httpx2.AsyncClient(
        base_url="https://apiserver.test", transport=httpx2.MockTransport(silent)
    )
    async with informed(client) as kept:
        kind, (reason,) = await kept.next()
        assert (kind, "did not list" in reason) == ("FAILED", True)
