"""What is to be done, and in which order."""

import msgspec

from tests.agent.reconciled import grant, role
from towrope.agent.policy_differences import differences
from towrope.agent.policy_objects import Content, Key, Kind, wanted
from towrope.agent.rbac_objects import Metadata, NativeObject
from towrope.wire import policy_names
from towrope.wire.agent_api import Policy, PolicyGrant

PODS = role(1, "pods/read")
SECRETS = role(2, "secrets/read")


def objects(*grants: PolicyGrant) -> dict[Key, Content]:
    policy = Policy(version="1", is_enforced=True, roles=(PODS, SECRETS), grants=grants)
    return dict(wanted(policy, ()).objects)


def native(contents: dict[Key, Content]) -> dict[Key, NativeObject]:
    return {
        key: NativeObject(
            metadata=Metadata(name=key.name, namespace=key.namespace),
            rules=content.rules,
            role_ref=content.role_ref,
            subjects=content.subjects,
        )
        for key, content in contents.items()
    }


def test_nothing_where_nothing_differs() -> None:
    there = objects(grant(PODS, "ada"), grant(SECRETS, "bob", "shop"))
    assert differences(there, native(there)) == [[], []]


def test_what_takes_away_comes_before_what_is_made() -> None:
    before = objects(grant(PODS, "ada"), grant(PODS, "bob"), grant(SECRETS, "ada"))
    after = objects(grant(PODS, "ada"), grant(PODS, "ada", "shop"))
    first, roles = differences(after, native(before))
    binding = Key(kind=Kind.CLUSTER_ROLE_BINDING, name=policy_names.cluster_role(SECRETS.id))
    assert [each.is_new for each in first] == [False, False, True]
    assert [each.deleted for each in first if each.deleted] == [(binding,)]
    assert first[-1].written[0][0].namespace == "shop"
    assert [each.deleted for each in roles] == [
        (Key(kind=Kind.CLUSTER_ROLE, name=policy_names.cluster_role(SECRETS.id)),)
    ]


def test_another_split_is_made_before_the_one_before_goes() -> None:
    few = [grant(PODS, f"p{number}") for number in range(200)]
    many = [*few, *(grant(PODS, f"q{number}") for number in range(200))]
    [[step], []] = differences(objects(*many), native(objects(*few)))
    assert len(step.written) == 2
    assert len(step.deleted) == 1
    assert step.is_new


def test_an_aggregated_role_does_not_agree() -> None:
    there = native(objects(grant(PODS, "ada")))
    key = Key(kind=Kind.CLUSTER_ROLE, name=policy_names.cluster_role(PODS.id))
    there[key] = msgspec.structs.replace(there[key], aggregation_rule={})
    [[step], []] = differences(objects(grant(PODS, "ada")), there)
    assert [each for each, _ in step.written] == [key]
