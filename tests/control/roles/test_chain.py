import pytest

from towrope.control.roles.chain import Chain, chains


@pytest.mark.parametrize(
    ("memberships", "expected"),
    [
        ([], {"ann": ()}),
        ([("a", "ann")], {"ann": (), "a": ("a",)}),
        ([("a", "bob")], {"ann": ()}),
        ([("b", "a"), ("a", "ann")], {"ann": (), "a": ("a",), "b": ("a", "b")}),
        # The shorter way to `c`.
        (
            [("a", "ann"), ("b", "a"), ("c", "b"), ("c", "ann")],
            {"ann": (), "a": ("a",), "b": ("a", "b"), "c": ("c",)},
        ),
        # In a circle.
        ([("a", "ann"), ("b", "a"), ("a", "b")], {"ann": (), "a": ("a",), "b": ("a", "b")}),
    ],
)
def test_the_way_to_each_group(
    memberships: list[tuple[str, str]], expected: dict[str, Chain]
) -> None:
    assert chains("ann", memberships) == expected
