import pytest

from towrope.wire.reserved_names import LAYERS, begins_reserved, is_presentable, is_reserved


@pytest.mark.parametrize(
    "name",
    [
        "system:masters",
        "System:Masters",
        "SYSTEM:",
        " system:masters",
        "\u200bsystem:masters",
        "s\u00adystem:masters",
        "system%3Amasters",
        "%73ystem:masters",
        "%2573ystem:masters",
        "%25252525252573ystem:masters",
        "\uff53\uff59\uff53\uff54\uff45\uff4d:masters",
        "system\uff1amasters",
        "sy\u0308stem:masters",
        "\u24e2ystem:x",
        "\ufe00system:x",
        "s\u3164ystem:masters",
        "%" + "25" * (LAYERS + 1) + "41",
        "towrope:oid:7f3c1d0e-5a52-4d0a-9d0f-2b6f9a1c7e11",
        "Towrope:",
        "tow\u200brope:oid:x",
        "%74owrope%3Aoid:x",
        "\uff54owrope:oid:x",
    ],
)
def test_reserved_in_any_case_and_encoding(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize(
    "name",
    ["ada@example.org", "systems", "my-system:x", "100%", "é", "towrope", "my-towrope:x", ""],
)
def test_other_names_are_not(name: str) -> None:
    assert not is_reserved(name)


@pytest.mark.parametrize(
    "prefix", ["system:", "SYSTEM:x", "s", "sys", "system", "%73", "\uff53", "t", "towrope:", "%74"]
)
def test_a_prefix_that_leads_there(prefix: str) -> None:
    assert begins_reserved(prefix)


@pytest.mark.parametrize("prefix", ["", "dex:", "systemd:", "x-system:", "towropes:"])
def test_a_prefix_that_does_not(prefix: str) -> None:
    assert not begins_reserved(prefix)


@pytest.mark.parametrize("name", ["", " a", "a ", "a\n", "a\0b", "\u200b", "a\u2028b"])
def test_what_is_no_name(name: str) -> None:
    assert not is_presentable(name)


def test_what_is_one() -> None:
    assert is_presentable("Ada Lovelace")
