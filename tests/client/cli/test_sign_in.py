"""People sign in to a real server: by browser, by device code, and from kubectl's plugin."""

import re
import subprocess

import pytest
import trustme

from tests.client.conftest import COMMAND, Shell, sign_in
from tests.client.people import User, make_user
from tests.fixtures.server import Server


@pytest.fixture(scope="module")
def alice(live_server: Server) -> User:
    return make_user(live_server, "alice")


@pytest.fixture(scope="module")
def bob(live_server: Server) -> User:
    return make_user(live_server, "bob")


def login(server: Server) -> list[str]:
    return ["login", "--server", server.url, "--ca-file", str(server.ca_file)]


class DeviceCode:
    """A `towrope login` that waits until its code is entered."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=shell.env(DISPLAY="", WAYLAND_DISPLAY="", BROWSER=""),
        )
        assert self.process.stderr is not None
        self.said = ""
        while "/device" not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line

    @property
    def address(self) -> str:
        found = re.search(r"https://\S+/device", self.said)
        assert found
        return found[0]

    @property
    def code(self) -> str:
        found = re.search(r"code ([A-Z0-9-]+)", self.said)
        assert found
        return found[1]

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def test_browser(shell: Shell, live_server: Server, alice: User) -> None:
    shell.ok(*login(live_server), **alice.environment())
    shown = shell.json("account", "show")
    assert shown["user"] == {"name": alice.name, "type": "user"}
    assert shell.json("group", "list") is not None
    kept = b"".join(path.read_bytes() for path in shell.config.rglob("*") if path.is_file())
    assert alice.password.encode() not in kept


def test_device_code_where_there_is_no_browser(
    shell: Shell, live_server: Server, alice: User
) -> None:
    waiting = DeviceCode(shell, *login(live_server))
    assert "No browser can be opened here" in waiting.said
    with alice.browser(user_code=waiting.code) as browser:
        browser.visit(waiting.address)
    code, out, _ = waiting.end()
    assert code == 0
    assert alice.name in out
    shell.ok("group", "list")


def test_signing_out_ends_the_sign_in_at_the_server(
    shell: Shell, live_server: Server, alice: User
) -> None:
    """A copy of what was kept here is worth nothing afterwards."""
    shell.ok(*login(live_server), **alice.environment())
    kept = shell.config / "credentials"
    copy = {path.name: path.read_bytes() for path in kept.iterdir()}
    profile = (shell.config / "profile.json").read_bytes()
    authority = next((shell.config / "authorities").iterdir())
    pem = authority.read_bytes()
    assert shell.run("logout").stderr == ""
    for name, content in copy.items():
        (kept / name).write_bytes(content)
    (shell.config / "profile.json").write_bytes(profile)
    authority.write_bytes(pem)
    assert "Sign in again" in shell.error(4, "account", "get-access-token")


def test_signing_out_without_the_server(shell: Shell, live_server: Server, alice: User) -> None:
    shell.ok(*login(live_server), **alice.environment())
    next((shell.config / "authorities").iterdir()).write_bytes(trustme.CA().cert_pem.bytes())
    done = shell.run("logout")
    assert done.returncode == 0
    assert "its issuer does not know" in done.stderr
    assert "Nobody is signed in" in shell.error(4, "group", "list")


def test_two_people_and_an_application(
    shell: Shell, live_server: Server, alice: User, bob: User
) -> None:
    sign_in(shell, live_server)
    for user in (alice, bob):
        shell.ok("login", **user.environment())
    listed = shell.json("account", "list")
    assert {each["user"]["name"] for each in listed} == {alice.name, bob.name, live_server.app_id}
    assert [each["user"]["name"] for each in listed if each["isDefault"]] == [bob.name]
    shell.ok("account", "set", "--username", alice.name.upper())
    assert shell.json("account", "show")["user"]["name"] == alice.name
    shell.ok("logout", "--username", bob.name)
    assert "account list" in shell.error(4, "logout", "--username", bob.name)
    assert len(shell.json("account", "list")) == 2
    shell.ok("account", "clear")
    assert shell.json("account", "list") == []
    left = [path.name for path in shell.config.rglob("*") if path.is_file()]
    assert left == ["profile.json"]
