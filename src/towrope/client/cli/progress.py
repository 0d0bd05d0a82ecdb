"""What is going on, on stderr: a moving line on a terminal, plain lines elsewhere."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import click

SAID_AFTER = 1.0
"""Seconds for which nobody wonders what is going on."""

_moving = threading.Lock()
"""Held by whoever has a moving line: two would write over each other."""


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Gives a function that says what is done next; the step before is done then."""
    if not sys.stderr.isatty():
        yield lambda step: click.echo(f"{step} …", err=True)
        return
    console = _console()
    status = console.status("")
    steps: list[str] = []

    def settle() -> None:
        status.stop()  # before the next line, or its last frame could stay beside it
        if steps:
            console.print(f"✓ {steps[-1]}")

    def tell(step: str) -> None:
        settle()
        steps.append(step)
        status.update(f"{step} …")
        status.start()

    with _moving:
        try:
            yield tell
            settle()
        finally:
            status.stop()


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says on a terminal what is waited for, if that takes its time and nothing else says it."""
    if not sys.stderr.isatty() or not _moving.acquire(blocking=False):
        yield
        return
    shown: list[Any] = []

    def show() -> None:
        status = _console().status(f"{what} …")
        shown.append(status)
        status.start()

    timer = threading.Timer(SAID_AFTER, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for status in shown:
            status.stop()
        _moving.release()


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)
