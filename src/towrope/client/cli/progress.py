"""What is going on, on stderr: a moving line on a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator

import click


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Gives a function that says what is done next; the step before is done then."""
    if not sys.stderr.isatty():
        yield lambda step: click.echo(f"{step} …", err=True)
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False)
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

    try:
        yield tell
        settle()
    finally:
        status.stop()
