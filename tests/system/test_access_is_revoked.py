"""What is taken away ends the streams that it allowed, and no others: exec, logs, watches and
forwarded ports, while they run, whoever takes it and however.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.forgery import mint_of
from tests.fixtures.installation import Installation, until
from tests.fixtures.kubectl_streams import KubectlStream, streaming
from tests.fixtures.people import DOMAIN, People
from tests.fixtures.role_assignments import RoleAssignments
from tests.fixtures.workplace import Proxy
from tests.fixtures.workshop import Workshop
from towrope.control.roles.built_in import BUILT_IN_ROLES

WITHIN = 30.0
"""Seconds, of a machine that is busy; it takes a fraction of one."""
WRITER = next(role.id for role in BUILT_IN_ROLES if role.name == "Azure Arc Kubernetes Writer")
ROLE = "streamer"
RULES = {
    "pods": ["get", "list", "watch"],
    "pods/log": ["get"],
    "pods/exec": ["get", "create"],
    "pods/portforward": ["get", "create"],
}


def set_role(cluster: Cluster, *, without: str = "") -> None:
    """A role with what streams need."""
    rules = [
        {"apiGroups": [""], "resources": [resource], "verbs": verbs}
        for resource, verbs in RULES.items()
        if resource != without
    ]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": rules}
    cluster.kubectl("apply", "-f", "-", input=json.dumps({**role, "metadata": {"name": ROLE}}))


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody whose streams are to run, with a token at hand."""

    object_id: str
    token: str


@pytest.fixture(scope="module")
def role(cluster: Cluster) -> Iterator[None]:
    set_role(cluster)
    yield
    cluster.kubectl("delete", "clusterrole", ROLE)


@pytest.fixture(scope="module")
def group(people: People, cluster: Cluster, role: None) -> Iterator[str]:
    found = people.group("streamers")
    bind = ("create", "clusterrolebinding", "streamers", "--clusterrole", ROLE)
    cluster.kubectl(*bind, f"--group={found}")
    yield found
    cluster.kubectl("delete", "clusterrolebinding", "streamers")


def caller(people: People, name: str, *groups: str) -> Caller:
    """A new user, a member of these groups, with a token as the issuer makes them."""
    person = people.user(name)
    for group in groups:
        people.directory.add_member(group, person.object_id)
    token = mint_of(people, person).token(groups=list(groups))
    return Caller(object_id=person.object_id, token=token)


@pytest.fixture(scope="module")
def stayer(people: People, group: str) -> str:
    """The token of somebody from whom nothing is taken."""
    return caller(people, "stayer", group).token


@pytest.fixture
def leaver(people: People, group: str) -> Caller:
    return caller(people, f"leaver{time.monotonic_ns()}", group)


@pytest.fixture
def kept(proxy: Proxy, workshop: Workshop, stayer: str) -> Iterator["Streams"]:
    with streaming(proxy, workshop, token=stayer) as found:
        yield found


Streams = dict[str, KubectlStream]


def assert_untouched(streams: Streams) -> None:
    """They run, and what runs goes on."""
    for kind in ("exec", "logs"):
        streams[kind].next_line()
    assert [kind for kind, stream in streams.items() if not stream.runs] == []


def assert_ended(streams: Streams) -> None:
    for kind, stream in streams.items():
        status = stream.ending()
        # kubectl takes any end of a watch for its end.
        assert status != 0 or kind == "watch", (kind, stream.lines[-3:])


def test_a_member_is_removed(
    people: People, group: str, proxy: Proxy, workshop: Workshop, leaver: Caller, kept: Streams
) -> None:
    with streaming(proxy, workshop, token=leaver.token) as lost:
        people.directory.remove_member(group, leaver.object_id)
        assert_ended(lost)
        assert_untouched(kept)


def test_an_account_is_disabled(
    people: People, proxy: Proxy, workshop: Workshop, leaver: Caller, kept: Streams
) -> None:
    with streaming(proxy, workshop, token=leaver.token) as lost:
        people.directory.update_user(leaver.object_id, {"accountEnabled": False})
        assert_ended(lost)
        assert_untouched(kept)


def test_sessions_are_revoked(
    people: People, proxy: Proxy, workshop: Workshop, leaver: Caller, kept: Streams
) -> None:
    with streaming(proxy, workshop, token=leaver.token) as lost:
        people.rest.json("POST", f"/v1.0/users/{leaver.object_id}/revokeSignInSessions")
        assert_ended(lost)
        assert_untouched(kept)


def test_a_binding_is_deleted_by_kubectl(
    people: People, cluster: Cluster, proxy: Proxy, workshop: Workshop, kept: Streams
) -> None:
    bound = caller(people, "bound")
    bind = ("create", "rolebinding", "bound", "-n", workshop.namespace, "--clusterrole", ROLE)
    cluster.kubectl(*bind, f"--user=bound@{DOMAIN}")
    with streaming(proxy, workshop, token=bound.token) as lost:
        cluster.kubectl("delete", "rolebinding", "bound", "-n", workshop.namespace)
        assert_ended(lost)
        assert_untouched(kept)


def test_a_role_loses_a_rule(cluster: Cluster, kept: Streams) -> None:
    """Whoever execs by it is ended, and the same caller's other streams are not."""
    try:
        set_role(cluster, without="pods/exec")
        assert kept.pop("exec").ending() != 0
        kept["logs"].next_line()
        assert all(stream.runs for stream in kept.values())
    finally:
        set_role(cluster)


@pytest.fixture
def robot(cluster: Cluster, role: None) -> Iterator[str]:
    """A service account's own token, which the agent does not verify."""
    cluster.kubectl("create", "serviceaccount", "streamer")
    bind = ("create", "clusterrolebinding", "streamer", "--clusterrole", ROLE)
    cluster.kubectl(*bind, "--serviceaccount=default:streamer")
    yield cluster.kubectl("create", "token", "streamer").stdout.strip()
    cluster.kubectl("delete", "clusterrolebinding", "streamer", "--ignore-not-found")
    cluster.kubectl("delete", "serviceaccount", "streamer", "--ignore-not-found")


def test_a_service_account_loses_its_binding(
    cluster: Cluster, proxy: Proxy, workshop: Workshop, robot: str, kept: Streams
) -> None:
    with streaming(proxy, workshop, token=robot) as lost:
        cluster.kubectl("delete", "clusterrolebinding", "streamer")
        assert_ended(lost)
        assert_untouched(kept)


def test_a_service_account_is_deleted(
    cluster: Cluster, proxy: Proxy, workshop: Workshop, robot: str, kept: Streams
) -> None:
    with streaming(proxy, workshop, token=robot) as lost:
        cluster.kubectl("delete", "serviceaccount", "streamer")
        assert_ended(lost)
        assert_untouched(kept)


# Where role assignments decide.


def test_a_role_assignment_is_deleted(
    role_assignments: RoleAssignments,
    people: People,
    proxy: Proxy,
    workshop: Workshop,
    kept: Streams,
) -> None:
    writer = caller(people, "writer")
    assignment = role_assignments.assign(WRITER, writer.object_id)
    until(lambda: may_list(proxy, writer), within=WITHIN, described="the role is there")
    with streaming(proxy, workshop, token=writer.token) as lost:
        role_assignments.remove(assignment)
        assert_ended(lost)
        assert_untouched(kept)


def test_a_member_of_a_group_with_a_role_is_removed(
    role_assignments: RoleAssignments,
    people: People,
    proxy: Proxy,
    workshop: Workshop,
    kept: Streams,
) -> None:
    group = people.group("writers")
    member = caller(people, "member", group)
    role_assignments.assign(WRITER, group, principal_type="Group")
    until(lambda: may_list(proxy, member), within=WITHIN, described="the role is there")
    with streaming(proxy, workshop, token=member.token) as lost:
        people.directory.remove_member(group, member.object_id)
        assert_ended(lost)
        assert_untouched(kept)


# While the agent hears nothing.


@pytest.fixture
def deaf(installation: Installation) -> Iterator[None]:
    """Nothing of the server reaches the agent until `heal`."""
    installation.link.cut(installation.is_agent)
    yield
    installation.link.heal()


def may_list(proxy: Proxy, who: Caller) -> bool:
    words = ("--token", who.token, "get", "pods", "-n", "workshop", "-o", "name")
    return proxy.kubectl(*words, check=False).returncode == 0


def first_answer(proxy: Proxy, who: Caller) -> bytes:
    """What the first request that is answered at all gets."""
    answers: list[bytes] = []

    def is_answered() -> bool:
        words = ("--token", who.token, "get", "pods", "-n", "workshop")
        done = proxy.kubectl(*words, check=False)
        said = done.stderr.lower()
        if done.returncode == 0 or b"forbidden" in said or b"is refused" in said:
            answers.append(done.stderr)
        return bool(answers)

    until(is_answered, within=WITHIN, described="the agent answers again")
    return answers[0]


def test_an_agent_that_was_away_serves_no_account_that_was_disabled_meanwhile(
    installation: Installation, people: People, proxy: Proxy, leaver: Caller, deaf: None
) -> None:
    people.directory.update_user(leaver.object_id, {"accountEnabled": False})
    installation.link.heal()
    assert b"disabled" in first_answer(proxy, leaver)


def test_an_agent_that_was_away_serves_no_member_who_was_removed_meanwhile(
    installation: Installation,
    people: People,
    group: str,
    proxy: Proxy,
    leaver: Caller,
    deaf: None,
) -> None:
    people.directory.remove_member(group, leaver.object_id)
    installation.link.heal()
    assert b"cannot list" in first_answer(proxy, leaver)


def test_an_agent_that_was_away_serves_by_no_role_assignment_that_was_deleted_meanwhile(
    installation: Installation, role_assignments: RoleAssignments, people: People, proxy: Proxy
) -> None:
    reader = caller(people, "reader")
    assignment = role_assignments.assign(WRITER, reader.object_id)
    until(lambda: may_list(proxy, reader), within=WITHIN, described="the role is there")
    installation.link.cut(installation.is_agent)
    try:
        role_assignments.remove(assignment)
    finally:
        installation.link.heal()
    assert b"cannot list" in first_answer(proxy, reader)
