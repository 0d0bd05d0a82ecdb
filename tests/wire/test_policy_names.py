"""How the native objects of a policy are named, and whose they are."""

import pytest

from towrope.wire import policy_names

ROLE = "63f0a09d-1495-4db4-a681-037d84835eb4"


def principals(count: int) -> list[str]:
    return [f"{number:032x}" for number in range(count)]


def test_a_few_principals_share_one_binding_named_as_the_role() -> None:
    members = principals(policy_names.PART_SIZE)
    assert policy_names.bindings(ROLE, members) == {f"towrope:role:{ROLE}": tuple(members)}
    assert policy_names.cluster_role(ROLE.upper()) == f"towrope:role:{ROLE}"
    assert policy_names.bindings(ROLE, []) == {}


@pytest.mark.parametrize(("count", "parts"), [(257, 2), (513, 4), (20_000, 128)])
def test_many_are_split_evenly_and_each_is_in_one_part(count: int, parts: int) -> None:
    members = principals(count)
    found = policy_names.bindings(ROLE, members)
    assert set(found) == {f"towrope:role:{ROLE}.{part}-of-{parts}" for part in range(parts)}
    assert sorted(each for part in found.values() for each in part) == members
    assert max(map(len, found.values())) < 2 * policy_names.PART_SIZE
    assert {policy_names.role_of(name) for name in found} == {policy_names.cluster_role(ROLE)}


def test_a_principal_stays_in_its_part_when_others_come_and_go() -> None:
    before = policy_names.bindings(ROLE, principals(300))
    after = policy_names.bindings(ROLE, principals(400))
    assert all(set(before[name]) <= set(after[name]) for name in before)


def test_another_number_of_parts_shares_no_name_with_the_one_before() -> None:
    sizes = (10, 300, 600)
    names = [set(policy_names.bindings(ROLE, principals(size))) for size in sizes]
    assert not names[0] & names[1]
    assert not names[1] & names[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", True),
        ("kube-system", True),
        ("A", False),
        ("", False),
        ("a/b", False),
        ("a" * 64, False),
    ],
)
def test_namespaces(text: str, expected: bool) -> None:
    assert policy_names.is_namespace(text) is expected


def test_role_ids() -> None:
    assert policy_names.is_role_id(ROLE)
    assert not policy_names.is_role_id("../x")
