"""The documented path of a group: its object id is bound, and whoever is in it has the right, as
long as they are in it, whatever their tokens still say.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fixtures.audit import impersonated
from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import Installation, until
from tests.fixtures.people import People, Person
from tests.fixtures.workplace import Proxy
from towrope.wire.names import object_id_group

BINDING = "documented-group"
GROUP = "Shop Operators"
PUSHED_WITHIN = 5.0
"""Seconds, of a machine that is busy; it takes a few milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A group with a role in the cluster, and a member of it with a proxy."""

    group: str
    member: Person
    proxy: Proxy


@pytest.fixture(scope="module")
def bound(people: People, installation: Installation, cluster: Cluster) -> Iterator[Bound]:
    """By the commands of `towrope ad`, as documented."""
    ad = installation.towrope
    ad("ad", "group", "create", "--display-name", GROUP, "--mail-nickname", "operators")
    member = people.user("kit")
    ad("ad", "group", "member", "add", "-g", GROUP, "--member-id", member.object_id)
    words = ("ad", "group", "show", "--group", GROUP, "--query", "id", "-o", "tsv")
    group = ad(*words).stdout.strip()
    bind = ["create", "clusterrolebinding", BINDING, "--clusterrole", "view"]
    cluster.kubectl(*bind, f"--group={group}")
    member.sign_in()
    with member.proxy() as proxy:
        yield Bound(group=group, member=member, proxy=proxy)
    cluster.kubectl("delete", "clusterrolebinding", BINDING)


def may_list(proxy: Proxy) -> bool:
    answer = proxy.kubectl("get", "pods", "-A", "-o", "name", check=False)
    assert answer.returncode == 0 or b"forbidden" in answer.stderr.lower(), answer.stderr
    return answer.returncode == 0


def test_a_member_has_the_groups_right(bound: Bound, cluster: Cluster) -> None:
    assert "towrope-agent" in bound.proxy.out("get", "pods", "-A")
    bound.proxy.kubectl("get", "configmap", "kit-was-here", check=False)
    seen = impersonated(cluster, "kit-was-here")
    assert seen["username"] == bound.member.user_principal_name
    own = object_id_group(bound.member.object_id)
    assert seen["groups"] == [bound.group, own, "system:authenticated"]


def test_whoami_names_the_group(bound: Bound) -> None:
    who = json.loads(bound.proxy.out("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    own = object_id_group(bound.member.object_id)
    assert who["groups"] == [bound.group, own, "system:authenticated"]


def test_a_member_of_a_group_in_the_group_has_it_too(bound: Bound, people: People) -> None:
    inner = people.group("inner")
    middle = people.group("middle", inner)
    people.directory.add_member(bound.group, middle)
    nested = people.user("lou")
    people.directory.add_member(inner, nested.object_id)
    nested.sign_in()
    with nested.proxy() as proxy:
        assert may_list(proxy)
        people.directory.remove_member(bound.group, middle)
        until(lambda: not may_list(proxy), within=PUSHED_WITHIN, described="the right is gone")


def test_a_removed_member_loses_it_while_the_token_lasts(bound: Bound, people: People) -> None:
    assert may_list(bound.proxy)
    people.directory.remove_member(bound.group, bound.member.object_id)
    started = time.monotonic()
    until(lambda: not may_list(bound.proxy), within=PUSHED_WITHIN, described="the right is gone")
    elapsed = time.monotonic() - started
    print(f"a removed member lost access within {elapsed * 1000:.0f} ms")  # noqa: T201
    people.directory.add_member(bound.group, bound.member.object_id)
    # An answer about the token at hand is kept for a minute; another token is asked about anew.
    bound.member.forget_tokens()
    assert may_list(bound.proxy)


def test_a_disabled_account_loses_everything_at_once(bound: Bound, people: People) -> None:
    person = people.user("mia")
    people.directory.add_member(bound.group, person.object_id)
    person.sign_in()
    with person.proxy() as proxy:
        assert may_list(proxy)
        people.directory.update_user(person.object_id, {"accountEnabled": False})

        def is_refused() -> bool:
            answer = proxy.kubectl("get", "pods", "-A", check=False)
            return answer.returncode != 0 and b"disabled" in answer.stderr

        until(is_refused, within=PUSHED_WITHIN, described="the account is refused")
