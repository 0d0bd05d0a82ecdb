"""Native RBAC follows the policy, at a real apiserver."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from tests.agent.reconciled import WITHIN, Reconciled, Server, grant, reconciled, role
from tests.fixtures.cluster import Cluster
from towrope.wire import agent_api, policy_names

PODS = role(1, "pods/read")
SECRETS = role(2, "secrets/read")
THIEF = '{{"kind": "User", "name": "thief", "apiGroup": "rbac.authorization.k8s.io"}}'
ROLE = f"ClusterRole//{policy_names.cluster_role(PODS.id)}"
BINDING = f"ClusterRoleBinding//{policy_names.cluster_role(PODS.id)}"


@pytest.fixture
async def played(cluster: Cluster) -> AsyncIterator[Reconciled]:
    """Leaves the cluster as it was."""
    async with reconciled(cluster) as made:
        yield made
        made.server.failure = None
        made.server.stop_enforcing()
        await made.become()


async def test_a_grant_comes_and_goes(played: Reconciled) -> None:
    assert not await played.may("ada", "list", "pods")
    played.server.enforce(grant(PODS, "ada"), roles=(PODS,))
    await played.become(ROLE, BINDING)
    assert await played.may("ada", "list", "pods")
    assert not await played.may("ada", "list", "secrets")
    assert not await played.may("bob", "list", "pods")
    played.server.enforce(roles=())
    await played.become()
    assert not await played.may("ada", "list", "pods")


async def test_a_grant_in_a_namespace_is_of_that_alone(played: Reconciled, namespace: str) -> None:
    played.server.enforce(grant(PODS, "ada", namespace), roles=(PODS,))
    await played.become(ROLE, f"RoleBinding/{namespace}/{policy_names.cluster_role(PODS.id)}")
    assert await played.may("ada", "list", "pods", namespace)
    assert not await played.may("ada", "list", "pods", "default")


async def test_without_enforcement_nothing_is_left(played: Reconciled, namespace: str) -> None:
    played.server.enforce(grant(PODS, "ada"), grant(PODS, "bob", namespace), roles=(PODS,))
    await played.until(lambda found: len(found) == 3, played.objects)
    played.server.stop_enforcing()
    await played.become()
    assert not played.reconciliation.is_enforced


async def test_a_missing_namespace_is_waited_for(played: Reconciled) -> None:
    name = "comes-later"
    played.server.enforce(grant(PODS, "ada", name), grant(PODS, "bob"), roles=(PODS,))
    await played.become(ROLE, BINDING)
    missing = f"There is no namespace '{name}'"
    await played.until(lambda found: missing in found, problems_of(played))
    await played.kubectl("create", "namespace", name)
    bound = f"RoleBinding/{name}/{policy_names.cluster_role(PODS.id)}"
    await played.become(ROLE, BINDING, bound)
    await played.until(lambda found: not found, problems_of(played))
    await played.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize(
    "harm",
    [
        ("delete", "clusterrolebinding", "{name}"),
        ("delete", "clusterrole", "{name}"),
        ("label", "clusterrolebinding", "{name}", "app.kubernetes.io/managed-by-"),
        ("label", "clusterrole", "{name}", "app.kubernetes.io/managed-by=x", "--overwrite"),
        ("patch", "clusterrolebinding", "{name}", "-p", '{{"subjects": null}}'),
        ("patch", "clusterrole", "{name}", "-p", '{{"rules": null}}'),
        (
            *("patch", "clusterrole", "{name}", "-p"),
            '{{"aggregationRule": {{"clusterRoleSelectors": [{{"matchLabels": {{"a": "b"}}}}]}}}}',
        ),
        (
            *("patch", "clusterrolebinding", "{name}", "--type=json", "-p"),
            f'[{{{{"op": "add", "path": "/subjects/-", "value": {THIEF}}}}}]',
        ),
    ],
)
async def test_drift_is_healed(played: Reconciled, harm: tuple[str, ...]) -> None:
    played.server.enforce(grant(PODS, "ada"), roles=(PODS,))
    await played.become(ROLE, BINDING)
    before = await content_of(played)
    name = policy_names.cluster_role(PODS.id)
    await played.kubectl(*(word.format(name=name) for word in harm))
    await played.until(lambda found: found == before, lambda: content_of(played))
    await played.become(ROLE, BINDING)


async def test_another_role_under_a_bindings_name_is_replaced(cluster: Cluster) -> None:
    name = policy_names.cluster_role(PODS.id)
    forged = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {
            "name": name,
            "labels": {policy_names.MANAGED_BY_LABEL: policy_names.MANAGED_BY},
        },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
    }
    await asyncio.to_thread(cluster.kubectl, "create", "-f", "-", input=json.dumps(forged))
    server = Server()
    server.enforce(grant(PODS, "ada"), roles=(PODS,))
    async with reconciled(cluster, server) as played:
        await played.until(bool, lambda: played.may("ada", "list", "pods"))
        assert not await played.may("ada", "list", "secrets")
        server.stop_enforcing()
        await played.become()


async def test_what_is_not_ours_stays_as_it_is(played: Reconciled) -> None:
    """Under the very name that is wanted, without the label."""
    name = policy_names.cluster_role(PODS.id)
    await played.kubectl("create", "clusterrole", name, "--verb=get", "--resource=configmaps")
    try:
        before = await played.kubectl("get", "clusterrole", name, "-o", "yaml")
        played.server.enforce(grant(PODS, "ada"), roles=(PODS,))
        await played.become(BINDING)
        await played.until(lambda found: "not the agent's" in found, problems_of(played))
        assert await played.kubectl("get", "clusterrole", name, "-o", "yaml") == before
        played.server.stop_enforcing()
        await played.become()
        assert await played.kubectl("get", "clusterrole", name, "-o", "yaml") == before
    finally:
        await played.kubectl("delete", "clusterrole", name)


async def test_it_comes_into_force_when_what_was_in_the_way_is_gone(played: Reconciled) -> None:
    name = policy_names.cluster_role(PODS.id)
    await played.kubectl("create", "clusterrole", name, "--verb=get", "--resource=configmaps")
    played.server.enforce(grant(PODS, "ada"), roles=(PODS,))
    await played.until(lambda found: "not the agent's" in found, problems_of(played))
    await played.kubectl("delete", "clusterrole", name)
    await played.become(ROLE, BINDING)


async def test_a_principal_that_moves_to_another_binding_is_never_without(
    played: Reconciled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_names, "PART_SIZE", 2)
    played.server.enforce(grant(PODS, "p1"), grant(PODS, "p2"), roles=(PODS,))
    await played.become(ROLE, BINDING)
    moved = tuple(grant(PODS, f"p{number}") for number in range(1, 6))
    events: list[Event] = []
    async with asyncio.timeout(WITHIN), watched(played) as watching:
        events.append(await anext(watching))
        played.server.enforce(*moved, roles=(PODS,))
        while events[-1].type != "DELETED":
            events.append(await anext(watching))
    assert events[-1].name == policy_names.cluster_role(PODS.id)
    made = {each.name for each in events[1:-1] if each.type == "ADDED"}
    assert made >= set(policy_names.bindings(PODS.id, [each.principal for each in moved]))


@dataclass(frozen=True)
class Event:
    type: str
    name: str


@contextlib.asynccontextmanager
async def watched(played: Reconciled) -> AsyncIterator[AsyncIterator[Event]]:
    """What kubectl tells of the bindings, in its order."""
    columns = "custom-columns=TYPE:.type,NAME:.object.metadata.name"
    words = ("get", "clusterrolebindings", "-l", policy_names.SELECTOR, "--no-headers")
    process = await asyncio.create_subprocess_exec(
        *(str(played.cluster.bin / "kubectl"), *words, "-o", columns),
        *("--watch", "--output-watch-events"),
        env=played.cluster.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = process.stdout

    async def told() -> AsyncIterator[Event]:
        while line := await lines.readline():
            yield Event(*line.decode().split())

    try:
        yield told()
    finally:
        process.kill()
        await process.wait()


async def test_custom_resources_are_found_when_they_come(played: Reconciled) -> None:
    every = role(3, "*/read", without=("secrets/read",))
    played.server.enforce(grant(every, "ada"), roles=(every,))
    await played.until(bool, lambda: played.may("ada", "list", "pods"))
    assert not await played.may("ada", "list", "secrets")
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.shop.example"},
        "spec": {
            "group": "shop.example",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    await played.kubectl("apply", "-f", "-", input=json.dumps(definition))
    try:
        await played.until(bool, lambda: played.may("ada", "list", "widgets.shop.example"))
        assert not await played.may("ada", "create", "widgets.shop.example")
    finally:
        await played.kubectl("delete", "crd", "widgets.shop.example")


async def test_an_unreachable_server_changes_nothing(cluster: Cluster) -> None:
    async with reconciled(cluster) as first:
        first.server.enforce(grant(PODS, "ada"), roles=(PODS,))
        await first.become(ROLE, BINDING)
    server = Server()
    server.be_away()
    async with reconciled(cluster, server) as second:
        await second.reconciliation.settled()
        assert server.asked
        assert await second.objects() == {ROLE, BINDING}
        assert not second.reconciliation.is_enforced
        server.failure = None
        server.hint()
        await second.become()


async def test_settled_waits_for_what_was_missed_while_away(played: Reconciled) -> None:
    played.server.enforce(grant(PODS, "ada"), roles=(PODS,))
    await played.become(ROLE, BINDING)
    hint, played.server.hint = played.server.hint, lambda: None
    played.server.enforce(roles=())
    await played.reconciliation.settled()
    assert await played.objects() == {ROLE, BINDING}
    played.reconciliation.missed()
    await played.reconciliation.settled()
    assert await played.objects() == set()
    played.server.hint = hint


async def test_a_hint_of_another_kind_asks_nothing(played: Reconciled) -> None:
    await played.reconciliation.settled()
    asked = played.server.asked
    played.reconciliation.notified(agent_api.TRUST)
    played.reconciliation.missed()
    await played.reconciliation.settled()
    assert played.server.asked == asked + 1


async def test_two_replicas_do_not_fight(played: Reconciled, cluster: Cluster) -> None:
    hint = played.server.hint
    async with reconciled(cluster, played.server) as other:

        def both() -> None:
            for each in (played, other):
                each.reconciliation.notified(agent_api.POLICY)

        played.server.hint = both
        for number in range(5):
            played.server.enforce(
                grant(PODS, f"p{number}"), grant(SECRETS, "ada"), roles=(PODS, SECRETS)
            )
        await played.until(lambda found: len(found) == 4, played.objects)
        await played.until(bool, lambda: played.may("p4", "list", "pods"))
        before = await content_of(played)
        for each in (played, other):
            each.reconciliation.missed()
            await each.reconciliation.settled()
        assert await content_of(played) == before
        assert not played.reconciliation.problems
        assert not other.reconciliation.problems
    played.server.hint = hint


async def test_an_agent_without_the_rights_says_which_command_gives_them(cluster: Cluster) -> None:
    account = ("serviceaccount", "rightless", "-n", "default")
    reads = ("--verb=list,watch", "--resource=clusterroles,clusterrolebindings,rolebindings")
    bind = ("clusterrolebinding", "rightless", "--clusterrole=rightless")
    subject = "--serviceaccount=default:rightless"
    for words in (account, ("clusterrole", "rightless", *reads), (*bind, subject)):
        await asyncio.to_thread(cluster.kubectl, "create", *words)
    asked = ("create", "token", "rightless", "-n", "default")
    token = (await asyncio.to_thread(cluster.kubectl, *asked)).stdout.strip()
    server = Server()
    server.enforce(grant(PODS, "ada"), roles=(PODS,))
    try:
        async with reconciled(cluster, server, token=token) as played:
            enable = "enable-features --features azure-rbac"
            await played.until(lambda found: enable in found, problems_of(played))
            assert await played.objects() == set()
    finally:
        gone = ("clusterrolebinding/rightless", "clusterrole/rightless", "sa/rightless")
        await asyncio.to_thread(cluster.kubectl, "delete", *gone)


def problems_of(played: Reconciled) -> Callable[[], Awaitable[str]]:
    async def look() -> str:
        return " ".join(played.reconciliation.problems)

    return look


async def content_of(played: Reconciled) -> object:
    """What decides, of the role and the binding."""
    name = policy_names.cluster_role(PODS.id)
    kinds = "clusterroles,clusterrolebindings"
    listed = json.loads(
        await played.kubectl("get", kinds, "-l", policy_names.SELECTOR, "-o", "json")
    )
    return [
        {key: each.get(key) for key in ("kind", "rules", "roleRef", "subjects", "aggregationRule")}
        for each in listed["items"]
        if each["metadata"]["name"] == name
    ]
