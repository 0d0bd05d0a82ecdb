"""The credential plugin's short way: what it prints, and what it costs."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.client.conftest import COMMAND
from towrope.client import get_token, token_cache
from towrope.client.get_token import run
from towrope.client.sessions import cached_scope, scope_of

CLUSTER = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Kubernetes/connectedClusters/C"
WORDS = ["--cluster", CLUSTER, "--server", "https://a.example", "--account", "alice@a.example"]
ENDS = 4_102_444_800  # 2100-01-01


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOWROPE_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_EXEC_INFO", raising=False)
    return tmp_path


def keep(folder: Path, *, ends: int = ENDS, issuer: str = "", bearer: str = "a.b-c_d") -> Path:
    principal = token_cache.principal_key("https://a.example", issuer, "alice@a.example")
    scope = cached_scope(issuer, scope_of(CLUSTER))
    path = token_cache.token_path(str(folder), principal, scope)
    token_cache.write(path, bearer, ends)
    return Path(path)


def never() -> int:
    raise AssertionError("the long way")


def test_kept_token_is_an_exec_credential(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder)
    assert run(WORDS, never) == 0
    assert json.loads(capsys.readouterr().out) == {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "a.b-c_d", "expirationTimestamp": "2100-01-01T00:00:00Z"},
    }


def test_answer_has_the_version_that_kubectl_asks_for(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(folder)
    version = "client.authentication.k8s.io/v1beta1"
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", json.dumps({"apiVersion": version}))
    run(WORDS, never)
    assert json.loads(capsys.readouterr().out)["apiVersion"] == version


def test_case_of_cluster_and_user_does_not_matter(folder: Path) -> None:
    keep(folder)
    assert run([word.upper() if "/sub" in word else word for word in WORDS], never) == 0
    assert run([*WORDS[:-1], "Alice@A.example"], never) == 0


def test_token_of_another_issuer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, issuer="contoso", bearer="theirs")
    assert run([*WORDS, "--issuer", "contoso"], never) == 0
    assert "theirs" in capsys.readouterr().out
    assert run(WORDS, lambda: 7) == 7


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        WORDS[:4],
        [*WORDS, "--debug"],
        [*WORDS, "-o", "json"],
        [*WORDS, "--account", "bob"],
        ["--account", "alice@a.example", *WORDS[:3]],
    ],
)
def test_other_arguments_go_the_long_way(words: list[str], folder: Path) -> None:
    keep(folder)
    assert run(words, lambda: 7) == 7


@pytest.mark.parametrize("left", [-5, 299])
def test_token_that_ends_soon_is_not_printed(
    left: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, ends=int(time.time()) + left)
    assert run(WORDS, lambda: 7) == 7
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"x y", b"4102444800", b'4102444800 a"b', b"4102444800 a\\b", b"1 2 3"],
)
def test_damaged_token_is_no_token(
    content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder).write_bytes(content)
    assert run(WORDS, lambda: 7) == 7
    assert capsys.readouterr().out == ""


def test_who_waited_prints_what_another_brought(folder: Path) -> None:
    """A thread of ours has the turn; the other process can only wait for it."""
    has_turn, may_end = threading.Event(), threading.Event()

    def bring() -> int:
        has_turn.set()
        assert may_end.wait(30)
        keep(folder)
        return 0

    first = threading.Thread(target=run, args=(WORDS, bring))
    first.start()
    assert has_turn.wait(30)
    with subprocess.Popen(
        [*COMMAND, "get-token", *WORDS], stdout=subprocess.PIPE, text=True
    ) as second:
        may_end.set()
        out, _ = second.communicate(timeout=30)
    first.join()
    assert json.loads(out)["status"]["token"] == "a.b-c_d"
    assert [path.name for path in folder.rglob("*.lock")] == []


def test_no_turn_is_no_hindrance(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_token, "TURN_WITHIN", 0.0)
    path = keep(folder, ends=1)
    path.with_name(f"{path.name}.lock").touch()
    assert run(WORDS, lambda: 7) == 7
    (folder / "tokens").chmod(0o700)
    blocked = folder / "file"
    blocked.touch()
    monkeypatch.setenv("TOWROPE_CONFIG_DIR", str(blocked))
    assert run(WORDS, lambda: 7) == 7


def test_short_way_imports_nothing_but_what_is_there(folder: Path) -> None:
    keep(folder)
    script = (
        "import sys; before = set(sys.modules); from towrope.main import main\n"
        f"sys.argv = ['towrope', 'get-token', *{WORDS!r}]\n"
        "try: main()\nexcept SystemExit as end: assert end.code == 0\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    # What measures the coverage of processes imports things of its own at their start.
    plain = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=plain,
    )
    own = {"towrope", "towrope.main", "towrope.client"}
    own |= {"towrope.client.get_token", "towrope.client.token_cache"}
    assert set(done.stderr.split()) - own == {"_blake2"}
    assert json.loads(done.stdout)["kind"] == "ExecCredential"
