"""Makes the cluster's native RBAC what the policy asks for, and keeps it so.

A pass compares what is wanted with what is there, and writes the difference; whatever changes on
either side is a reason for another. Passes of several replicas do no harm to each other: each write
says the whole object. Without a policy nothing is written, and nothing is taken away.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx2
import structlog
from lightkube.config.kubeconfig import SingleConfig

from towrope.agent import policy_objects
from towrope.agent.current_policy import CurrentPolicy, Fetch
from towrope.agent.discovery import Discovery
from towrope.agent.informer import client_of
from towrope.agent.namespaces import Namespaces
from towrope.agent.policy_differences import Difference, differences
from towrope.agent.policy_objects import Content, Key, Wanted
from towrope.agent.rbac_objects import RbacObjects
from towrope.ops import tasks
from towrope.ops.backoff import Backoff
from towrope.wire.agent_api import Policy
from towrope.wire.data_actions import Resource
from towrope.wire.errors import Hop, NotFound, TowropeError

WRITES_AT_ONCE = 8
SETTLED_WITHIN = 5.0
LONGEST_DELAY = 15.0
PROBLEMS_SHOWN = 10

_log = structlog.get_logger()


class Reconciliation:
    """`await run()` until cancelled; `close()` after it. `fetch` asks the server."""

    def __init__(
        self,
        config: SingleConfig,
        fetch: Fetch,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.problems: tuple[str, ...] = ()
        """What of the policy is not in force, in sentences."""
        self._client = client_of(config, transport=transport)
        self._wake = asyncio.Event()
        self._policy = CurrentPolicy(fetch, changed=self._wake.set)
        self._objects = RbacObjects(self._client, changed=self._wake.set)
        self._discovery = Discovery(self._client, changed=self._wake.set)
        self._namespaces = Namespaces(self._client, changed=self._wake.set)
        self._observing: asyncio.Task[None] | None = None
        self._turns = asyncio.Semaphore(WRITES_AT_ONCE)
        self._wanted: tuple[Policy, tuple[Resource, ...], Wanted] | None = None
        self._passed: Policy | None = None
        self._passing = asyncio.Event()

    async def close(self) -> None:
        await self._client.aclose()

    @property
    def is_enforced(self) -> bool:
        """Whether role assignments decide in this cluster."""
        return self._policy.policy is not None and self._policy.policy.is_enforced

    def notified(self, kind: str) -> None:
        self._policy.notified(kind)

    def missed(self) -> None:
        self._policy.missed()

    async def settled(self) -> None:
        """Until the policy was tried since the start and since the control channel was away, and
        what it takes away is gone; or that cannot be had just now."""
        try:
            async with asyncio.timeout(SETTLED_WITHIN):
                await self._policy.tried()
                while self._passed is not self._policy.policy:
                    self._passing.clear()
                    await self._passing.wait()
                await self._objects.confirmed()
        except TimeoutError:
            _log.warning("requests are served while the policy is not carried out wholly")

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._policy.run())
                group.create_task(self._objects.run())
                group.create_task(self._keep_passing())
        finally:
            await tasks.cancel(self._observing)

    async def _keep_passing(self) -> None:
        backoff = Backoff(cap=LONGEST_DELAY)
        while True:
            self._wake.clear()
            await self._observe_while(self.is_enforced)
            policy = self._policy.policy
            if policy is not None and self._is_ready:
                problems = await self._pass(policy)
                self._passed = policy
                self._passing.set()
                self._report(problems)
            if not self.problems:
                backoff.reset()
            await self._woken(within=backoff.next_delay() if self.problems else None)

    @property
    def _is_ready(self) -> bool:
        """Whether it is known what is there, or that it cannot be."""
        is_seen = self._objects.is_known or self._objects.failure != ""
        return is_seen and (self._discovery.is_tried or not self.is_enforced)

    async def _observe_while(self, is_enforced: bool) -> None:
        """What the cluster has matters only while the policy is enforced."""
        if is_enforced and self._observing is None:
            self._observing = tasks.spawn(self._observe(), name="discovery")
        elif not is_enforced and self._observing is not None:
            await tasks.cancel(self._observing)
            self._observing = None

    async def _observe(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._discovery.run())
            group.create_task(self._namespaces.run())

    async def _woken(self, *, within: float | None) -> None:
        try:
            async with asyncio.timeout(within):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _pass(self, policy: Policy) -> tuple[str, ...]:
        """The problems that remain."""
        if not self._objects.is_known:
            return (self._objects.failure,) if policy.is_enforced else ()
        wanted = self._wanted_by(policy)
        problems = list(wanted.problems)
        for stage in differences(wanted.objects, self._objects.objects):
            async with asyncio.TaskGroup() as group:
                for each in stage:
                    group.create_task(self._carry_out(each, policy, problems))
        return tuple(problems)

    def _wanted_by(self, policy: Policy) -> Wanted:
        """Spelled out once for as long as neither the policy nor the resources are others."""
        resources = self._discovery.resources
        if self._wanted is None or self._wanted[:2] != (policy, resources):
            self._wanted = policy, resources, policy_objects.wanted(policy, resources)
        return self._wanted[2]

    async def _carry_out(self, each: Difference, policy: Policy, problems: list[str]) -> None:
        async with self._turns:
            failed = False
            for key, content in each.written:
                failed |= not await self._do(self._write(key, content), policy, problems)
            if failed and each.is_new:
                return  # what is to move stays where it is
            for key in each.deleted:
                await self._do(self._objects.delete(key), policy, problems)

    async def _do(
        self, work: Coroutine[Any, Any, None], policy: Policy, problems: list[str]
    ) -> bool:
        if self._policy.policy is not policy:
            work.close()  # another policy is to be carried out, and it may take something away
            return False
        try:
            await work
        except TowropeError as error:
            problems.append(error.message)
            return False
        return True

    async def _write(self, key: Key, content: Content) -> None:
        if self._namespaces.is_missing(key.namespace):
            raise NotFound(
                f"There is no namespace '{key.namespace}', which role assignments name; they come"
                " into force when it is there.",
                hop=Hop.APISERVER,
            )
        await self._objects.write(key, content)

    def _report(self, problems: tuple[str, ...]) -> None:
        if problems != self.problems:
            for reason in problems[:PROBLEMS_SHOWN]:
                _log.error("the policy is not in force in all", reason=reason)
        self.problems = problems
