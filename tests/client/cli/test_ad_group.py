"""`towrope ad group`."""

from tests.client.conftest import Shell

NOBODY = "99999999-9999-4999-8999-999999999999"


def create(name: str, nickname: str, *words: str) -> list[str]:
    names = ["--display-name", name, "--mail-nickname", nickname]
    return ["ad", "group", "create", *names, *words]


def test_life_of_a_group_and_its_members(inside: Shell) -> None:
    words = create("Mill Operators", "mill", "--description", "Who mills.")
    made = inside.json(*words)
    assert (made["displayName"], made["mailNickname"]) == ("Mill Operators", "mill")
    assert inside.json(*words) == {k: v for k, v in made.items() if k != "@odata.context"}
    outer = inside.json(*create("Outer", "outer"))["id"]
    for name in (made["id"], "mill operators", "Mill"):
        assert inside.json("ad", "group", "show", "-g", name) == made
    member = ["ad", "group", "member"]
    inner = ["--member-id", made["id"]]
    inside.ok(*member, "add", "-g", "Outer", *inner)
    assert "already exist" in inside.error(1, *member, "add", "-g", "Outer", *inner)
    [listed] = inside.json(*member, "list", "-g", "Outer")
    assert (listed["id"], listed["@odata.type"]) == (made["id"], "#microsoft.graph.group")
    assert inside.json(*member, "check", "-g", outer, *inner) == {"value": True}
    above = inside.json("ad", "group", "get-member-groups", "-g", "Mill Operators")
    assert above == [{"displayName": "Outer", "id": outer}]
    inside.ok(*member, "remove", "-g", "Outer", *inner)
    assert inside.json(*member, "check", "-g", "Outer", *inner) == {"value": False}
    assert made["id"] in inside.error(3, *member, "remove", "-g", "Outer", *inner)
    table = inside.ok("ad", "group", "list", "--display-name", "Mill", "-o", "table")
    assert table.splitlines()[0].split() == ["DisplayName", "MailNickname", "Id"]
    inside.ok("ad", "group", "delete", "-g", "Mill Operators")
    inside.ok("ad", "group", "delete", "-g", outer)


def test_a_name_that_several_have(inside: Shell) -> None:
    ids = [inside.json(*create("Same", "same", "--force"))["id"] for _ in "ab"]
    assert "More than one" in inside.error(6, "ad", "group", "show", "-g", "Same")
    assert "--force" in inside.error(6, *create("Same", "same"))
    found = ["ad", "group", "list", "--filter", "displayName eq 'same'", "--query", "length(@)"]
    assert inside.ok(*found, "-o", "tsv") == "2\n"
    for group_id in ids:
        inside.ok("ad", "group", "delete", "-g", group_id)


def test_what_is_not_there(inside: Shell) -> None:
    assert "'nope'" in inside.error(3, "ad", "group", "show", "-g", "nope")
    member = ["ad", "group", "member", "add", "-g", "Towrope Administrators"]
    assert NOBODY in inside.error(3, *member, "--member-id", NOBODY)


def test_administrators_cannot_be_deleted(inside: Shell) -> None:
    said = inside.error(7, "ad", "group", "delete", "-g", "Towrope Administrators")
    assert "administrators" in said
