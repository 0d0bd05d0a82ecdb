"""`towrope cloud az-setup`: what it prints."""

import os
import shlex
from pathlib import Path

import pytest

from tests.client.conftest import Shell
from tests.fixtures.server import Server


@pytest.fixture
def bundle(inside: Shell) -> Path:
    return inside.config / "azure-cli-authorities.pem"


def test_what_is_printed_is_for_a_shell(inside: Shell, live_server: Server, bundle: Path) -> None:
    lines = inside.ok("cloud", "az-setup", "-n", "my shop").splitlines()
    endpoint = ["--endpoint-resource-manager", live_server.url]
    assert [shlex.split(line) for line in lines] == [
        ["export", f"REQUESTS_CA_BUNDLE={bundle}"],
        ["az", "cloud", "register", "-n", "my shop", *endpoint],
        ["az", "cloud", "set", "-n", "my shop"],
        ["az", "login"],
    ]
    assert live_server.ca_file.read_bytes().strip() in bundle.read_bytes()


def test_what_is_done_is_not_printed(inside: Shell, tmp_path: Path, bundle: Path) -> None:
    az = tmp_path / "az"
    az.write_text("#!/bin/sh\nexit 0\n")
    az.chmod(0o700)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = inside.run("cloud", "az-setup", "--run", PATH=path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"export REQUESTS_CA_BUNDLE={bundle}", "az login"]
    assert "What is left to do" in done.stderr


def test_no_server_is_in_use(shell: Shell) -> None:
    assert "towrope login" in shell.error(3, "cloud", "az-setup")
