"""Finding the cluster that a kubeconfig means. What a cluster says is tested by `connect`."""

import json
import os
from pathlib import Path

import pytest

from towrope.client.kubernetes import find_target
from towrope.wire.errors import NotFound, TowropeError


def write(path: Path, *contexts: str, current: str | None = None) -> Path:
    document: dict[str, object] = {
        "clusters": [{"name": c, "cluster": {"server": f"https://{c}.example"}} for c in contexts],
        "contexts": [{"name": c, "context": {"cluster": c, "user": "u"}} for c in contexts],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    if current is not None:
        document["current-context"] = current
    path.write_text(json.dumps(document))
    return path


def test_current_context(tmp_path: Path) -> None:
    target = find_target(write(tmp_path / "config", "a", "b", current="b"), None)
    assert (target.context, target.server) == ("b", "https://b.example")


def test_named_context(tmp_path: Path) -> None:
    assert find_target(write(tmp_path / "config", "a", "b", current="b"), "a").context == "a"


def test_home_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube" / "config", "a", current="a")
    assert find_target(None, None).context == "a"


def test_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is missing is passed over, and the first that has the context is it."""
    paths = [
        tmp_path / "missing",
        write(tmp_path / "one", "a"),
        write(tmp_path / "two", "a", "b", current="b"),
    ]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))
    assert find_target(None, None).path == paths[2]
    assert find_target(None, "a").path == paths[1]
    with pytest.raises(NotFound, match="no context 'c'"):
        find_target(None, "c")


def test_nothing_is_current(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no current context"):
        find_target(write(tmp_path / "config", "a"), None)


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(TowropeError, match="Cannot read the kubeconfig"):
        find_target(tmp_path, None)


@pytest.mark.parametrize("text", ["\t", "a: &x [*x", "a: b: c", "\x00", "'"])
def test_no_yaml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(TowropeError, match=r"is broken|no current context"):
        find_target(path, None)


def test_odd_entries_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "a", current="a")
    document = json.loads(path.read_text())
    document["contexts"][:0] = [1, {"name": "x"}, {"name": "y", "context": None}]
    path.write_text(json.dumps(document))
    assert find_target(path, None).context == "a"
