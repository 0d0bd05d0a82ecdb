"""A real cluster whose native RBAC follows a policy that the test says."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from lightkube.config.models import User

from tests.fixtures.cluster import Cluster
from towrope.agent import apiserver
from towrope.agent.reconciliation import Reconciliation
from towrope.ops import tasks
from towrope.wire import agent_api, names, policy_names
from towrope.wire.agent_api import FetchPolicy, Policy, PolicyGrant, PolicyPermission, PolicyRole
from towrope.wire.errors import Hop, TowropeError, Unreachable

WITHIN = 20.0
PREFIX = "Microsoft.Kubernetes/connectedClusters/"


def role(number: int, *actions: str, without: tuple[str, ...] = ()) -> PolicyRole:
    permission = PolicyPermission(
        data_actions=tuple(PREFIX + each for each in actions),
        not_data_actions=tuple(PREFIX + each for each in without),
    )
    return PolicyRole(
        id=f"00000000-0000-0000-0000-{number:012}", name=f"role {number}", permissions=(permission,)
    )


def grant(role: PolicyRole, principal: str, namespace: str = "") -> PolicyGrant:
    return PolicyGrant(assignment="a", role=role.id, principal=principal, namespace=namespace)


@dataclass
class Server:
    """Says the policy; a change of it is hinted at."""

    policy: Policy = field(default_factory=lambda: Policy(version="0"))
    failure: TowropeError | None = None
    asked: int = 0
    hint: Callable[[], None] = lambda: None

    async def fetch(self, request: FetchPolicy) -> Policy | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return None if request.version == self.policy.version else self.policy

    def enforce(self, *grants: PolicyGrant, roles: tuple[PolicyRole, ...]) -> None:
        self._say(Policy(version="", is_enforced=True, roles=roles, grants=grants))

    def stop_enforcing(self) -> None:
        self._say(Policy(version=""))

    def be_away(self) -> None:
        self.failure = Unreachable("The server is away.", hop=Hop.SERVER)

    def _say(self, policy: Policy) -> None:
        version = str(int(self.policy.version) + 1)
        self.policy = msgspec.structs.replace(policy, version=version)
        self.hint()


@dataclass
class Reconciled:
    """`kubectl` answers as the cluster's administrator."""

    cluster: Cluster
    server: Server
    reconciliation: Reconciliation

    async def kubectl(self, *words: str, check: bool = True, **more: Any) -> str:
        done = await asyncio.to_thread(self.cluster.kubectl, *words, check=check, **more)
        return done.stdout + done.stderr

    async def objects(self) -> set[str]:
        """`kind/namespace/name` of all that is labelled."""
        kinds = "clusterroles,clusterrolebindings,rolebindings"
        listed = await self.kubectl("get", kinds, "-A", "-l", policy_names.SELECTOR, "-o", "json")
        return {
            f"{each['kind']}/{each['metadata'].get('namespace', '')}/{each['metadata']['name']}"
            for each in json.loads(listed)["items"]
        }

    async def become(self, *expected: str) -> None:
        await self.until(lambda found: found == set(expected), self.objects)

    async def until(self, good: Callable[[Any], bool], look: Callable[[], Any]) -> None:
        """Polls a fact of the apiserver, of which a test is not told."""
        found: Any = None
        try:
            async with asyncio.timeout(WITHIN):
                while not good(found := await look()):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(
                f"it stayed {found}; problems: {self.reconciliation.problems}"
            ) from None

    async def may(self, principal: str, verb: str, what: str, namespace: str = "") -> bool:
        return await may(self.cluster, principal, verb, what, namespace)


async def may(cluster: Cluster, principal: str, verb: str, what: str, namespace: str = "") -> bool:
    """Asks the apiserver's authorizer; `what` is `resource[/subresource][.group]` or a path."""
    words = ["auth", "can-i", verb]
    if what.startswith("/"):
        words.append(what)
    else:
        resource, _, below = what.partition("/")
        words += [resource, *([f"--subresource={below}"] if below else [])]
        words += ["-n", namespace] if namespace else ["-A"]
    words += ["--as=somebody", f"--as-group={names.object_id_group(principal)}"]
    done = await asyncio.to_thread(cluster.kubectl, *words, check=False)
    return done.stdout.strip() == "yes"


@contextlib.asynccontextmanager
async def reconciled(
    cluster: Cluster, server: Server | None = None, *, token: str = ""
) -> AsyncIterator[Reconciled]:
    """As the cluster's administrator, or with another's `token`."""
    server = server or Server()
    access = apiserver.find(kubeconfig=cluster.kubeconfig, context=None).own_access
    access = access._replace(user=User(token=token)) if token else access
    reconciliation = Reconciliation(access, server.fetch)
    server.hint = lambda: reconciliation.notified(agent_api.POLICY)
    running = tasks.spawn(reconciliation.run(), name="reconciliation")
    try:
        yield Reconciled(cluster, server, reconciliation)
    finally:
        await tasks.cancel(running)
        await reconciliation.close()
