import pytest

from towrope.control.roles.place import Place, place_of
from towrope.control.roles.scope import Scope

GROUP = "/subscriptions/s/resourceGroups/shops"
CLUSTER = f"{GROUP}/providers/Microsoft.Kubernetes/connectedClusters/shop-17"


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("/", Place()),
        (GROUP.upper(), Place()),
        (CLUSTER, Place()),
        (f"{CLUSTER}/namespaces/Web", Place(namespace="web")),
        (f"{CLUSTER}x/namespaces/web", None),
        (f"{CLUSTER}x", None),
        (f"{CLUSTER}/providers/Microsoft.Other/things/one", None),
        ("/subscriptions/other", None),
    ],
)
def test_where_in_the_cluster_it_holds(scope: str, expected: Place | None) -> None:
    assert place_of(Scope(path=scope), Scope(path=CLUSTER)) == expected


@pytest.mark.parametrize("path", [GROUP, f"{CLUSTER}/namespaces/web"])
def test_nothing_holds_by_its_namespace_in_what_is_no_cluster(path: str) -> None:
    assert place_of(Scope(path=f"{CLUSTER}/namespaces/web"), Scope(path=path)) is None
