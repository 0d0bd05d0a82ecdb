"""`towrope cloud`: servers by name."""

from tests.client.conftest import Answer, Scripted, Shell
from tests.fixtures.server import Server

METADATA = {
    "resourceManager": "https://public.example",
    "authentication": {
        "tenant": "t",
        "audiences": ["https://public.example"],
        "loginEndpoint": "https://public.example/adfs",
    },
    "microsoftGraphResourceId": "https://public.example",
}


def register(shell: Shell, name: str, server: Server) -> None:
    words = ["-n", name, "--endpoint-resource-manager", f"{server.url}/"]
    shell.ok("cloud", "register", *words, "--ca-fingerprint", server.ca_fingerprint)


def test_named_server_is_signed_in_to(shell: Shell, live_server: Server) -> None:
    register(shell, "work", live_server)
    assert shell.json("cloud", "list")[0]["isActive"] is False
    shell.ok("cloud", "set", "-n", "Work")
    assert "signed in to" in shell.error(4, "group", "list")
    words = ["login", "--service-principal", "-u", live_server.app_id, "-p", "-"]
    (account,) = shell.json(*words, input=live_server.secret)
    assert account["environmentName"] == "work"
    shown = shell.json("cloud", "show")
    assert shown["name"] == "work"
    assert shown["isActive"] is True
    assert shown["endpoints"]["resourceManager"] == live_server.url
    assert shown["endpoints"]["activeDirectory"].startswith(live_server.url)
    shell.ok("logout")
    assert live_server.url in shell.error(4, "group", "list")
    assert shell.json("cloud", "show")["isActive"] is True


def test_each_server_has_its_accounts(
    shell: Shell, live_server: Server, scripted: Scripted
) -> None:
    register(shell, "work", live_server)
    scripted.answers = [Answer(body=METADATA)]
    authority = shell.folder / "ca.pem"
    authority.write_bytes(scripted.authority_pem)
    words = ["-n", "home", "--endpoint-resource-manager", scripted.url, "--ca-file", str(authority)]
    home = shell.json("cloud", "register", *words)
    assert home["endpoints"]["activeDirectory"] == "https://public.example/adfs"
    shell.ok("cloud", "set", "-n", "work")
    words = ["login", "--service-principal", "-u", live_server.app_id, "-p", "-"]
    shell.ok(*words, input=live_server.secret)
    shell.ok("cloud", "set", "-n", "home")
    assert scripted.url in shell.error(4, "account", "show")
    shell.ok("cloud", "set", "-n", "work")
    assert shell.json("account", "show")["isDefault"] is True


def test_unregistered_name_is_free_again(shell: Shell, live_server: Server) -> None:
    register(shell, "work", live_server)
    words = ["--endpoint-resource-manager", live_server.url]
    assert "registered already" in shell.error(6, "cloud", "register", "-n", "WORK", *words)
    assert "registered already" in shell.error(6, "cloud", "register", "-n", "other", *words)
    shell.ok("cloud", "unregister", "-n", "work")
    assert list((shell.config / "authorities").iterdir()) == []
    assert shell.json("cloud", "list") == []
    register(shell, "other", live_server)


def test_unknown_names(shell: Shell) -> None:
    for verb in ("set", "show", "unregister"):
        assert "No cloud is called 'x'" in shell.error(3, "cloud", verb, "-n", "x")
    assert "has no name" in shell.error(3, "cloud", "show")


def test_what_is_no_server(shell: Shell, scripted: Scripted) -> None:
    words = ["cloud", "register", "-n", "x", "--endpoint-resource-manager"]
    assert "https://" in shell.error(2, *words, "http://a.example")
    authority = shell.folder / "ca.pem"
    authority.write_bytes(scripted.authority_pem)
    said = shell.error(1, *words, scripted.url, "--ca-file", str(authority))
    assert "does not say how to sign in" in said
    assert not (shell.config / "profile.json").exists()
