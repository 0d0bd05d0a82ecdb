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
from tests.fixtures.kubectl_streams import KubectlStream, streaming
from tests.fixtures.people import DOMAIN, People
from tests.fixtures.workplace import Proxy
from tests.fixtures.workshop import Workshop

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
