import pytest

from towrope.control.arm_error import ArmError
from towrope.control.resource_filter import LENGTH_LIMIT, TERMS_LIMIT, Facts, parse

FACTS = Facts(
    name="Shop-17",
    resource_type="Microsoft.Kubernetes/connectedClusters",
    resource_group="Shops",
    location="westeurope",
    tags={"Owner": "Ada", "it's": "'"},
)


@pytest.mark.parametrize(
    ("text", "is_chosen"),
    [
        ("", True),
        ("resourceType eq 'microsoft.kubernetes/CONNECTEDCLUSTERS'", True),
        ("resourceType eq 'Microsoft.Compute/virtualMachines'", False),
        ("resourceType ne 'Microsoft.Compute/virtualMachines'", True),
        ("name eq 'shop-17'", True),
        ("name eq 'shop-1'", False),
        ("NAME NE 'shop-17'", False),
        ("location eq 'West Europe'", True),
        ("location eq 'local'", False),
        ("resourceGroup eq 'shops' and name eq 'shop-17'", True),
        ("resourceGroup eq 'mills' and name eq 'shop-17'", False),
        ("startswith(name, 'SHOP')", True),
        ("startswith(name,'17')", False),
        ("substringof('op-1', name)", True),
        ("substringof('mill', name)", False),
        ("tagName eq 'owner'", True),
        ("tagname eq 'cost'", False),
        ("tagName eq 'owner' and tagValue eq 'Ada'", True),
        ("tagvalue eq 'Ada' and tagname eq 'owner'", True),
        ("tagName eq 'owner' and tagValue eq 'ada'", False),
        ("tagName eq 'it''s' and tagValue eq ''''", True),
        ("startswith(tagname, 'own')", True),
        ("startswith(tagname, 'ada')", False),
        ("  name eq 'shop-17'  ", True),
    ],
)
def test_a_filter_chooses(text: str, is_chosen: bool) -> None:
    assert parse(text)(FACTS) is is_chosen


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name eq shop-17",
        "name eq 'shop-17",
        "name eq 'a' or name eq 'b'",
        "name eq 'a'name eq 'b'",
        "name eq 'a' and ",
        "name gt 'a'",
        "colour eq 'red'",
        "tagName ne 'owner'",
        "substringof('a', tagName)",
        "tagName eq 'a' and tagName eq 'b'",
        "tagValue eq 'Ada'",
        "tagName eq 'a' and tagValue ne 'b'",
        "tagName eq 'a' and startswith(tagValue, 'b')",
        "not (name eq 'a')",
        " and ".join(["name eq 'a'"] * (TERMS_LIMIT + 1)),
        f"name eq '{'a' * LENGTH_LIMIT}'",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ArmError) as raised:
        parse(text)
    assert (raised.value.answer, raised.value.code) == (400, "InvalidFilterInQueryString")
    assert len(raised.value.message) < 600
