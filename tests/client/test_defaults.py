"""What is set once for all commands."""

from pathlib import Path

import pytest

from towrope.client import defaults
from towrope.client.token_cache import ENVIRONMENT
from towrope.wire.errors import Malformed, TowropeError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    for key in defaults.KEYS:
        monkeypatch.delenv(defaults.variable(key), raising=False)
    return tmp_path


def test_nothing_is_set_at_first() -> None:
    assert defaults.default(defaults.GROUP) is None


def test_what_is_set_stays_and_others_with_it(folder: Path) -> None:
    defaults.change(lambda kept: {**kept, defaults.GROUP: "shops"})
    defaults.change(lambda kept: {**kept, defaults.LOCATION: "local"})
    assert defaults.default(defaults.GROUP) == "shops"
    assert defaults.load() == {defaults.GROUP: "shops", defaults.LOCATION: "local"}
    assert (folder / defaults.FILE).stat().st_mode & 0o777 == 0o600


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults.change(lambda _: {defaults.GROUP: "shops"})
    monkeypatch.setenv("TOWROPE_DEFAULTS_GROUP", "tills")
    assert defaults.default(defaults.GROUP) == "tills"


@pytest.mark.parametrize("content", ["{", '{"defaults.group": 1}', "\udce4"])
def test_a_damaged_file_is_named(content: str, folder: Path) -> None:
    (folder / defaults.FILE).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(TowropeError, match="damaged"):
        defaults.default(defaults.GROUP)


def test_a_folder_that_cannot_be_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "file"
    file.touch()
    monkeypatch.setenv(ENVIRONMENT, str(file))
    with pytest.raises(TowropeError, match="Cannot read"):
        defaults.load()
    with pytest.raises(TowropeError, match="Cannot write"):
        defaults.change(lambda kept: kept)


def test_only_what_there_is_can_be_set() -> None:
    assert defaults.checked_key(" Defaults.GROUP ") == defaults.GROUP
    with pytest.raises(Malformed, match=r"core\.output, defaults\.group, defaults\.location"):
        defaults.checked_key("defaults.colour")
