"""Formats."""

import json

import pytest

from towrope.client.output import Format, compile_query, flat, render

CLUSTER = {
    "id": "/subscriptions/s/resourceGroups/shops/providers/Microsoft.Kubernetes/kind/a",
    "name": "a",
    "location": "local",
    "tags": {},
    "properties": {"connectivityStatus": "Connected", "name": "not this one"},
}


def test_properties_are_lifted_as_az_does() -> None:
    shown = flat(CLUSTER)
    assert shown["connectivityStatus"] == "Connected"
    assert shown["resourceGroup"] == "shops"
    assert shown["name"] == "a"
    assert "properties" not in shown


def test_something_without_an_id_has_no_group() -> None:
    assert flat({"name": "a"}) == {"name": "a"}


def test_what_is_assigned_at_the_root_has_none_either() -> None:
    path = "/providers/Microsoft.Authorization/roleAssignments/guid"
    assert flat({"id": path}) == {"id": path}


def test_json_keeps_letters() -> None:
    assert "Käse" in render({"a": "Käse"}, Format.JSON)
    assert json.loads(render([1], Format.JSON)) == [1]


@pytest.mark.parametrize("style", Format)
def test_no_result_prints_nothing(style: Format) -> None:
    assert render(None, style) == ""


def test_table_takes_plain_members_of_every_row() -> None:
    shown = render([{"name": "a", "tags": {}}, {"name": "bcd", "count": 2}], Format.TABLE)
    assert shown.splitlines() == ["Name  Count", "----  -----", "a", "bcd   2"]


def test_table_of_plain_values() -> None:
    assert render(["a", "b"], Format.TABLE).splitlines() == ["Result", "------", "a", "b"]


def test_column_inside_a_member() -> None:
    rows = [{"user": {"name": "alice"}}, {"user": None}, {}]
    assert render(rows, Format.TABLE, {"User": "user.name"}).split() == ["User", "-----", "alice"]


def test_empty_table_prints_nothing() -> None:
    assert render([], Format.TABLE) == ""


def test_a_column_may_be_made_of_a_row() -> None:
    shown = render([{"scope": "/a/b"}], Format.TABLE, {"Last": lambda row: row["scope"][-1]})
    assert shown.split() == ["Last", "----", "b"]


def test_a_table_fits_a_terminal_by_its_widest_columns() -> None:
    rows = [{"name": "ada", "id": "0123456789" * 3, "scope": "abcdefghij" * 3}]
    shown = render(rows, Format.TABLE, width=40).splitlines()
    assert max(map(len, shown)) == 40
    assert shown[2] == "ada   01234567…3456789  abcdefgh…defghij"
    assert render(rows, Format.TABLE, width=200) == render(rows, Format.TABLE)


def test_a_column_is_never_narrower_than_something_can_be_read() -> None:
    shown = render([{"name": "0123456789", "id": "0123456789"}], Format.TABLE, width=1)
    assert shown.splitlines()[2] == "0123…789  0123…789"


def test_table_lets_no_control_character_through() -> None:
    assert "\x1b" not in render([{"name": "\x1b[31mred"}], Format.TABLE)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (True, "true"),
        (None, ""),
        (["a", "b"], "a\nb"),
        ({"a": 1, "b": None, "c": [1, 2], "d": {}}, "1\tNone\t2\t"),
        ([["a", True]], "a\tTrue"),
    ],
)
def test_tsv_is_what_az_prints(value: object, text: str) -> None:
    assert render(value, Format.TSV) == text


def test_yaml() -> None:
    assert render({"a": [1, {"b": "c"}]}, Format.YAML) == "a:\n- 1\n- b: c"
    assert render("plain", Format.YAML) == "plain"


def test_query_that_does_not_fit_the_result() -> None:
    with pytest.raises(ValueError, match="abs"):
        compile_query("abs(name)")({"name": "a"})
