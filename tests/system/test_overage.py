"""Somebody in more groups than a token can say: 250, and 10 000, some through others.

The agent asks the server about the groups that the cluster's bindings name, and about no others.
"""

import base64
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fixtures.audit import impersonated
from tests.fixtures.cluster import Cluster
from tests.fixtures.database import fill
from tests.fixtures.installation import Installation, until
from tests.fixtures.people import People, Person
from tests.fixtures.workplace import Proxy
from towrope.wire.names import object_id_group

ADD_GROUP = (
    "insert into groups (object_id, key, display_name, mail_nickname, created)"
    " values (?, ?, ?, ?, ?)"
)
ADD_MEMBER = "insert into group_members (group_id, member_id, member_kind) values (?, ?, ?)"


@dataclass(frozen=True, kw_only=True)
class Crowded:
    """A person in many groups; `bound` has a role, and only reaches the person through others."""

    person: Person
    bound: str
    last: str
    """The group in `bound` that the person is in."""
    proxy: Proxy
    count: int


def crowd(installation: Installation, person: Person, count: int) -> list[str]:
    """Puts the person into so many new groups, as an import would: behind the API."""
    now = int(time.time())
    groups = [str(uuid.uuid4()) for _ in range(count)]
    names = [f"{person.folder.name}-{number}" for number in range(count)]
    rows = [(group, name, name, name, now) for group, name in zip(groups, names, strict=True)]
    members = [(group, person.object_id, "user") for group in groups]
    fill(installation, [(ADD_GROUP, rows), (ADD_MEMBER, members)])
    return groups


@pytest.fixture(scope="module", params=[250, 10_000])
def crowded(
    request: pytest.FixtureRequest, people: People, installation: Installation, cluster: Cluster
) -> Iterator[Crowded]:
    count: int = request.param
    person = people.user(f"crowded{count}")
    last = crowd(installation, person, count)[-1]
    between = people.group(f"between{count}", last)
    bound = people.group(f"bound{count}", between)
    name = f"crowded-{count}"
    bind = ["create", "clusterrolebinding", name, "--clusterrole=view", f"--group={bound}"]
    cluster.kubectl(*bind)
    person.sign_in()
    with person.proxy() as proxy:
        yield Crowded(person=person, bound=bound, last=last, proxy=proxy, count=count)
    cluster.kubectl("delete", "clusterrolebinding", name)


def may_list(proxy: Proxy) -> bool:
    answer = proxy.kubectl("get", "pods", "-A", "-o", "name", check=False)
    assert answer.returncode == 0 or b"forbidden" in answer.stderr.lower(), answer.stderr
    return answer.returncode == 0


def test_the_token_says_where_to_ask_and_no_group(crowded: Crowded) -> None:
    assert may_list(crowded.proxy)
    for kept in (crowded.person.folder / "config" / "tokens").iterdir():
        token = kept.read_text().split()[1]
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert "groups" not in claims
        assert claims["_claim_names"] == {"groups": "src1"}
        assert len(token) < 2048


def test_the_bound_group_counts_and_no_other_is_told(crowded: Crowded, cluster: Cluster) -> None:
    assert may_list(crowded.proxy)
    marker = f"crowded{crowded.count}-was-here"
    crowded.proxy.kubectl("get", "configmap", marker, check=False)
    groups = impersonated(cluster, marker)["groups"]
    own = object_id_group(crowded.person.object_id)
    assert groups == [crowded.bound, own, "system:authenticated"]


def test_a_request_costs_no_more_than_others(crowded: Crowded) -> None:
    """Only the first asks the server."""
    assert may_list(crowded.proxy)
    started = time.monotonic()
    crowded.proxy.kubectl("get", "--raw", "/api/v1/namespaces/default")
    print(f"{crowded.count} groups: {time.monotonic() - started:.3f} s")  # noqa: T201


def test_a_removed_member_loses_access_while_the_token_lasts(
    crowded: Crowded, people: People
) -> None:
    assert may_list(crowded.proxy)
    people.directory.remove_member(crowded.last, crowded.person.object_id)
    until(lambda: not may_list(crowded.proxy), within=10, described="the right is gone")
    people.directory.add_member(crowded.last, crowded.person.object_id)
    crowded.person.forget_tokens()
    assert may_list(crowded.proxy)
