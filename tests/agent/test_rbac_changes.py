"""When somebody may have lost a right: told for roles and bindings of both scopes."""

import asyncio

import pytest

from tests.agent.test_bindings import (
    CLUSTER,
    CLUSTER_ROLES,
    NAMESPACED,
    PATHS,
    ROLES,
    WITHIN,
    Apiserver,
    binding,
    running,
)
from towrope.agent import informer


async def told(apiserver: Apiserver, times: int = 1) -> None:
    async with asyncio.timeout(WITHIN):
        for _ in range(times):
            await apiserver.lost.acquire()


@pytest.mark.parametrize("path", [CLUSTER, NAMESPACED, ROLES, CLUSTER_ROLES])
@pytest.mark.parametrize("event", ["MODIFIED", "DELETED"])
async def test_a_change_and_a_removal_may_take_a_right(path: str, event: str) -> None:
    apiserver = Apiserver()
    async with running(apiserver):
        await apiserver.is_watched()
        await told(apiserver, len(PATHS))
        assert apiserver.lost.locked()
        apiserver.say(path, "ADDED", binding("a", "g"))
        apiserver.say(path, event, binding("a"))
        await told(apiserver)
        assert apiserver.lost.locked(), "what is added takes nothing"


async def test_what_a_watch_missed_may_have_taken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "LONGEST_DELAY", 0.01)
    apiserver = Apiserver()
    async with running(apiserver):
        await apiserver.is_watched()
        await told(apiserver, len(PATHS))
        apiserver.watches[ROLES].put_nowait(None)
        await told(apiserver)


async def test_the_bindings_are_current_when_it_is_told() -> None:
    apiserver = Apiserver()
    apiserver.items[CLUSTER] = [binding("a", "g1")]
    async with running(apiserver) as bindings:
        await apiserver.is_watched()
        await told(apiserver, len(PATHS))
        assert await bindings.groups() == {"g1"}
        apiserver.say(CLUSTER, "DELETED", binding("a", "g1"))
        await told(apiserver)
        assert await bindings.groups() == set()


async def test_roles_that_may_not_be_watched_hide_no_bindings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(informer, "LONGEST_DELAY", 0.01)
    apiserver = Apiserver()
    apiserver.items[CLUSTER] = [binding("a", "g1")]
    apiserver.refused = {ROLES, CLUSTER_ROLES}
    async with running(apiserver) as bindings:
        await apiserver.is_watched(CLUSTER, NAMESPACED)
        assert await bindings.groups() == {"g1"}
        apiserver.refused = set()
        await apiserver.is_watched(ROLES, CLUSTER_ROLES)
