"""Opening a page in the user's browser, where there is one."""

import contextlib
import os
import subprocess
import sys
import webbrowser
from collections.abc import Iterator


def is_available() -> bool:
    """Whether a page that is opened would be seen by somebody at this machine."""
    has_screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    if sys.platform not in ("win32", "darwin") and not has_screen:
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


@contextlib.contextmanager
def opened(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Opens `url`, by a process of its own: what browsers print is no part of our output."""
    with subprocess.Popen(  # noqa: S603 - the interpreter itself
        [sys.executable, "-m", "webbrowser", url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            # Some browsers hold it until they are closed.
            process.kill()
