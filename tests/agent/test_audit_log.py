"""Audit events on their way to a file or a pipe: never in anybody's way, never silently lost."""

import json
import os
import select
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.agent.test_audit import EVENT
from towrope.agent.audit_log import AuditLog
from towrope.wire.errors import Refused

WITHIN = 10.0


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def streams(path: Path) -> list[str]:
    return [line["stream"] for line in lines(path)]


def test_events_are_appended_to_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.touch(mode=0o644)
    for part in ("a", "b"):
        with closing(AuditLog(path)) as log:
            for n in range(600):
                log(replace(EVENT, stream=f"{part}{n}"))
    assert streams(path) == [f"{part}{n}" for part in "ab" for n in range(600)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert not log.is_stdout


def test_a_file_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    path, moved = tmp_path / "audit.log", tmp_path / "audit.log.1"
    with closing(AuditLog(path)) as log:
        log(replace(EVENT, stream="before"))
        _wait_for(path, "before")
        path.rename(moved)
        log(replace(EVENT, stream="after"))
        _wait_for(path, "after")
        path.rename(tmp_path / "audit.log.2")
        path.touch()
        log(replace(EVENT, stream="last"))
    assert streams(moved) == ["before"]
    assert streams(path) == ["last"]
    assert path.stat().st_mode & 0o777 == 0o600


def _wait_for(path: Path, text: str) -> None:
    """Polls what another thread writes, which offers no event to wait for."""
    deadline = time.monotonic() + WITHIN
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with closing(AuditLog(None)) as log:
        assert log.is_stdout
        log(EVENT)
    assert json.loads(capfd.readouterr().out)["principal"] == "alice"


def test_a_reader_that_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    """What does not fit is dropped, and counted in the log."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with structlog.testing.capture_logs() as logged:
        log = AuditLog(pipe, limit=10)
        for _ in range(3000):
            log(EVENT)
        log.close(within=0.1)
    dropped = [line["count"] for line in logged if line["event"] == "audit events dropped"]
    assert sum(dropped) > 1000
    # The writer ends once somebody reads.
    while select.select([reader], [], [], 0.2)[0] and os.read(reader, 1 << 20):
        pass
    log._writer.join(WITHIN)
    os.close(reader)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "audit.log"):
        with pytest.raises(Refused, match="cannot write its audit events"):
            AuditLog(path)


def test_a_folder_that_vanishes_loses_events_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with (
        structlog.testing.capture_logs() as logged,
        closing(AuditLog(folder / "audit.log")) as log,
    ):
        (folder / "audit.log").unlink()
        folder.rmdir()
        log(EVENT)
    assert {"event": "audit events dropped", "log_level": "warning", "count": 1} in logged
