"""How a program is told to stop: Ctrl-C, a closed terminal, `kill`; on every system."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Not every system has each."""


@contextlib.contextmanager
def stop_signal() -> Iterator[asyncio.Event]:
    """An event that is set by the first such signal, in place of what the signal would do."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    with contextlib.ExitStack() as undo:
        for name in NAMES:
            number = getattr(signal, name, None)
            # A signal that is ignored (nohup) stays ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                undo.callback(_handle(loop, number, stopped.set))
        yield stopped


def _handle(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, stop: Callable[[], None]
) -> Callable[[], object]:
    """Installs a handler; returns what removes it."""
    before = signal.getsignal(number)
    try:
        loop.add_signal_handler(number, stop)
    except NotImplementedError:  # Windows

        def handler(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(stop)

        signal.signal(number, handler)

    def restore() -> None:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(number)
        signal.signal(number, before)

    return restore
