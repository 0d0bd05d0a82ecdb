"""Ends the requests that run and are allowed no longer, and touches no others.

It looks at all that last whenever something may have been taken from somebody: RBAC of the cluster
changed, or the server says that its directory or its trust did. Who a caller is is decided again
where that may be another answer; what it may do is always asked of the cluster's authorizer.

A review that cannot be made is tried again until it can: losing the server or the apiserver ends
no stream by itself, and allows nothing that was not allowed when they were last heard.
"""

import asyncio
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Protocol

import structlog

from towrope.agent.access_reviews import Access, Verdict
from towrope.agent.identity import CALLERS_OWN, Decision
from towrope.agent.live_requests import SHORT, LiveRequest, LiveRequests
from towrope.agent.rights import access_of
from towrope.ops.backoff import Backoff
from towrope.wire.errors import Forbidden, Hop, Malformed, TowropeError, Unauthenticated
from towrope.wire.head import RequestHead

AGAIN_AFTER = (0.05, 0.25, SHORT)
"""Seconds to further looks after a change: the apiserver's own view of it may be a moment behind
ours, and a request that had just begun may turn out to last."""
TOKENS_EVERY = 2.0
"""Seconds between looks at callers with a token of their own, for nothing tells when one ends."""
TOKENS_A_SECOND = 50
"""That many of them are asked about at most, however many there are."""
LONGEST_DELAY = 5.0
AT_ONCE = 16

_log = structlog.get_logger()


class Decider(Protocol):
    @property
    def as_of(self) -> int: ...

    async def decide_again(self, head: RequestHead) -> Decision: ...


class Reviewer(Protocol):
    async def review(self, decision: Decision, access: Access) -> Verdict: ...


class Revocation:
    """`await run()` until cancelled; `look()` whenever somebody may have lost something."""

    def __init__(self, live: LiveRequests, who: Decider, rights: Reviewer) -> None:
        self._live = live
        self._who = who
        self._rights = rights
        self._has_changed = False
        self._woken = asyncio.Event()
        self._turns = asyncio.Semaphore(AT_ONCE)
        live.on_begin = self._begun

    def look(self) -> None:
        self._has_changed = True
        self._woken.set()

    def _begun(self, request: LiveRequest) -> None:
        # It was decided who calls before something changed, and it was not here to be looked at.
        if self._is_out_of_date(request):
            self.look()

    async def run(self) -> None:
        backoff = Backoff(cap=LONGEST_DELAY)
        delays: deque[float] = deque()
        pause = TOKENS_EVERY
        while True:
            is_due = bool(delays)
            has_changed = await self._wait(delays.popleft() if is_due else pause)
            if has_changed:
                delays = deque(AGAIN_AFTER)
            requests = self._live.lasting()
            if not has_changed and not is_due:
                requests = [each for each in requests if each.decision.acting is None]
                pause = max(TOKENS_EVERY, len(requests) / TOKENS_A_SECOND)
            if await self._look_at(requests):
                backoff.reset()
            else:
                delays.appendleft(backoff.next_delay())

    async def _wait(self, seconds: float) -> bool:
        """Whether something changed meanwhile."""
        timer = asyncio.get_running_loop().call_later(seconds, self._woken.set)
        await self._woken.wait()
        timer.cancel()
        self._woken.clear()
        has_changed, self._has_changed = self._has_changed, False
        return has_changed

    async def _look_at(self, requests: list[LiveRequest]) -> bool:
        """Whether all could be told of all."""
        changed = [request for request in requests if self._is_out_of_date(request)]
        alike = _grouped((_credentials(request.head), request) for request in changed)
        async with asyncio.TaskGroup() as group:
            decisions = [group.create_task(self._decide_again(same)) for same in alike]
        running = [request for request in requests if request in self._live]
        alike = _grouped(
            ((request.decision.credential, access_of(request.info)), request) for request in running
        )
        async with asyncio.TaskGroup() as group:
            reviews = [group.create_task(self._review(same)) for same in alike]
        return all(task.result() for task in (*decisions, *reviews))

    def _is_out_of_date(self, request: LiveRequest) -> bool:
        decision = request.decision
        return decision.acting is not None and decision.as_of != self._who.as_of

    async def _decide_again(self, same: list[LiveRequest]) -> bool:
        """Who the caller of these is; False where that cannot be told."""
        try:
            async with self._turns:
                decision = await self._who.decide_again(same[0].head)
        except TowropeError as error:
            if _is_refusal(error):
                self._cut(same, error.message)
                return True
            _log.warning("a caller cannot be verified again yet", reason=error.message)
            return False
        for request in same:
            request.decision = decision
        return True

    async def _review(self, same: list[LiveRequest]) -> bool:
        """What its caller may do; False where that cannot be told."""
        decision, access = same[0].decision, access_of(same[0].info)
        try:
            async with self._turns:
                verdict = await self._rights.review(decision, access)
        except TowropeError as error:
            _log.warning("a right cannot be reviewed yet", reason=error.message)
            return False
        if not verdict.is_allowed:
            self._cut(same, verdict.reason or "its caller may no longer do this")
        return True

    def _cut(self, same: list[LiveRequest], reason: str) -> None:
        for request in same:
            _log.info(
                "access revoked",
                principal=request.decision.principal,
                verb=request.info.verb,
                path=request.info.path,
                reason=reason,
            )
            self._live.cut(request, reason)


def _is_refusal(error: TowropeError) -> bool:
    """Of the agent's own, for what others refuse is not about this caller."""
    return isinstance(error, Unauthenticated | Forbidden | Malformed) and error.hop is Hop.AGENT


def _credentials(head: RequestHead) -> Hashable:
    """All of a request that it depends on who its caller is."""
    return tuple(item for item in head.fields if item[0].lower().startswith(CALLERS_OWN))


def _grouped(requests: Iterable[tuple[Hashable, LiveRequest]]) -> list[list[LiveRequest]]:
    """Those with equal keys together, so that each question is asked once."""
    found: dict[Hashable, list[LiveRequest]] = {}
    for key, request in requests:
        found.setdefault(key, []).append(request)
    return list(found.values())
