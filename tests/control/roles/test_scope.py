import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.control.roles.scope import Scope, Scopes, parse

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


SEGMENT = st.sampled_from(["a", "A", "b", "ab", ""])
PATHS = st.lists(SEGMENT, max_size=4).map(lambda segments: "/" + "/".join(segments))


@given(st.lists(PATHS, max_size=5), PATHS)
def test_many_scopes_cover_what_one_of_them_covers(paths: list[str], asked: str) -> None:
    scopes, other = [Scope(path=path) for path in paths], Scope(path=asked)
    assert Scopes(scopes).cover(other) is any(scope.covers(other) for scope in scopes)


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
