"""Steps, and what is waited for."""

import io
import threading
from contextlib import redirect_stderr
from typing import NoReturn

import pytest

from tests.fixtures.installation import until
from towrope.client.cli import progress as module
from towrope.client.cli.progress import progress, waiting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def kind_of_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def test_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as tell:
        tell("One")
        tell("Two")
    said = capsys.readouterr()
    assert said.err == "One …\nTwo …\n"
    assert said.out == ""


def test_steps_that_are_done_stay_on_a_terminal() -> None:
    with redirect_stderr(Terminal()) as terminal, progress() as tell:
        tell("One")
        tell("Two")
    said = terminal.getvalue()
    assert said.index("✓ One") < said.index("✓ Two")


def test_a_long_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAID_AFTER", 0.0)
    with redirect_stderr(Terminal()) as terminal, waiting("Waiting for the server"):
        shown = "Waiting for the server …"
        until(lambda: shown in terminal.getvalue(), within=30, described="it is told")


def test_a_short_wait_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAID_AFTER", 3600.0)
    with redirect_stderr(Terminal()) as terminal, waiting("Waiting for the server"):
        pass
    assert terminal.getvalue() == ""


@pytest.fixture
def no_wait_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(*_: object) -> NoReturn:
        raise AssertionError("somebody is to be told")

    monkeypatch.setattr(threading, "Timer", begin)


@pytest.mark.usefixtures("no_wait_begins")
def test_steps_are_not_written_over() -> None:
    with redirect_stderr(Terminal()) as terminal, progress() as tell:
        tell("One")
        with waiting("Waiting for the server"):
            pass
    assert "One" in terminal.getvalue()


@pytest.mark.usefixtures("no_wait_begins")
def test_nothing_is_told_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("Waiting for the server"):
        pass
    assert capsys.readouterr().err == ""
