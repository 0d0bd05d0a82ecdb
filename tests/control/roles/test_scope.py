import pytest

from towrope.control.roles.scope import Scope, parse

GROUP = "/subscriptions/s/resourceGroups/shops"
CLUSTER = f"{GROUP}/providers/Microsoft.Kubernetes/connectedClusters/shop-17"


@pytest.mark.parametrize(
    ("assigned", "asked", "expected"),
    [
        ("/", CLUSTER, True),
        ("/subscriptions/s", CLUSTER, True),
        ("/subscriptions/S", CLUSTER, True),
        (GROUP, CLUSTER, True),
        (GROUP.upper(), CLUSTER, True),
        (CLUSTER, CLUSTER.lower(), True),
        (CLUSTER, f"{CLUSTER}/namespaces/web", True),
        (CLUSTER, GROUP, False),
        (GROUP, "/", False),
        ("/subscriptions/s/resourceGroups/shop", CLUSTER, False),
        (f"{CLUSTER}x", CLUSTER, False),
        ("/subscriptions/other", CLUSTER, False),
    ],
)
def test_a_scope_covers_itself_and_what_is_below(assigned: str, asked: str, expected: bool) -> None:
    assert Scope(path=assigned).covers(Scope(path=asked)) is expected


@pytest.mark.parametrize(
    "text", ["/", "", "/subscriptions/s", GROUP, GROUP + "/", CLUSTER, f"{CLUSTER}/namespaces/web"]
)
def test_what_is_a_scope(text: str) -> None:
    scope = parse(text)
    assert scope is not None
    assert scope.path == ("/" + text.strip("/"))


@pytest.mark.parametrize(
    "text",
    [
        "/subscriptions",
        "/resourceGroups/shops",
        f"{GROUP}/providers",
        f"{GROUP}/providers/Microsoft.Kubernetes",
        f"{GROUP}/providers/Microsoft.Kubernetes/connectedClusters",
        f"{GROUP}//providers/Microsoft.Kubernetes/connectedClusters/c",
        f"{GROUP}/../other",
        "/subscriptions/s/./x",
        "/subscriptions/*",
        "/subscriptions/%2e",
        "/subscriptions/a?b",
        "/subscriptions/a\\b",
        "/subscriptions/a\n",
        f"{CLUSTER}/namespaces",
    ],
)
def test_what_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("between", ["", "/providers/Microsoft.KubernetesConfiguration"])
def test_a_namespace_is_told_with_its_cluster(between: str) -> None:
    scope = parse(f"{CLUSTER}{between}/namespaces/web")
    assert scope is not None
    assert scope.namespace == (Scope(path=CLUSTER), "web")
    assert Scope(path=CLUSTER).namespace is None
