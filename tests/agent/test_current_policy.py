"""When the policy is fetched, and what stays in force where it cannot be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.agent.reconciled import Server
from towrope.agent import current_policy
from towrope.agent.current_policy import CurrentPolicy
from towrope.agent.hints import Everybody
from towrope.ops import tasks
from towrope.wire import agent_api

WITHIN = 5.0


@contextlib.asynccontextmanager
async def fetched(server: Server) -> AsyncIterator[tuple[CurrentPolicy, asyncio.Event]]:
    """The event is set when the policy is another."""
    changed = asyncio.Event()
    current = CurrentPolicy(server.fetch, changed=changed.set)
    running = tasks.spawn(current.run(), name="policy")
    try:
        async with asyncio.timeout(WITHIN):
            await current.tried()
        yield current, changed
    finally:
        await tasks.cancel(running)


async def test_it_is_fetched_at_the_start_and_upon_its_hint() -> None:
    server = Server()
    async with fetched(server) as (current, changed), asyncio.timeout(WITHIN):
        assert current.policy == server.policy
        changed.clear()
        server.enforce(roles=())
        hints = Everybody(current)
        hints.notified(agent_api.TRUST)
        hints.notified(agent_api.POLICY)
        await changed.wait()
        assert current.policy == server.policy


async def test_a_policy_that_is_current_is_no_change() -> None:
    server = Server()
    async with fetched(server) as (current, changed), asyncio.timeout(WITHIN):
        before = current.policy
        changed.clear()
        Everybody(current, current).missed()
        await current.tried()
        assert current.policy is before
        assert not changed.is_set()


async def test_what_is_known_stays_while_the_server_is_away() -> None:
    server = Server()
    async with fetched(server) as (current, _), asyncio.timeout(WITHIN):
        before, asked = current.policy, server.asked
        server.enforce(roles=())
        server.be_away()
        current.missed()
        await current.tried()
        assert current.policy is before
        server.failure = None
        while current.policy is before:  # noqa: ASYNC110 - the retry comes by itself
            await asyncio.sleep(0.001)
        assert server.asked >= asked + 2


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_policy, "FETCH_WITHIN", 0.01)

    class Silent(Server):
        async def fetch(self, _: object) -> None:
            await asyncio.Event().wait()

    async with fetched(Silent()) as (current, changed):
        assert current.policy is None
        assert not changed.is_set()


async def test_it_is_fetched_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hint may be lost."""
    monkeypatch.setattr(current_policy, "FETCH_EVERY", 0.01)
    server = Server()
    async with fetched(server) as (current, changed), asyncio.timeout(WITHIN):
        changed.clear()
        server.enforce(roles=())
        await changed.wait()
        assert current.policy == server.policy
