"""Whether there is a browser, and that what it prints stays out of our output."""

import sys
import webbrowser
from pathlib import Path

import pytest

from towrope.client.oauth import browser

SCREEN = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@pytest.fixture
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SCREEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.mark.usefixtures("headless")
def test_no_screen_is_no_browser() -> None:
    assert not browser.is_available()


@pytest.mark.usefixtures("headless")
@pytest.mark.parametrize("name", SCREEN)
def test_screen_or_named_browser(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, ":0")
    monkeypatch.setattr(webbrowser, "get", lambda: None)
    assert browser.is_available()


@pytest.mark.usefixtures("headless")
def test_screen_without_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise webbrowser.Error

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "get", none)
    assert not browser.is_available()


def test_others_have_a_screen(headless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(webbrowser, "get", lambda: None)
    assert browser.is_available()


def test_page_is_opened_and_its_noise_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    opened = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(
        f'#!/bin/sh\necho noise\necho "$1" > {opened}.part\nmv {opened}.part {opened}\n'
    )
    script.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    with browser.opened("https://a.example/?a=b&c=d") as process:
        assert process.wait(20) == 0
    assert opened.read_text() == "https://a.example/?a=b&c=d\n"
    assert capfd.readouterr().out == ""


def test_browser_that_does_not_end_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "browser"
    script.write_text("#!/bin/sh\nexec sleep 5\n")
    script.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    with browser.opened("https://a.example") as process:
        pass
    assert process.returncode is not None
