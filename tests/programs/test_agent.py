"""`towrope agent` as a process: each thing that is missing is one sentence, and no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "towrope.programs.agent")


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KUBE", "POD_"))}
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, **environment},
        check=False,
    )


def kubeconfig(folder: Path, server: str) -> Path:
    path = folder / "kubeconfig"
    content = {
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": server}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {"token": "agents-own-token"}}],
    }
    path.write_text(json.dumps(content))
    return path


def check_sentence(done: subprocess.CompletedProcess[str], text: str) -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert text in done.stderr
    assert done.stderr.startswith("ERROR: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "agents-own-token" not in done.stderr


def test_help_explains_itself() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "--kubeconfig" in done.stdout


def test_no_cluster_at_all(tmp_path: Path) -> None:
    check_sentence(run(HOME=str(tmp_path)), "finds no cluster")


@pytest.mark.parametrize("content", ["", "no kubeconfig", "a: ["])
def test_a_broken_kubeconfig(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    done = run("--kubeconfig", str(path))
    check_sentence(done, "finds no cluster")


def test_an_apiserver_that_is_away(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    check_sentence(run("--kubeconfig", str(path)), "the apiserver cannot be reached")


def test_an_unknown_context(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    check_sentence(run("--kubeconfig", str(path), "--context", "nowhere"), "nowhere")


def test_an_audit_file_that_cannot_be_written(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    words = ["--kubeconfig", str(path)]
    nowhere = str(tmp_path / "nowhere" / "audit.log")
    check_sentence(run(*words, "--audit", nowhere), "cannot write its audit events")
    check_sentence(run(*words, TOWROPE_AUDIT=nowhere), "cannot write its audit events")


def test_an_audit_file_is_private(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    log = tmp_path / "audit.log"
    done = run("--kubeconfig", str(path), "--audit", str(log))
    check_sentence(done, "the apiserver cannot be reached")
    assert log.stat().st_mode & 0o777 == 0o600
