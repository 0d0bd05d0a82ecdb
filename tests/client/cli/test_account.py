"""`towrope account`."""

import pytest

from tests.client.conftest import Shell, sign_in
from tests.fixtures.server import Server

NOBODY = "Nobody is signed in"


@pytest.mark.parametrize("command", ["show", "get-access-token"])
def test_nobody_is_signed_in(command: str, shell: Shell) -> None:
    said = shell.error(4, "account", command)
    assert NOBODY in said
    assert "towrope login" in said


def test_list_of_nobody(shell: Shell) -> None:
    assert shell.json("account", "list") == []


def test_show_and_list(signed_in: Shell, live_server: Server) -> None:
    shown = signed_in.json("account", "show")
    assert shown["tenantId"] == live_server.tenant
    assert signed_in.json("account", "list") == [shown]
    table = signed_in.ok("account", "list", "-o", "table")
    assert table.splitlines()[0].split()[:3] == ["Name", "User", "Server"]
    assert live_server.app_id in table


def test_access_token_works(signed_in: Shell, live_server: Server) -> None:
    token = signed_in.json("account", "get-access-token")
    assert token["tokenType"] == "Bearer"
    assert token["tenant"] == live_server.tenant
    headers = {"authorization": f"Bearer {token['accessToken']}"}
    live_server.api.get("/subscriptions", headers=headers).raise_for_status()


def test_choosing_an_account(shell: Shell, live_server: Server) -> None:
    sign_in(shell, live_server)
    subscription = shell.ok("account", "show", "--query", "id", "-o", "tsv").strip()
    shell.ok("account", "set", "--subscription", subscription)
    assert shell.json("group", "list", "--subscription", subscription.upper()) is not None
    assert "--subscription" in shell.error(2, "account", "set")
    for words in (["account", "set", "-s", "nope"], ["group", "list", "--subscription", "nope"]):
        assert "'nope'" in shell.error(4, *words)


def test_token_that_the_server_no_longer_takes(shell: Shell, live_server: Server) -> None:
    """It is fetched anew with the secret, without a word."""
    sign_in(shell, live_server)
    (token,) = (shell.config / "tokens").iterdir()
    token.write_text("99999999999\nx.y.z\n")
    shell.ok("group", "list")
    assert "x.y.z" not in token.read_text()


def test_damaged_profile(shell: Shell) -> None:
    shell.config.mkdir()
    (shell.config / "profile.json").write_text("{")
    assert "profile.json is damaged" in shell.error(1, "group", "list")


def test_locations(inside: Shell) -> None:
    table = inside.ok("account", "list-locations", "-o", "table").splitlines()
    assert table[0].split() == ["DisplayName", "Name", "RegionalDisplayName"]
    assert "local" in inside.json("account", "list-locations", "--query", "[].name")
