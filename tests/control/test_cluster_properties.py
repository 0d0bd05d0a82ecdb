from typing import Any

import pytest

from towrope.control.arm_error import ArmError
from towrope.control.cluster_properties import changed, settable
from towrope.control.json_body import NotDecodable


def test_what_is_ours_to_say_is_left_out() -> None:
    given = {
        "agentPublicKeyCertificate": "x",
        "connectivityStatus": "Connected",
        "provisioningState": "Failed",
        "arcAgentProfile": {"agentState": "Running", "agentAutoUpgrade": "Enabled"},
        "oidcIssuerProfile": {"enabled": True, "issuerUrl": "https://x"},
        "distribution": "k3s",
        "infrastructure": None,
    }
    assert settable(given) == {
        "arcAgentProfile": {"agentAutoUpgrade": "Enabled"},
        "oidcIssuerProfile": {"enabled": True},
        "distribution": "k3s",
    }


def test_what_is_not_known_here_is_kept() -> None:
    given = {"futureProfile": {"a": [1, None]}, "aadProfile": {"enableAzureRBAC": True, "b": 1}}
    assert settable(given) == given


@pytest.mark.parametrize(
    "properties",
    [
        {"azureHybridBenefit": "Yes"},
        {"azureHybridBenefit": True},
        {"privateLinkState": "enabled"},
        {"distribution": 5},
        {"gateway": "x"},
        {"aadProfile": "x"},
        {"aadProfile": {"enableAzureRBAC": "true"}},
        {"aadProfile": {"adminGroupObjectIDs": "x"}},
        {"arcAgentProfile": {"agentAutoUpgrade": "Maybe"}},
    ],
)
def test_a_bad_value_is_refused_by_its_name(properties: dict[str, Any]) -> None:
    [name] = properties
    with pytest.raises(NotDecodable, match=rf"\$\.{name}"):
        settable(properties)
    with pytest.raises(NotDecodable, match=rf"\$\.{name}"):
        changed({}, properties)


def test_groups_of_administrators_are_refused_as_nothing_would_heed_them() -> None:
    assert settable({"aadProfile": {"adminGroupObjectIDs": []}})
    with pytest.raises(ArmError, match="Azure Arc Kubernetes Cluster Admin"):
        settable({"aadProfile": {"adminGroupObjectIDs": ["0b1f6471-1bf0-4dda-aec3-cb9272f09590"]}})


@pytest.mark.parametrize(
    ("there", "change", "after"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": None, "b": 2}, {"b": 2}),
        (
            {"a": {"b": 1, "c": 2}},
            {"a": {"b": None, "d": {"e": 3}}},
            {"a": {"c": 2, "d": {"e": 3}}},
        ),
        ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": 1}, {"agentPublicKeyCertificate": "x"}, {"a": 1}),
    ],
)
def test_a_patch_is_merged_as_rfc_7396_says(
    there: dict[str, Any], change: dict[str, Any], after: dict[str, Any]
) -> None:
    assert changed(there, change) == after
