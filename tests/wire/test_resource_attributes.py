import pytest

from towrope.wire.data_actions import EVERYTHING, PREFIX, SENSITIVE, SENSITIVE_VERBS, Permission
from towrope.wire.resource_attributes import ResourceAttributes


def asked(verb: str, resource: str, *, group: str = "", sub: str = "") -> ResourceAttributes:
    return ResourceAttributes(verb=verb, group=group, resource=resource, subresource=sub)


def role(*actions: str, without: tuple[str, ...] = ()) -> list[Permission]:
    return [
        Permission(
            data_actions=tuple(PREFIX + each for each in actions),
            not_data_actions=tuple(PREFIX + each for each in without),
        )
    ]


@pytest.mark.parametrize(
    ("attributes", "action"),
    [
        (asked("get", "pods"), "pods/read"),
        (asked("watch", "pods", sub="log"), "pods/read"),
        (asked("patch", "deployments", group="apps", sub="scale"), "apps/deployments/write"),
        (asked("deletecollection", "jobs", group="batch"), "batch/jobs/delete"),
        (asked("create", "pods", sub="exec"), "pods/exec/action"),
        (asked("get", "pods", sub="portforward"), "pods/portforward/action"),
        (asked("get", "pods", sub="attach"), "pods/attach/action"),
        (asked("get", "things", group="a.b", sub="exec"), "a.b/things/read"),
        (asked("impersonate", "users"), "users/impersonate/action"),
        (asked("approve", "signers", group="c"), "c/signers/approve/action"),
    ],
)
def test_which_action_it_is(attributes: ResourceAttributes, action: str) -> None:
    assert attributes.action == PREFIX + action


def test_nothing_is_allowed_by_nothing() -> None:
    assert asked("get", "pods").rule([]) is None


@pytest.mark.parametrize("operation", ["read", "write", "delete"])
def test_no_plain_operation_allows_a_sensitive_subresource(operation: str) -> None:
    for (group, name), subresources in SENSITIVE.items():
        for sub in subresources:
            for verb in (*SENSITIVE_VERBS, "list", "watch"):
                attributes = asked(verb, name, group=group, sub=sub)
                assert attributes.rule(role(f"*/{operation}")) is None


@pytest.mark.parametrize(
    ("attributes", "given"),
    [
        (asked("get", "secrets"), role("pods/*")),
        (asked("create", "pods"), role("pods/read")),
        (asked("get", "pods"), role("*", without=("pods/*",))),
        (asked("get", "deployments"), role("apps/deployments/read")),
        (asked("get", "deployments", group="apps"), role("deployments/read")),
        # The action is named, but RBAC has no such verb.
        (asked("approve", "signers", group="c"), role("c/signers/approve/action")),
        (asked("list", "pods", sub="exec"), role("pods/exec/action")),
    ],
)
def test_what_no_rule_allows(attributes: ResourceAttributes, given: list[Permission]) -> None:
    assert attributes.rule(given) is None


def test_the_rule_that_allows() -> None:
    rule = asked("get", "pods", sub="log").rule(role("pods/*", "nodes/read"))
    assert rule is not None
    assert rule.verbs == ("get", "list", "watch")
    assert "pods/log" in rule.resources
    rule = asked("get", "pods", sub="exec").rule(role("pods/exec/action"))
    assert rule is not None
    assert rule.resources == ("pods/exec",)


def test_everything_allows_what_no_action_names() -> None:
    assert asked("approve", "signers", group="c").rule(role("*")) is EVERYTHING[0]
