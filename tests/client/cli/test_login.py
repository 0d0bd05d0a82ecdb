"""`towrope login` and `logout` against a real server, with what people get wrong."""

import os
import pty
import socket
import socketserver
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.client.conftest import COMMAND, Answer, Scripted, Shell, sign_in
from tests.fixtures.server import Server

LOGIN = ("login", "--service-principal")


def as_administrator(server: Server) -> list[str]:
    return [*LOGIN, "--server", server.url, "-u", server.app_id]


def test_secret_on_standard_input(shell: Shell, live_server: Server) -> None:
    words = [*as_administrator(live_server), "-p", "-"]
    words += ["--ca-fingerprint", live_server.ca_fingerprint]
    (account,) = shell.json(*words, input=f"{live_server.secret}\n")
    assert account["server"] == live_server.url
    assert account["tenantId"] == live_server.tenant
    assert account["isDefault"] is True
    assert account["user"] == {"name": live_server.app_id, "type": "servicePrincipal"}
    kept = [path for path in shell.config.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    shell.ok("group", "list")


def test_secret_from_the_environment_and_authority_from_a_file(
    shell: Shell, live_server: Server
) -> None:
    words = [*as_administrator(live_server), "--ca-file", str(live_server.ca_file)]
    shell.ok(*words, TOWROPE_CLIENT_SECRET=live_server.secret)
    # What is known of the server need not be said again.
    shell.ok(*LOGIN, "-u", live_server.app_id, TOWROPE_CLIENT_SECRET=live_server.secret)


def test_wrong_secret(shell: Shell, live_server: Server) -> None:
    words = [*as_administrator(live_server), "--ca-fingerprint", live_server.ca_fingerprint]
    said = shell.error(4, *words, "-p", "-", input="not-the-secret")
    assert "towrope login" in said
    assert "not-the-secret" not in said
    assert not shell.config.exists()


def test_unknown_authority_is_refused_with_its_fingerprint(
    shell: Shell, live_server: Server
) -> None:
    said = shell.error(5, *as_administrator(live_server), "-p", "-", input=live_server.secret)
    assert live_server.ca_fingerprint in said
    assert "--ca-fingerprint" in said
    assert "--ca-file" in said
    assert not shell.config.exists()


def test_other_fingerprint_sends_nothing(shell: Shell, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=scripted.authority_pem.decode())]
    words = [*LOGIN, "--server", scripted.url, "-u", "a", "-p", "-"]
    said = shell.error(5, *words, "--ca-fingerprint", "0" * 64, input="s3cret")
    assert "Nothing was sent" in said
    assert [asked.path for asked in scripted.asked] == ["/.well-known/towrope/ca.pem"]
    assert all(b"s3cret" not in asked.body for asked in scripted.asked)


def test_server_that_is_none(shell: Shell, scripted: Scripted, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(scripted.authority_pem)
    scripted.answers = [Answer(body="<html>")]
    words = [*LOGIN, "--server", scripted.url, "-u", "a", "-p", "-", "--ca-file", str(authority)]
    said = shell.error(1, *words, input="s3cret")
    assert "does not answer as a Towrope server" in said
    assert all(b"s3cret" not in asked.body for asked in scripted.asked)


def test_server_that_does_not_run(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = [*LOGIN, "--server", f"https://127.0.0.1:{port}", "-u", "a", "-p", "-"]
    said = shell.error(5, *words, input="s")
    assert "connection refused" in said
    assert f"https://127.0.0.1:{port}" in said


def test_server_without_tls(shell: Shell) -> None:
    """A port that speaks something else."""

    class Greets(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"220 mail.example\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Greets) as plain:
        thread = threading.Thread(target=plain.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"https://127.0.0.1:{plain.server_address[1]}"
            words = [*LOGIN, "--server", url, "-u", "a", "-p", "-"]
            assert "Cannot reach the server" in shell.error(5, *words, input="s")
        finally:
            plain.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["login"], "--server"),
        ([*LOGIN], "-u"),
        (["login", "-u", "a"], "--service-principal"),
        (["login", "-p", "s"], "--service-principal"),
        ([*LOGIN, "-u", "a", "--use-device-code"], "for people"),
        ([*LOGIN, "-u", "a", "--issuer", "contoso"], "for people"),
        ([*LOGIN, "-u", "a", "-p", "s", "--certificate", "x"], "not both"),
        ([*LOGIN, "-u", "a", "-p", "-"], "--server"),
        ([*LOGIN, "-u", "a", "--server", "http://a.example", "-p", "x"], "https://"),
        ([*LOGIN, "-u", "a", "--server", "https://a.example/b", "-p", "x"], "https://HOST"),
        (
            [*LOGIN, "-u", "a", "--server", "https://a", "--ca-file", "x", "--ca-fingerprint", "y"],
            "not both",
        ),
        (
            [*LOGIN, "-u", "a", "--server", "https://a", "-p", "x", "--ca-file", "/nope"],
            "--ca-file",
        ),
    ],
)
def test_wrong_command_lines(words: list[str], hint: str, shell: Shell) -> None:
    code = 1 if "/nope" in words else 2
    assert hint in shell.error(code, *words)


def test_secret_is_missing(shell: Shell, live_server: Server) -> None:
    words = [*as_administrator(live_server), "--ca-file", str(live_server.ca_file)]
    assert "TOWROPE_CLIENT_SECRET" in shell.error(2, *words)
    assert "TOWROPE_CLIENT_SECRET" in shell.error(2, *words, "-p", "-", input="\n")


def test_debug_shows_no_secret(shell: Shell, live_server: Server) -> None:
    words = [*as_administrator(live_server), "--ca-file", str(live_server.ca_file), "--debug"]
    done = shell.run(*words, "-p", "-", input=live_server.secret)
    token = shell.json("account", "get-access-token")["accessToken"]
    assert '"event": "request"' in done.stderr
    assert live_server.secret not in done.stderr
    assert token not in done.stderr


def test_logout_forgets_everything(shell: Shell, live_server: Server) -> None:
    sign_in(shell, live_server)
    shell.ok("logout")
    left = [path.name for path in shell.config.rglob("*") if path.is_file()]
    assert left == ["profile.json"]
    assert "Nobody is signed in" in shell.error(4, "group", "list")
    shell.error(4, "logout")


def test_server_with_another_authority(shell: Shell, live_server: Server) -> None:
    """The pinned one no longer fits: it is not replaced behind the user's back."""
    sign_in(shell, live_server)
    (pinned,) = (shell.config / "authorities").iterdir()
    pinned.write_bytes(trustme.CA().cert_pem.bytes())
    assert "is not trusted" in shell.error(5, "group", "list")
    said = shell.error(5, *as_administrator(live_server), "-p", "-", input=live_server.secret)
    assert "--ca-fingerprint" in said


def converse(
    shell: Shell, words: list[str], answers: Callable[[str], str | None]
) -> tuple[int, str]:
    """Runs a command on a terminal of its own; `answers` says what to type at what is shown."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        os.execve(COMMAND[0], [*COMMAND, *words], shell.env(TERM="dumb"))  # noqa: S606
    shown = ""
    try:
        while True:
            try:
                shown += os.read(terminal, 1024).decode()
            except OSError:  # Linux's way to say that the other side is closed
                break
            typed = answers(shown)
            if typed is not None:
                os.write(terminal, typed.encode())
    finally:
        os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown


@pytest.mark.parametrize("answer", ["y", "n"])
def test_fingerprint_is_shown_and_asked_for(answer: str, shell: Shell, live_server: Server) -> None:
    typed: list[str] = []

    def answers(shown: str) -> str | None:
        prompts = {"Trust it for this server?": answer, "Secret": live_server.secret}
        for prompt, text in prompts.items():
            if prompt in shown and text not in typed:
                typed.append(text)
                return f"{text}\n"
        return None

    code, shown = converse(shell, as_administrator(live_server), answers)
    assert live_server.ca_fingerprint in shown
    assert live_server.secret not in shown
    if answer == "y":
        assert code == 0
        shell.ok("group", "list")
    else:
        assert code == 5
        assert "was not accepted" in shown
        assert "Secret" not in shown
