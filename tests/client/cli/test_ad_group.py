"""`towrope ad group`."""

from tests.client.conftest import Shell

NOBODY = "99999999-9999-4999-8999-999999999999"


def create(name: str, nickname: str, *words: str) -> list[str]:
    names = ["--display-name", name, "--mail-nickname", nickname]
    return ["ad", "group", "create", *names, *words]


def test_life_of_a_group_and_its_members(signed_in: Shell) -> None:
    words = create("Mill Operators", "mill", "--description", "Who mills.")
    made = signed_in.json(*words)
    assert (made["displayName"], made["mailNickname"]) == ("Mill Operators", "mill")
    assert signed_in.json(*words) == {k: v for k, v in made.items() if k != "@odata.context"}
    outer = signed_in.json(*create("Outer", "outer"))["id"]
    for name in (made["id"], "mill operators", "Mill"):
        assert signed_in.json("ad", "group", "show", "-g", name) == made
    member = ["ad", "group", "member"]
    inner = ["--member-id", made["id"]]
    signed_in.ok(*member, "add", "-g", "Outer", *inner)
    assert "already exist" in signed_in.error(1, *member, "add", "-g", "Outer", *inner)
    [listed] = signed_in.json(*member, "list", "-g", "Outer")
    assert (listed["id"], listed["@odata.type"]) == (made["id"], "#microsoft.graph.group")
    assert signed_in.json(*member, "check", "-g", outer, *inner) == {"value": True}
    above = signed_in.json("ad", "group", "get-member-groups", "-g", "Mill Operators")
    assert above == [{"displayName": "Outer", "id": outer}]
    signed_in.ok(*member, "remove", "-g", "Outer", *inner)
    assert signed_in.json(*member, "check", "-g", "Outer", *inner) == {"value": False}
    assert made["id"] in signed_in.error(3, *member, "remove", "-g", "Outer", *inner)
    table = signed_in.ok("ad", "group", "list", "--display-name", "Mill", "-o", "table")
    assert table.splitlines()[0].split() == ["DisplayName", "MailNickname", "Id"]
    signed_in.ok("ad", "group", "delete", "-g", "Mill Operators")
    signed_in.ok("ad", "group", "delete", "-g", outer)


def test_a_name_that_several_have(signed_in: Shell) -> None:
    ids = [signed_in.json(*create("Same", "same", "--force"))["id"] for _ in "ab"]
    assert "More than one" in signed_in.error(6, "ad", "group", "show", "-g", "Same")
    assert "--force" in signed_in.error(6, *create("Same", "same"))
    found = ["ad", "group", "list", "--filter", "displayName eq 'same'", "--query", "length(@)"]
    assert signed_in.ok(*found, "-o", "tsv") == "2\n"
    for group_id in ids:
        signed_in.ok("ad", "group", "delete", "-g", group_id)


def test_what_is_not_there(signed_in: Shell) -> None:
    assert "'nope'" in signed_in.error(3, "ad", "group", "show", "-g", "nope")
    member = ["ad", "group", "member", "add", "-g", "Towrope Administrators"]
    assert NOBODY in signed_in.error(3, *member, "--member-id", NOBODY)


def test_administrators_cannot_be_deleted(signed_in: Shell) -> None:
    said = signed_in.error(7, "ad", "group", "delete", "-g", "Towrope Administrators")
    assert "administrators" in said
