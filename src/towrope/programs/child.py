"""A program that another one runs: started, awaited until it says that it is ready, and stopped.

Its output goes to a log file, so that the last lines can be shown when it fails.
"""

import contextlib
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

STOP_WITHIN = 15.0


class ChildFailed(Exception):
    """A program ended, or did not become ready; the message holds the end of its log."""


class Child:
    """A running program. `ready_line` is the line that said so."""

    def __init__(
        self, command: Sequence[str], *, name: str, log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.ready_line = ""
        self._log = log
        self._ready = threading.Event()
        self._is_ready = False
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                # Ctrl-C in a terminal is for the program that runs this one; it ends it in order.
                start_new_session=True,
            )

    def wait_until_ready(self, sign: str, *, within: float) -> None:
        """Waits for a line on stdout that holds `sign`. Raises `ChildFailed`."""
        assert self._process.stdout is not None
        reader = threading.Thread(target=self._read, args=(self._process.stdout, sign), daemon=True)
        reader.start()
        if not self._ready.wait(within):
            raise ChildFailed(
                f"{self.name} did not become ready within {within:g} s.{self._tail()}"
            )
        if not self._is_ready:
            code = self._process.wait()
            raise ChildFailed(f"{self.name} ended with exit code {code}.{self._tail()}")

    def _read(self, stdout: IO[bytes], sign: str) -> None:
        with self._log.open("ab") as log:
            for raw in stdout:
                log.write(raw)
                log.flush()
                line = raw.decode(errors="replace").rstrip()
                if not self._is_ready and sign in line:
                    self.ready_line = line
                    self._is_ready = True
                    self._ready.set()
        self._ready.set()

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").splitlines()[-8:]
            return "".join(f"\n    {line}" for line in lines)
        return ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        """Asks the program to end, and ends it when it does not."""
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
