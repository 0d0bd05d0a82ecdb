import hashlib
import re

from towrope.wire import names

ID = names.cluster_id("sub", "RG", "Shop-17")


def test_the_resource_id_is_arms() -> None:
    assert ID == (
        "/subscriptions/sub/resourceGroups/RG"
        "/providers/Microsoft.Kubernetes/connectedClusters/Shop-17"
    )


def test_the_hash_ignores_case() -> None:
    assert names.cluster_hash(ID) == names.cluster_hash(ID.upper())
    assert names.cluster_hash(ID) == hashlib.sha256(ID.lower().encode()).hexdigest()


def test_a_cluster_that_is_connected_anew_has_another_hybrid_connection() -> None:
    first = names.hybrid_connection(ID, created_ns=1)
    assert first == f"microsoft.kubernetes/connectedclusters/{names.cluster_hash(ID)}/1"
    assert first != names.hybrid_connection(ID, created_ns=2)


def test_the_tls_server_name_is_a_dns_name() -> None:
    name = names.tls_server_name(ID, domain="clusters.towrope.internal")
    label, _, domain = name.partition(".")
    assert re.fullmatch(r"[0-9a-f]{32}", label)
    assert domain == "clusters.towrope.internal"


def test_cluster_names_follow_arcs_rule() -> None:
    assert names.CLUSTER_NAME.fullmatch("a-B_9")
    for bad in ("", "a" * 64, "a.b", "a/b", "ä"):
        assert not names.CLUSTER_NAME.fullmatch(bad)


def test_only_clusters_have_names_below_their_type() -> None:
    assert names.is_of_cluster(names.hybrid_connection(ID, created_ns=1))
    assert names.is_of_cluster("Microsoft.Kubernetes/connectedClusters/x/1")
    for other in ("label-printer", "microsoft.kubernetes", "x/microsoft.kubernetes/y"):
        assert not names.is_of_cluster(other)
