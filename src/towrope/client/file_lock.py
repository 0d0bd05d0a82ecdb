"""A lock between processes, as kubectl has it: `<file>.lock`, made only where there is none.

It needs no call that only some systems have, and a `kubectl config` command that changes the same
file is kept out by it too. It is held for milliseconds; one left behind by a crash is taken away.
"""

import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from towrope.ops.files import make_private_folder
from towrope.wire.errors import Hop, TowropeError

STALE_AFTER = 10.0
"""Seconds; nobody holds the lock for longer."""
WAIT = 20.0
POLL_EVERY = 0.02

_rng = random.SystemRandom()


@contextlib.contextmanager
def locked(path: Path, *, within: float = WAIT, stale_after: float = STALE_AFTER) -> Iterator[None]:
    """Keeps other processes that lock `path` out. `path` itself is not touched.

    Raises `TowropeError` where the lock is not had `within` seconds, and `OSError` where the folder
    takes no file.
    """
    lock = path.with_name(path.name + ".lock")
    make_private_folder(lock.parent)
    _take(lock, deadline=time.monotonic() + within, stale_after=stale_after)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()


def _take(lock: Path, *, deadline: float, stale_after: float) -> None:
    while True:
        try:
            os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            _clear_stale(lock, stale_after)
        except PermissionError:
            # Windows says this of a lock whose holder is just deleting it.
            if os.name != "nt":
                raise
        else:
            return
        if time.monotonic() >= deadline:
            raise TowropeError(
                f"Another process holds {lock}. If there is none, delete that file.",
                hop=Hop.CLIENT,
            )
        time.sleep(POLL_EVERY * (0.5 + _rng.random()))


def _clear_stale(lock: Path, stale_after: float) -> None:
    with contextlib.suppress(OSError):
        seen = lock.stat()
        if time.time() - seen.st_mtime < stale_after:
            return
        # Moved aside first: of two processes that see the same stale lock, one has it to delete.
        aside = lock.with_name(f"{lock.name}.{os.getpid()}.{_rng.getrandbits(32):08x}")
        lock.rename(aside)
        if aside.stat().st_mtime_ns == seen.st_mtime_ns:
            aside.unlink()
        else:
            aside.replace(lock)
