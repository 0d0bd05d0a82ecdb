"""Streams that are allowed no longer are ended, others are not touched, and doubt ends none."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import pytest

from towrope.agent import request_info, revocation
from towrope.agent.access_reviews import Access, Verdict
from towrope.agent.caller import Caller
from towrope.agent.identity import Decision
from towrope.agent.live_requests import SHORT, LiveRequest, LiveRequests
from towrope.agent.revocation import Revocation
from towrope.ops import tasks
from towrope.wire.errors import (
    Forbidden,
    Hop,
    Malformed,
    TowropeError,
    Unauthenticated,
    Unreachable,
)
from towrope.wire.head import Fields, RequestHead

WITHIN = 10.0
WATCH = "/api/v1/pods?watch=1"
EXEC = "/api/v1/namespaces/a/pods/b/exec"
AWAY = Unreachable("away", hop=Hop.APISERVER)


@dataclass
class Played:
    """A cluster, a server, and the requests that run."""

    live: LiveRequests = field(init=False)
    revocation: Revocation = field(init=False)
    as_of: int = 1
    now: float = 1000.0
    denied: Callable[[Decision, Access], bool] = lambda *_: False
    failure: TowropeError | None = None
    refusal: TowropeError | None = None
    reviewed: list[tuple[str, Access]] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)
    cut: dict[str, str] = field(default_factory=dict)
    looked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def __post_init__(self) -> None:
        self.live = LiveRequests(clock=lambda: self.now)
        self.revocation = Revocation(self.live, self, self)

    async def decide_again(self, head: RequestHead) -> Decision:
        name = (head.fields.first(b"authorization") or b"").decode()
        self.decided.append(name)
        self.looked.release()
        if self.refusal is not None:
            raise self.refusal
        return decision_of(name, as_of=self.as_of)

    async def review(self, decision: Decision, access: Access) -> Verdict:
        self.reviewed.append((decision.principal, access))
        self.looked.release()
        if self.failure is not None:
            raise self.failure
        return Verdict(is_allowed=not self.denied(decision, access), reason="no longer")

    @contextlib.contextmanager
    def running(self, *names: str, target: str = WATCH, own: bool = False):  # type: ignore[no-untyped-def]
        """One request of each, as of what is known."""
        with contextlib.ExitStack() as undo:
            for name in names:
                decision = decision_of(name, as_of=self.as_of)
                if own:
                    decision = replace(decision, acting=None, as_of=0)
                undo.enter_context(self.live.running(self._request(name, target, decision)))
            yield

    def _request(self, name: str, target: str, decision: Decision) -> LiveRequest:
        fields = Fields(((b"Authorization", name.encode()), (b"Accept", b"*/*")))
        return LiveRequest(
            head=RequestHead(b"GET", target.encode(), fields),
            info=request_info.parse("GET", target),
            decision=decision,
            cut=lambda reason: self.cut.__setitem__(name, reason),
        )

    async def is_looked_at(self, times: int = 1) -> None:
        async with asyncio.timeout(WITHIN):
            for _ in range(times):
                await self.looked.acquire()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def decision_of(name: str, *, as_of: int) -> Decision:
    return Decision(
        principal=name,
        credential=((b"Impersonate-User", name.encode()),),
        is_impersonated=True,
        acting=Caller(username=name),
        as_of=as_of,
    )


@contextlib.asynccontextmanager
async def revoking(played: Played) -> AsyncIterator[None]:
    task = tasks.spawn(played.revocation.run(), name="revocation")
    try:
        yield
    finally:
        await tasks.cancel(task)


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look for each change, so that a test can count them."""
    monkeypatch.setattr(revocation, "AGAIN_AFTER", ())
    monkeypatch.setattr(revocation, "TOKENS_EVERY", 3600.0)


async def test_a_lost_right_ends_what_it_allowed_and_nothing_else() -> None:
    played = Played(denied=lambda decision, _: decision.principal == "ada")
    with played.running("ada", "bob"):
        async with revoking(played):
            played.revocation.look()
            await played.is_looked_at(2)
    assert played.cut == {"ada": "no longer"}


async def test_of_one_caller_only_what_is_not_allowed_ends() -> None:
    played = Played(denied=lambda _, access: access.subresource == "exec")
    with played.running("ada"), played.running("bob", target=EXEC):
        async with revoking(played):
            played.revocation.look()
            await played.is_looked_at(2)
    assert played.cut == {"bob": "no longer"}


async def test_without_a_change_nobody_is_asked_about() -> None:
    played = Played()
    with played.running("ada"):
        async with revoking(played):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await played.looked.acquire()


async def test_equal_questions_are_asked_once() -> None:
    played = Played()
    with played.running("ada"), played.running("ada"), played.running("bob"):
        played.as_of = 2
        async with revoking(played):
            played.revocation.look()
            await played.is_looked_at(4)
    assert sorted(played.decided) == ["ada", "bob"]
    assert sorted(name for name, _ in played.reviewed) == ["ada", "bob"]


async def test_who_a_caller_is_is_decided_again_only_after_a_hint() -> None:
    played = Played()
    with played.running("ada"):
        async with revoking(played):
            played.revocation.look()
            await played.is_looked_at()
            assert played.decided == []
            played.as_of = 2
            played.revocation.look()
            await played.is_looked_at(2)
            assert played.decided == ["ada"]
            played.revocation.look()
            await played.is_looked_at()
            assert played.decided == ["ada"]


@pytest.mark.parametrize("kind", [Unauthenticated, Forbidden, Malformed])
async def test_a_caller_who_is_nobody_any_more_is_ended(kind: type[TowropeError]) -> None:
    played = Played(refusal=kind("the account is disabled", hop=Hop.AGENT))
    with played.running("ada"):
        played.as_of = 2
        async with revoking(played):
            played.revocation.look()
            await played.is_looked_at()
    assert played.cut == {"ada": "the account is disabled"}
    assert played.reviewed == []


@pytest.mark.parametrize("doubt", [AWAY, Forbidden("not allowed to ask", hop=Hop.APISERVER)])
async def test_doubt_who_it_is_ends_nothing_and_is_asked_again(doubt: TowropeError) -> None:
    played = Played(refusal=doubt)
    with played.running("ada"):
        played.as_of = 2
        async with revoking(played):
            played.revocation.look()
            await played.is_looked_at(2)
            assert played.cut == {}
            played.refusal = Unauthenticated("gone", hop=Hop.AGENT)
            while not played.cut:
                await played.is_looked_at()
    assert played.cut == {"ada": "gone"}


async def test_doubt_what_it_may_ends_nothing_and_is_asked_again() -> None:
    played = Played(failure=AWAY, denied=lambda *_: True)
    with played.running("ada"):
        async with revoking(played):
            played.revocation.look()
            await played.is_looked_at(3)
            assert played.cut == {}
            played.failure = None
            while not played.cut:
                await played.is_looked_at()
    assert played.cut == {"ada": "no longer"}


async def test_one_that_was_decided_before_a_change_is_looked_at() -> None:
    """It was not there yet when the change came."""
    played = Played(refusal=Unauthenticated("gone", hop=Hop.AGENT))
    async with revoking(played):
        decision = decision_of("ada", as_of=0)
        with played.live.running(played._request("ada", WATCH, decision)):
            await played.is_looked_at()
    assert played.cut == {"ada": "gone"}


async def test_a_change_is_looked_at_again_a_moment_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The apiserver may not know of it yet."""
    monkeypatch.setattr(revocation, "AGAIN_AFTER", (0.0, 0.0))
    played = Played()
    with played.running("ada"):
        async with revoking(played):
            played.revocation.look()
            await played.is_looked_at(2)
            played.denied = lambda *_: True
            await played.is_looked_at()
    assert played.cut == {"ada": "no longer"}


def test_the_last_look_finds_what_had_just_begun() -> None:
    assert sum(AGAIN_AFTER) >= SHORT


AGAIN_AFTER = revocation.AGAIN_AFTER


async def test_what_is_short_is_left_alone() -> None:
    played = Played(denied=lambda *_: True)
    with played.running("ada", target="/api/v1/pods"), played.running("bob"):
        async with revoking(played):
            played.revocation.look()
            await played.is_looked_at()
            assert played.cut == {"bob": "no longer"}
            played.now += SHORT
            played.revocation.look()
            await played.is_looked_at()
    assert set(played.cut) == {"ada", "bob"}


async def test_callers_with_tokens_of_their_own_are_asked_about_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(revocation, "TOKENS_EVERY", 0.01)
    played = Played()
    with played.running("ada"), played.running("robot", own=True):
        async with revoking(played):
            await played.is_looked_at(3)
            assert {name for name, _ in played.reviewed} == {"robot"}
            played.denied = lambda *_: True
            while not played.cut:
                await played.is_looked_at()
    assert set(played.cut) == {"robot"}
    assert played.decided == []


async def test_one_that_ends_meanwhile_is_not_asked_about() -> None:
    played = Played()
    waiting = played.running("ada")
    waiting.__enter__()
    played.as_of = 2
    decide = played.decide_again

    async def decide_again(head: RequestHead) -> Decision:
        waiting.__exit__(None, None, None)
        return await decide(head)

    played.decide_again = decide_again  # type: ignore[method-assign]
    async with revoking(played):
        played.revocation.look()
        await played.is_looked_at()
    assert played.reviewed == []
