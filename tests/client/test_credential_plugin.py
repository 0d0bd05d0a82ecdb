"""What a kubeconfig runs: this very program, for one account and one cluster."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.client.test_profile import ISSUER, account
from towrope.client.credential_plugin import plugin_for

CLUSTER = "/subscriptions/s/x"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the interpreter is, with nothing beside it yet."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "argv", ["/somewhere/main.py"])
    monkeypatch.delenv("TOWROPE_CONFIG_DIR", raising=False)
    return tmp_path / "towrope"


def install(script: Path) -> None:
    script.touch()
    script.chmod(0o700)


def test_program_beside_the_interpreter(script: Path) -> None:
    install(script)
    plugin = plugin_for(account(user="alice"), CLUSTER)
    assert plugin.command == str(script)
    words = ["--cluster", CLUSTER, "--server", "https://a.example", "--account", "alice"]
    assert plugin.arguments == ("get-token", *words)
    assert plugin.environment == ()
    assert plugin.as_exec()["env"] is None


def test_program_that_was_started_comes_first(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to it stays a link, so that it still leads somewhere after an upgrade."""
    install(script)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "towrope").symlink_to(script)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bin/towrope"])
    assert plugin_for(account(), CLUSTER).command == str(tmp_path / "bin" / "towrope")


def test_module_where_there_is_no_program(script: Path) -> None:
    script.touch()
    script.chmod(0o600)
    plugin = plugin_for(account(), CLUSTER)
    assert plugin.command == sys.executable
    assert plugin.arguments[:4] == ("-P", "-m", "towrope.main", "get-token")


def test_modules_of_the_current_folder_are_not_run(tmp_path: Path) -> None:
    (tmp_path / "towrope").mkdir()
    (tmp_path / "towrope" / "__init__.py").write_text("raise SystemExit(99)")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "towrope.main", "--version"], cwd=tmp_path, check=False
    )
    assert done.returncode == 0


def test_issuer_and_folder_are_named(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOWROPE_CONFIG_DIR", "config")
    guest = msgspec.structs.replace(account(user="alice"), issuer=ISSUER)
    plugin = plugin_for(guest, CLUSTER)
    assert plugin.arguments[-2:] == ("--issuer", "contoso")
    config = str(tmp_path / "config")
    assert plugin.as_exec()["env"] == [{"name": "TOWROPE_CONFIG_DIR", "value": config}]
