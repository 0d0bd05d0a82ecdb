import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.wire.data_actions import (
    EVERYTHING,
    PREFIX,
    SENSITIVE,
    Permission,
    Resource,
    Rule,
    allows,
    is_of_clusters,
    matches,
    rules,
)

PODS = Resource(
    group="",
    name="pods",
    subresources=frozenset(
        {
            "log",
            "status",
            "eviction",
            "exec",
            "attach",
            "portforward",
            "proxy",
            "ephemeralcontainers",
        }
    ),
)
SECRETS = Resource(group="", name="secrets")
DEPLOYMENTS = Resource(
    group="apps", name="deployments", subresources=frozenset({"scale", "status"})
)
ROLES = Resource(group="rbac.authorization.k8s.io", name="roles")
WIDGETS = Resource(group="example.org", name="widgets", subresources=frozenset({"status"}))
CLUSTER = (PODS, SECRETS, DEPLOYMENTS, ROLES, WIDGETS)
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch")
DELETE = ("delete", "deletecollection")


def permission(*actions: str, without: tuple[str, ...] = ()) -> Permission:
    return Permission(
        data_actions=tuple(PREFIX + each for each in actions),
        not_data_actions=tuple(PREFIX + each for each in without),
    )


def verbs_of(made: tuple[Rule, ...], group: str, resource: str) -> set[str]:
    return {
        verb
        for rule in made
        if group in rule.groups and resource in rule.resources
        for verb in rule.verbs
    }


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("*", "Microsoft.Kubernetes/connectedClusters/pods/read", True),
        ("microsoft.kubernetes/CONNECTEDCLUSTERS/pods/read", PREFIX + "pods/read", True),
        (PREFIX + "*/read", PREFIX + "apps/deployments/read", True),
        (PREFIX + "*/read", PREFIX + "apps/deployments/write", False),
        (PREFIX + "pods/*", PREFIX + "pods/exec/action", True),
        (PREFIX + "pods/*", PREFIX + "podsx/read", False),
        (PREFIX + "pods/read", PREFIX + "pods/read/x", False),
        (PREFIX + "a.b/c/read", PREFIX + "aXb/c/read", False),
        ("", PREFIX + "pods/read", False),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_does(
    pattern: str, action: str, expected: bool
) -> None:
    assert matches(pattern, action) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", True),
        ("*/read", True),
        ("Microsoft.Kubernetes/*", True),
        ("microsoft.kubernetes/CONNECTEDCLUSTERS/*", True),
        (PREFIX + "pods/read", True),
        ("Microsoft.*/read", True),
        ("Microsoft.Kubernetes/connectedClusters*", True),
        ("Microsoft.Storage/*/read", False),
        ("Microsoft.Kubernetes/connectedClusters", False),
        ("Microsoft.Kubernetes", False),
        ("", False),
    ],
)
def test_which_patterns_concern_clusters(pattern: str, expected: bool) -> None:
    assert is_of_clusters(pattern) is expected


def test_read_is_three_verbs_and_its_harmless_subresources() -> None:
    made = rules([permission("pods/read")], CLUSTER)
    assert made == (
        Rule(
            groups=("",),
            verbs=READ,
            resources=("pods", "pods/eviction", "pods/log", "pods/status"),
        ),
    )


@pytest.mark.parametrize("operation", ["read", "write", "delete"])
def test_a_sensitive_subresource_is_never_implied(operation: str) -> None:
    everywhere = [
        Resource(group=g, name=n, subresources=frozenset(s)) for (g, n), s in SENSITIVE.items()
    ]
    made = rules([permission(f"*/{operation}")], everywhere)
    assert made
    for (group, name), subresources in SENSITIVE.items():
        for sub in subresources:
            assert verbs_of(made, group, f"{name}/{sub}") == set()


def test_a_sensitive_subresource_is_allowed_by_its_name_or_with_all_of_its_resource() -> None:
    by_name = rules([permission("pods/exec/action")], CLUSTER)
    assert {"get", "create"} <= verbs_of(by_name, "", "pods/exec")
    assert verbs_of(by_name, "", "pods") == set()
    assert verbs_of(by_name, "", "pods/attach") == set()
    by_all = rules([permission("pods/*")], CLUSTER)
    for sub in SENSITIVE["", "pods"]:
        assert {"get", "create"} <= verbs_of(by_all, "", f"pods/{sub}")
    assert verbs_of(by_all, "", "pods") == {*READ, *WRITE, *DELETE}


def test_what_is_taken_away_is_spelled_out() -> None:
    made = rules([permission("*", without=("secrets/*", "*/exec/action"))], CLUSTER)
    assert made != EVERYTHING
    assert verbs_of(made, "", "secrets") == set()
    assert verbs_of(made, "", "pods/exec") == set()
    assert {"get"} <= verbs_of(made, "", "pods/attach")
    assert verbs_of(made, "example.org", "widgets") == {*READ, *WRITE, *DELETE}


def test_what_one_permission_takes_away_another_may_give() -> None:
    made = rules([permission("*", without=("secrets/*",)), permission("secrets/read")], CLUSTER)
    assert verbs_of(made, "", "secrets") == set(READ)


@pytest.mark.parametrize("pattern", ["*", PREFIX + "*", PREFIX.upper() + "*"])
def test_everything_is_everything(pattern: str) -> None:
    assert rules([Permission(data_actions=(pattern,))], ()) == EVERYTHING


def test_a_named_resource_needs_no_look_at_the_cluster() -> None:
    made = rules([permission("example.org/gadgets/*", "configmaps/read")], ())
    assert verbs_of(made, "example.org", "gadgets") == {*READ, *WRITE, *DELETE}
    assert verbs_of(made, "", "configmaps") == set(READ)


def test_a_group_is_no_resource() -> None:
    made = rules([permission("apps/*")], CLUSTER)
    assert verbs_of(made, "", "apps") == set()
    assert verbs_of(made, "apps", "deployments") == {*READ, *WRITE, *DELETE}


def test_verbs_of_their_own_are_named() -> None:
    made = rules(
        [
            permission(
                "rbac.authorization.k8s.io/clusterroles/bind/action",
                "serviceaccounts/impersonate/action",
            )
        ],
        CLUSTER,
    )
    assert verbs_of(made, "rbac.authorization.k8s.io", "clusterroles") == {"bind"}
    assert verbs_of(made, "", "serviceaccounts") == {"impersonate"}
    assert "escalate" not in verbs_of(
        rules([permission("rbac.authorization.k8s.io/roles/write")], CLUSTER),
        "rbac.authorization.k8s.io",
        "roles",
    )


def test_an_extra_cannot_be_named_by_an_action() -> None:
    named = permission("authentication.k8s.io/userextras/impersonate/action")
    assert rules([named], CLUSTER) == ()


def test_paths_that_are_no_resources() -> None:
    made = rules([permission("healthz/read", "openapi/v2/read", "apis/*/read")], CLUSTER)
    assert made == (Rule(verbs=("get",), urls=("/apis/*", "/healthz", "/openapi/v2")),)
    assert rules([permission("healthz/write")], CLUSTER) == ()
    assert rules([permission("healthz/read", without=("healthz/read",))], CLUSTER) == ()


@pytest.mark.parametrize(
    "foreign", ["Microsoft.Compute/virtualMachines/read", "", "pods/read", "/"]
)
def test_an_action_of_another_provider_is_nothing_here(foreign: str) -> None:
    assert rules([Permission(data_actions=(foreign,))], CLUSTER) == ()


SEGMENT = st.sampled_from(
    ["*", "pods", "secrets", "apps", "deployments", "read", "write", "exec", "action"]
)


@given(
    st.lists(st.lists(SEGMENT, min_size=1, max_size=4).map("/".join), max_size=4),
    st.lists(st.lists(SEGMENT, min_size=1, max_size=4).map("/".join), min_size=1, max_size=4),
)
def test_no_rule_gives_what_was_taken_away(actions: list[str], without: list[str]) -> None:
    permissions = [permission(*actions, without=tuple(without))]
    made = rules(permissions, CLUSTER)
    for resource in CLUSTER:
        for operation, verb in (("read", "get"), ("write", "create"), ("delete", "delete")):
            group = f"{resource.group}/" if resource.group else ""
            is_allowed = allows(permissions, f"{PREFIX}{group}{resource.name}/{operation}")
            assert (verb in verbs_of(made, resource.group, resource.name)) is is_allowed
