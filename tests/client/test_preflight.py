"""Names for people. The checks need a cluster: see `cli/test_connect.py`."""

from towrope.client.preflight import described
from towrope.wire.names import cluster_id


def test_resource_ids_for_people() -> None:
    made = cluster_id("0b1f6471-1bf0-4dda-aec3-cb9272f09590", "shops", "shop-17")
    assert described(made) == "'shop-17' of the resource group 'shops'"
    assert described(made.upper()) == "'SHOP-17' of the resource group 'SHOPS'"


def test_what_is_no_resource_id_is_shown_safely() -> None:
    assert described("\x1b[31mx") == "�[31mx"
