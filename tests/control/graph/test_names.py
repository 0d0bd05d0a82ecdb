import pytest

from towrope.control.arm_error import ArmError
from towrope.control.graph import names


@pytest.mark.parametrize(
    "name",
    ["ada@example.org", "A.d-a_1@localhost", "o'brien@a-b.example", "x" * 64 + "@example.org"],
)
def test_a_good_principal_name(name: str) -> None:
    assert names.user_principal_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@@example.org",
        "ada@b@example.org",
        "system:admin@example.org",
        "system%3Aadmin@example.org",
        "\uff53ystem\uff1aadmin@example.org",
        "\u0430da@example.org",
        "ada\u200b@example.org",
        "ada@example.org\n",
        " ada@example.org",
        "a da@example.org",
        "a/b@example.org",
        "a#b@example.org",
        ".ada@example.org",
        "ada.@example.org",
        "ada@-example.org",
        "ada@example..org",
        "x" * 65 + "@example.org",
        "ada@" + ".".join(["x" * 60] * 2),
    ],
)
def test_a_bad_principal_name(name: str) -> None:
    with pytest.raises(ArmError):
        names.user_principal_name(name)


def test_an_object_id_is_written_in_one_way() -> None:
    guid = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"
    assert names.object_id(guid.upper()) == guid
    for other in (f"{{{guid}}}", guid.replace("-", ""), f"urn:uuid:{guid}", "x", ""):
        assert names.as_guid(other) is None
        with pytest.raises(ArmError) as refused:
            names.object_id(other)
        assert refused.value.answer == 404
