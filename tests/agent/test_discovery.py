"""What resources there are, at apiservers of several ages that a test plays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from towrope.agent import discovery
from towrope.agent.discovery import Discovery
from towrope.ops import tasks
from towrope.wire.data_actions import Resource

WITHIN = 5.0
PODS = Resource(group="", name="pods", subresources=frozenset({"log", "status"}))
WIDGETS = Resource(group="shop.example", name="widgets")


def aggregated(*resources: Resource) -> dict[str, Any]:
    """Each in a version of its own, as discovery may tell of one resource twice."""
    return {
        "kind": "APIGroupDiscoveryList",
        "items": [
            {
                "metadata": {"name": each.group} if each.group else {},
                "versions": [
                    {
                        "version": f"v{number}",
                        "resources": [
                            {"resource": each.name, "subresources": [{"subresource": below}]}
                        ],
                    }
                    for number, below in enumerate(sorted(each.subresources))
                ]
                or [{"version": "v1", "resources": [{"resource": each.name}]}],
            }
            for each in resources
        ],
    }


OLDER = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            {"name": "shop.example", "versions": [{"groupVersion": "shop.example/v1"}]},
            {"name": "away.example", "versions": [{"groupVersion": "away.example/v1"}]},
        ],
    },
    "/api/v1": {
        "kind": "APIResourceList",
        "resources": [{"name": "pods"}, {"name": "pods/log"}, {"name": "pods/status"}],
    },
    "/apis/shop.example/v1": {"kind": "APIResourceList", "resources": [{"name": "widgets"}]},
}


class Apiserver:
    """Documents by their path; watches of definitions say an event when the test does."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self.documents = documents
        self.etag = ""
        self.statuses: list[tuple[str, int]] = []
        self.event = asyncio.Event()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path in discovery.DEFINITIONS:
            return self._definitions(request)
        answer = self._document(path, request.headers.get("if-none-match", ""))
        self.statuses.append((path, answer.status_code))
        return answer

    def _document(self, path: str, known: str) -> httpx2.Response:
        if path not in self.documents:
            return httpx2.Response(503, text="away")
        if self.etag and known == self.etag:
            return httpx2.Response(304)
        headers = {"etag": self.etag} if self.etag else {}
        return httpx2.Response(200, json=self.documents[path], headers=headers)

    def _definitions(self, request: httpx2.Request) -> httpx2.Response:
        if "watch" not in request.url.params:
            return httpx2.Response(200, json={"metadata": {"resourceVersion": "1"}})

        async def lines() -> AsyncIterator[bytes]:
            await self.event.wait()
            yield b'{"type": "MODIFIED", "object": {}}\n'
            await asyncio.Event().wait()

        return httpx2.Response(200, content=lines())


@contextlib.asynccontextmanager
async def discovered(played: Apiserver) -> AsyncIterator[tuple[Discovery, asyncio.Event]]:
    """The event is set when the resources are others."""
    changed = asyncio.Event()
    client = httpx2.AsyncClient(
        base_url="https://apiserver.test", transport=httpx2.MockTransport(played)
    )
    made = Discovery(client, changed=changed.set)
    running = tasks.spawn(made.run(), name="discovery")
    try:
        async with asyncio.timeout(WITHIN):
            await changed.wait()
        changed.clear()
        yield made, changed
    finally:
        await tasks.cancel(running)
        await client.aclose()


@pytest.mark.parametrize(
    "documents",
    [{"/api": aggregated(PODS), "/apis": aggregated(WIDGETS)}, OLDER],
    ids=["aggregated", "older"],
)
async def test_what_there_is(documents: dict[str, Any]) -> None:
    async with discovered(Apiserver(documents)) as (found, _):
        assert found.is_tried
        assert set(found.resources) == {PODS, WIDGETS}


async def test_nothing_is_sent_again_while_it_is_the_same() -> None:
    played = Apiserver({"/api": aggregated(PODS), "/apis": aggregated(WIDGETS)})
    played.etag = '"1"'
    async with discovered(played) as (found, _), asyncio.timeout(WITHIN):
        while ("/apis", 304) not in played.statuses:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        assert set(found.resources) == {PODS, WIDGETS}
    assert played.statuses.count(("/apis", 200)) == 1


async def test_an_event_of_the_definitions_is_a_reason_to_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "AFTER_EVENT", ())
    played = Apiserver({"/api": aggregated(PODS), "/apis": aggregated()})
    async with discovered(played) as (found, changed), asyncio.timeout(WITHIN):
        assert found.resources == (PODS,)
        played.documents["/apis"] = aggregated(WIDGETS)
        played.event.set()
        await changed.wait()
        assert set(found.resources) == {PODS, WIDGETS}


@pytest.mark.parametrize("broken", [{"kind": 7}, []])
async def test_what_was_known_stays_where_it_cannot_be_told(
    monkeypatch: pytest.MonkeyPatch, broken: object
) -> None:
    monkeypatch.setattr(discovery, "AFTER_EVENT", (0.001,) * 100)
    played = Apiserver({"/api": aggregated(PODS), "/apis": aggregated(WIDGETS)})
    async with discovered(played) as (found, _), asyncio.timeout(WITHIN):
        played.documents["/apis"] = broken
        before = len(played.statuses)
        while len(played.statuses) < before + 4:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        assert set(found.resources) == {PODS, WIDGETS}


async def test_that_it_failed_once_is_told() -> None:
    async with discovered(Apiserver({})) as (found, _):
        assert found.is_tried
        assert found.resources == ()
