"""What is going on, on stderr: a moving line on a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator

import click


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Gives a function that says what is done next."""
    if not sys.stderr.isatty():
        yield lambda step: click.echo(f"{step} …", err=True)
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False)
    done: list[str] = []
    with console.status("") as status:

        def tell(step: str) -> None:
            if done:
                console.print(f"✓ {done[-1]}")
            done.append(step)
            status.update(f"{step} …")

        yield tell
        if done:
            console.print(f"✓ {done[-1]}")
