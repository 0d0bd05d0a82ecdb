"""`towrope ad user` and `towrope ad signed-in-user`."""

import pytest

from tests.client.conftest import Shell

PASSWORD = "correct horse battery"


def create(name: str, *words: str) -> list[str]:
    names = ["--display-name", name.title(), "--user-principal-name", f"{name}@example.org"]
    return ["ad", "user", "create", *names, *words]


def test_life_of_a_user(inside: Shell) -> None:
    made = inside.json(*create("ada", "--password", "-"), input=PASSWORD + "\n")
    assert made["userPrincipalName"] == "ada@example.org"
    assert inside.json("ad", "user", "show", "--id", made["id"]) == made
    shown = inside.ok("ad", "user", "list", "--upn", "ADA@example.org", "-o", "table")
    assert shown.splitlines()[0].split() == ["DisplayName", "UserPrincipalName", "Id"]
    assert made["id"] in shown
    update = ["ad", "user", "update", "--id", "ada@example.org"]
    assert inside.ok(*update, "--account-enabled", "false", "--display-name", "Ada L") == ""
    listed = ["ad", "user", "list", "--filter", "accountEnabled eq false", "--query"]
    assert inside.ok(*listed, "[].displayName", "-o", "tsv") == "Ada L\n"
    assert inside.ok(*update, "--account-enabled") == ""
    assert inside.json("ad", "user", "list", "--display-name", "Ada L")[0]["id"] == made["id"]
    assert inside.ok(*update, "--password", "-", input="another good password") == ""
    assert "least one" in inside.error(2, *update)
    assert inside.json("ad", "user", "get-member-groups", "--id", made["id"]) == []
    assert inside.ok("ad", "user", "delete", "--id", "ada@example.org") == ""
    assert "ada@" in inside.error(3, "ad", "user", "show", "--id", "ada@example.org")


def test_a_password_comes_from_the_environment_too(inside: Shell) -> None:
    words = create("eve")
    assert "--password -" in inside.error(2, *words)
    assert "--password -" in inside.error(2, *words, "--password", "-", input="\n")
    inside.json(*words, TOWROPE_PASSWORD=PASSWORD)
    said = inside.error(6, *words, TOWROPE_PASSWORD=PASSWORD)
    assert "userPrincipalName" in said
    inside.ok("ad", "user", "delete", "--id", "eve@example.org")


def test_what_the_server_does_not_take_is_said_without_the_password(inside: Shell) -> None:
    said = inside.error(1, *create("max", "--password", "geheim"))
    assert "12 characters" in said
    assert "geheim" not in said
    words = create("max", "--mail-nickname", "m x", "--password", "-")
    assert "mailNickname" in inside.error(1, *words, input=PASSWORD)
    assert "$filter" in inside.error(1, "ad", "user", "list", "--filter", "x eq 'y'")
    assert "'O''Brien'" not in inside.ok("ad", "user", "list", "--display-name", "O'Brien")


@pytest.mark.parametrize("name", ["..", "nobody@example.org"])
def test_nobody_has_that_name(inside: Shell, name: str) -> None:
    code = 1 if name == ".." else 3
    assert name in inside.error(code, "ad", "user", "show", "--id", name)


def test_an_application_is_no_user(inside: Shell) -> None:
    said = inside.error(1, "ad", "signed-in-user", "show")
    assert "delegated" in said


def test_help_has_an_example_and_warns_of_arguments(inside: Shell) -> None:
    shown = inside.ok("ad", "user", "create", "--help")
    assert "towrope ad user create" in shown
    assert "Other users of the machine" in " ".join(shown.split())
