"""Custom roles as users write them."""

from pathlib import Path

import pytest

from towrope.client.role_input import read_role
from towrope.wire.errors import Malformed, NotFound

PODS = "Microsoft.Kubernetes/connectedClusters/pods/read"
PERMISSION = f'{{"dataActions": ["{PODS}"]}}'
GUID = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"


@pytest.mark.parametrize(
    "text",
    [
        f'{{"Name": "Pod Reader", "IsCustom": true, "DataActions": ["{PODS}"]}}',
        f'{{"name": "Pod Reader", "dataActions": ["{PODS}"]}}',
        f'{{"name": "{GUID}", "roleName": "Pod Reader", "permissions": [{PERMISSION}]}}',
    ],
)
def test_both_of_azs_shapes(text: str) -> None:
    properties = read_role(text).properties()
    assert properties["roleName"] == "Pod Reader"
    (permission,) = properties["permissions"]
    assert permission["dataActions"] == (PODS,)
    assert permission["actions"] == ()


@pytest.mark.parametrize("prefix", ["", "@"])
def test_a_file(prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "role.json"
    path.write_text('{"Name": "Pod Reader", "AssignableScopes": ["/"]}')
    assert read_role(f"{prefix}{path}").assignable_scopes == ("/",)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "Input data"),
        ("{}", "name"),
        ('{"Name": ""}', "name"),
        ('{"Name": "x", "Actions": "*"}', "actions"),
    ],
)
def test_a_slip_is_told_with_its_place(text: str, place: str) -> None:
    with pytest.raises(Malformed, match=place):
        read_role(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Cannot read"):
        read_role(f"@{tmp_path}/none.json")
