"""The trust in force: never older than the last hint, whatever order the answers come in."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.agent import signing
from towrope.agent import trust as module
from towrope.agent.issuers import Issuers
from towrope.agent.trust import UNKNOWN_KEY_EVERY, CurrentTrust
from towrope.ops import tasks
from towrope.wire.agent_api import TRUST, Configuration, FetchConfiguration, Trust
from towrope.wire.errors import Forbidden, Hop, Unauthenticated, Unreachable

WITHIN = 5.0


def version(number: int) -> Trust:
    return Trust(issuers=(signing.trusted(),), directory_changed_at=number)


class Server:
    """What it says now, and who asked."""

    def __init__(self) -> None:
        self.said = version(1)
        self.asked: list[FetchConfiguration] = []
        self._asked = asyncio.Semaphore(0)
        self.failure: Exception | None = None
        self.held: asyncio.Event | None = None
        self.now = 1000.0

    async def __call__(self, request: FetchConfiguration) -> Configuration:
        self.asked.append(request)
        self._asked.release()
        answer = Configuration(resource_id="/r", tls_server_name="a.test", trust=self.said)
        if self.held is not None:
            async with asyncio.timeout(WITHIN):
                await self.held.wait()
        if self.failure is not None:
            raise self.failure
        return answer

    async def is_asked(self) -> None:
        async with asyncio.timeout(WITHIN):
            await self._asked.acquire()

    def trust(self) -> CurrentTrust:
        return CurrentTrust(version(1), self, clock=lambda: self.now)


async def of(ask: Callable[[], Awaitable[Issuers]]) -> int:
    return (await ask()).trust.directory_changed_at


async def test_without_a_hint_nothing_is_fetched() -> None:
    server = Server()
    trust = server.trust()
    server.said = version(2)
    trust.notified("of something else")
    assert await of(trust.current) == 1
    assert await of(trust.attempted) == 1
    assert server.asked == []


async def test_after_a_hint_it_is_fetched_once_for_all() -> None:
    server = Server()
    trust = server.trust()
    server.said = version(2)
    trust.notified(TRUST)
    assert await asyncio.gather(*(of(trust.current) for _ in range(9))) == [2] * 9
    assert await of(trust.current) == 2
    assert len(server.asked) == 1


async def test_after_a_hint_nothing_is_served_without_it() -> None:
    server = Server()
    trust = server.trust()
    trust.notified(TRUST)
    for failure in (Unreachable("away", hop=Hop.SERVER), Unauthenticated("no", hop=Hop.SERVER)):
        server.failure = failure
        with pytest.raises(Unreachable, match="cannot ask the server") as caught:
            await trust.current()
        assert caught.value.hop is Hop.SERVER
    server.failure = None
    assert await of(trust.current) == 1


async def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_WITHIN", 0.05)
    server = Server()
    trust, server.held = server.trust(), asyncio.Event()
    trust.notified(TRUST)
    with pytest.raises(Unreachable, match="did not answer"):
        await trust.current()


async def test_a_hint_while_it_is_fetched_makes_the_answer_old() -> None:
    server = Server()
    trust, server.held = server.trust(), asyncio.Event()
    trust.notified(TRUST)
    first = tasks.spawn(of(trust.current), name="first")
    await server.is_asked()
    server.said = version(2)
    trust.notified(TRUST)
    second = tasks.spawn(of(trust.current), name="second")
    await server.is_asked()
    server.held.set()
    assert await second == 2
    await first
    assert await of(trust.current) == 2
    assert len(server.asked) == 2


async def test_a_late_answer_never_takes_the_place_of_a_newer() -> None:
    """A heartbeat is under way, something changes, the news come, and then its answer."""
    server = Server()
    trust, may_answer = server.trust(), asyncio.Event()

    async def heartbeat() -> Configuration:
        async with asyncio.timeout(WITHIN):
            await may_answer.wait()
        return Configuration(resource_id="/r", tls_server_name="a.test", trust=version(1))

    beating = tasks.spawn(trust.renew_by(heartbeat), name="heartbeat")
    await asyncio.sleep(0)
    server.said = version(2)
    trust.notified(TRUST)
    assert await of(trust.current) == 2
    may_answer.set()
    await beating
    assert trust.issuers.trust.directory_changed_at == 2
    assert await of(trust.current) == 2
    assert len(server.asked) == 1


async def test_the_answer_to_an_earlier_heartbeat_is_none_to_a_hint() -> None:
    server = Server()
    trust, may_answer = server.trust(), asyncio.Event()

    async def heartbeat() -> Configuration:
        async with asyncio.timeout(WITHIN):
            await may_answer.wait()
        return Configuration(resource_id="/r", tls_server_name="a.test", trust=version(1))

    beating = tasks.spawn(trust.renew_by(heartbeat), name="heartbeat")
    await asyncio.sleep(0)
    trust.notified(TRUST)
    may_answer.set()
    await beating
    server.said = version(2)
    assert await of(trust.current) == 2


async def test_what_did_not_change_stays_the_same_object() -> None:
    server = Server()
    trust = server.trust()
    before, hints = trust.issuers, trust.hints
    trust.notified(TRUST)
    assert trust.hints > hints
    assert await trust.current() is before
    server.said = version(2)
    hints = trust.hints
    await trust.renew_by(lambda: server(FetchConfiguration()))
    assert trust.issuers is not before
    assert trust.hints > hints


async def test_after_a_reconnect_it_is_tried_once() -> None:
    server = Server()
    trust = server.trust()
    trust.missed()
    server.said = version(2)
    server.failure = Unreachable("away", hop=Hop.SERVER)
    assert list(await asyncio.gather(of(trust.current), of(trust.current))) == [1, 1]
    assert await of(trust.current) == 1
    assert len(server.asked) == 1
    server.failure = None
    trust.missed()
    assert await of(trust.current) == 2


async def test_a_reconnect_does_not_make_a_hint_forgotten() -> None:
    server = Server()
    trust = server.trust()
    trust.notified(TRUST)
    trust.missed()
    server.failure = Unreachable("away", hop=Hop.SERVER)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await trust.current()


async def test_for_a_token_of_nobody_trusted_it_is_only_tried() -> None:
    server = Server()
    trust = server.trust()
    trust.notified(TRUST)
    server.failure = Unreachable("away", hop=Hop.SERVER)
    assert await of(trust.attempted) == 1
    assert await of(trust.attempted) == 1
    assert len(server.asked) == 1
    with pytest.raises(Unreachable):
        await trust.current()
    trust.notified(TRUST)
    server.failure, server.said = None, version(2)
    assert await of(trust.attempted) == 2


async def test_whoever_wants_to_know_is_told_of_each_hint() -> None:
    server, told = Server(), []
    trust = server.trust()
    trust.on_hint = lambda: told.append(trust.hints)
    trust.notified("another kind")
    assert told == []
    trust.notified(TRUST)
    trust.missed()
    assert told == [1, 2]
    server.said = version(2)
    await trust.current()
    assert told == [1, 2, 3]


async def test_an_unknown_key_is_asked_for_but_not_for_every_request() -> None:
    server = Server()
    trust = server.trust()
    issuer = signing.issuer()
    server.said = version(2)
    found = await asyncio.gather(*(of(lambda: trust.with_key(issuer, "new")) for _ in range(5)))
    assert found == [2] * 5
    assert [(key.issuer, key.key_id) for key in server.asked[0].unknown_keys] == [
        ("towrope", "new")
    ]
    server.said = version(3)
    assert await of(lambda: trust.with_key(issuer, "other")) == 2
    assert len(server.asked) == 1
    other = signing.issuer(name="other")
    assert await of(lambda: trust.with_key(other, "new")) == 3
    server.now += UNKNOWN_KEY_EVERY
    server.failure = Forbidden("no", hop=Hop.SERVER)
    with pytest.raises(Unreachable):
        await trust.with_key(issuer, "other")
    assert len(server.asked) == 3
