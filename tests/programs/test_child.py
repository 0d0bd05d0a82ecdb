import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from towrope.programs.child import Child, ChildFailed


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(script: str, folder: Path, undo: ExitStack) -> Child:
    log = folder / "child.log"
    child = Child([sys.executable, "-c", script], name="It", log=log, environment=dict(os.environ))
    undo.callback(child.stop)
    return child


def test_it_is_ready_when_it_says_so(tmp_path: Path, undo: ExitStack) -> None:
    script = "import time; print('hello'); print('ready at=7', flush=True); time.sleep(60)"
    child = start(script, tmp_path, undo)
    child.wait_until_ready("ready", within=20)
    assert child.ready_line == "ready at=7"
    assert not child.has_ended()


def test_one_that_ends_too_early_shows_its_last_words(tmp_path: Path, undo: ExitStack) -> None:
    child = start("import sys; sys.exit('the port is busy')", tmp_path, undo)
    with pytest.raises(ChildFailed, match=r"(?s)exit code 1.*the port is busy"):
        child.wait_until_ready("ready", within=20)
    assert child.has_ended()


def test_one_that_never_is_ready(tmp_path: Path, undo: ExitStack) -> None:
    child = start("import time; time.sleep(60)", tmp_path, undo)
    with pytest.raises(ChildFailed, match="did not become ready"):
        child.wait_until_ready("ready", within=0.2)


def test_one_that_does_not_want_to_end_is_ended(
    tmp_path: Path, undo: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towrope.programs.child.STOP_WITHIN", 0.2)
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True)"
    child = start(script + "; time.sleep(60)", tmp_path, undo)
    child.wait_until_ready("ready", within=20)
    child.stop()
    assert child.has_ended()
