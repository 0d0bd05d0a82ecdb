"""The lock that kubectl has too: one holder at a time, and none for ever."""

import os
import threading
import time
from pathlib import Path

import pytest

from towrope.client.file_lock import locked
from towrope.wire.errors import TowropeError


def test_a_second_one_waits_until_the_first_is_done(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with locked(tmp_path / "config"):
            order.append("second")

    with locked(tmp_path / "config"):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_it_is_kubectls_lock(tmp_path: Path) -> None:
    with locked(tmp_path / "config"):
        assert [each.name for each in tmp_path.iterdir()] == ["config.lock"]


def test_says_what_to_do_when_it_is_not_to_be_had(tmp_path: Path) -> None:
    (tmp_path / "config.lock").touch()
    with (
        pytest.raises(TowropeError, match=r"holds .*config\.lock.*delete"),
        locked(tmp_path / "config", within=0.1),
    ):
        pass
    assert (tmp_path / "config.lock").exists()


def test_takes_away_one_that_was_left_behind(tmp_path: Path) -> None:
    lock = tmp_path / "config.lock"
    lock.touch()
    old = time.time() - 60
    os.utime(lock, (old, old))
    with locked(tmp_path / "config", within=5):
        assert lock.exists()
    assert list(tmp_path.iterdir()) == []


def test_is_given_back_when_its_holder_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "config"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
