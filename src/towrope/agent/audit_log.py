"""Audit events as JSON lines, on standard output or in a file (0600) that may be moved away.

A thread of its own writes them, so that no stream ever waits for a disk or for a reader: what does
not fit into its queue is dropped, counted, and the count is logged.
"""

import contextlib
import math
import os
import queue
import stat
import threading
import time
from pathlib import Path

import structlog

from towrope.agent import audit
from towrope.agent.audit import AuditEvent
from towrope.wire.errors import Hop, Refused

QUEUE_LIMIT = 10_000
BATCH = 256
TELL_EVERY = 10.0
"""Seconds between two lines about events that were dropped."""
CLOSE_WITHIN = 2.0
STDOUT = 1

_log = structlog.get_logger()


class AuditLog:
    """A sink. `close` it; events after that are dropped."""

    def __init__(self, path: Path | None, *, limit: int = QUEUE_LIMIT) -> None:
        """To standard output without a path. Raises `Refused` where the file cannot be opened."""
        self._path = path
        self._descriptor = STDOUT if path is None else _open(path)
        self._queue: queue.Queue[AuditEvent | None] = queue.Queue(limit)
        self._dropped = 0
        self._told_at = -math.inf
        self._lock = threading.Lock()
        # A daemon: a reader that takes nothing must not keep the program from ending.
        self._writer = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._writer.start()

    @property
    def is_stdout(self) -> bool:
        """Whether nothing else may be written to standard output."""
        return self._path is None

    def __call__(self, event: AuditEvent) -> None:
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._drop(1)

    def close(self, *, within: float = CLOSE_WITHIN) -> None:
        """Writes what waits, as far as that is possible `within`."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=within)
        self._writer.join(within)
        if self._dropped:
            _log.warning("audit events dropped", count=self._dropped)
        if self._path is not None and not self._writer.is_alive():
            os.close(self._descriptor)

    def _drop(self, count: int) -> None:
        with self._lock:
            self._dropped += count
            if time.monotonic() - self._told_at < TELL_EVERY:
                return
            self._told_at = time.monotonic()
            told, self._dropped = self._dropped, 0
        _log.warning("audit events dropped", count=told)

    # In the thread.

    def _write_all(self) -> None:
        while (event := self._queue.get()) is not None:
            events, is_last = [event], False
            while len(events) < BATCH and not is_last:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                is_last = more is None
                if more is not None:
                    events.append(more)
            self._write(events)
            if is_last:
                return

    def _write(self, events: list[AuditEvent]) -> None:
        try:
            data = b"".join([audit.line(event) for event in events])
            self._reopen_if_moved()
            while data:
                data = data[os.write(self._descriptor, data) :]
        except (OSError, Refused, ValueError):
            self._drop(len(events))

    def _reopen_if_moved(self) -> None:
        if self._path is None:
            return
        ours = os.fstat(self._descriptor)
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            there = None
        if there is None or not os.path.samestat(ours, there):
            fresh = _open(self._path)
            os.close(self._descriptor)
            self._descriptor = fresh


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)
    except OSError as error:
        os.close(descriptor)
        raise _unusable(path, error) from None
    return descriptor


def _unusable(path: Path, error: OSError) -> Refused:
    return Refused(
        f"The agent cannot write its audit events to {path}: {error.strerror}. Name another file"
        " with --audit, or 'stdout'.",
        hop=Hop.AGENT,
    )
