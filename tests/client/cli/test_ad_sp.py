"""`towrope ad sp`."""

import pytest

from tests.client.conftest import Shell
from tests.fixtures.server import Server


def signs_in(shell: Shell, server: Server, app_id: str, secret: str) -> bool:
    words = ["login", "--service-principal", "--server", server.url, "-u", app_id, "-p", "-"]
    words += ["--ca-fingerprint", server.ca_fingerprint, "--allow-no-subscriptions"]
    return shell.run(*words, input=secret).returncode == 0


def test_life_of_a_service_principal(inside: Shell, shell: Shell, live_server: Server) -> None:
    done = inside.run("ad", "sp", "create-for-rbac", "-n", "deployer")
    assert done.returncode == 0
    assert "not shown again" in done.stderr
    made = inside.json("ad", "sp", "create-for-rbac", "-n", "deployer")
    assert list(made) == ["appId", "displayName", "password", "tenant"]
    assert (made["displayName"], made["tenant"]) == ("deployer", live_server.tenant)
    assert made["appId"] in done.stdout, "the one that is there gets another credential"
    assert signs_in(shell, live_server, made["appId"], made["password"])
    shown = inside.json("ad", "sp", "show", "--id", made["appId"])
    assert len(shown["passwordCredentials"]) == 1
    assert shown == inside.json("ad", "sp", "show", "--id", shown["id"])
    assert made["password"] not in str(shown)
    for words in (["--spn", made["appId"]], ["--display-name", "DEPLOY"], ["--all"], []):
        listed = inside.json("ad", "sp", "list", *words, "--query", "[].appId")
        assert made["appId"] in listed
    table = inside.ok("ad", "sp", "list", "-o", "table").splitlines()[0]
    assert table.split() == ["DisplayName", "AppId", "CreatedDateTime"]
    inside.ok("ad", "sp", "delete", "--id", made["appId"])
    assert made["appId"] in inside.error(3, "ad", "sp", "show", "--id", made["appId"])


@pytest.mark.parametrize("words", [["--role", "Reader"], ["--scopes", "/a", "/b"]])
def test_a_role_holds_somewhere(inside: Shell, words: list[str]) -> None:
    assert "both" in inside.error(2, "ad", "sp", "create-for-rbac", "-n", "roles", *words)
    assert inside.json("ad", "sp", "list", "--display-name", "roles") == []


def test_a_slip_in_the_role_leaves_nothing_behind(inside: Shell) -> None:
    words = ["-n", "roles", "--role", "Readr", "--scopes", "/"]
    assert "Did you mean" in inside.error(3, "ad", "sp", "create-for-rbac", *words)
    assert inside.json("ad", "sp", "list", "--display-name", "roles") == []


def test_what_is_not_there(inside: Shell) -> None:
    for name in ("nope", "99999999-9999-4999-8999-999999999999"):
        assert name in inside.error(3, "ad", "sp", "delete", "--id", name)


def test_a_name_is_made_where_none_is_given(inside: Shell) -> None:
    made = inside.json("ad", "sp", "create-for-rbac", "--years", "2")
    assert made["displayName"].startswith("towrope-cli-")
    inside.ok("ad", "sp", "delete", "--id", made["appId"])
