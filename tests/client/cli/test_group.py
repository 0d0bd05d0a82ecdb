"""`towrope group`."""

from tests.client.conftest import Shell


def test_life_of_a_group(signed_in: Shell) -> None:
    made = signed_in.json("group", "create", "-n", "mills", "-l", "local", "--tags", "a=b", "c=d")
    assert (made["name"], made["location"]) == ("mills", "local")
    assert made["tags"] == {"a": "b", "c": "d"}
    assert signed_in.json("group", "show", "-g", "mills") == made
    names = signed_in.ok("group", "list", "--query", "[].name", "-o", "tsv").split()
    assert "mills" in names
    table = signed_in.ok("group", "list", "-o", "table").splitlines()
    assert table[0].split() == ["Name", "Location"]
    assert "--yes" in signed_in.error(2, "group", "delete", "-n", "mills")
    assert signed_in.ok("group", "delete", "-n", "mills", "--yes") == ""
    said = signed_in.error(3, "group", "show", "-n", "mills")
    assert "'mills'" in said
    assert "list" in said


def test_names_that_are_none(signed_in: Shell) -> None:
    for name in ("..", "a/b?c", "x" * 100):
        signed_in.error(1, "group", "create", "-n", name)


def test_name_is_missing(signed_in: Shell) -> None:
    assert "--name" in signed_in.error(2, "group", "show")
