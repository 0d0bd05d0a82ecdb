"""Files that hold secrets or that others read while we write: private, and replaced in one step."""

import contextlib
import os
import secrets
from pathlib import Path


def write_private(path: Path, content: bytes | str) -> None:
    """Writes `path` so that only its owner reads it (0600), and no reader ever sees half of it.

    A symbolic link is followed, so that a link that the user made stays one.
    """
    target = path.resolve() if path.is_symlink() else path
    make_private_folder(target.parent)
    data = content.encode() if isinstance(content, str) else content
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise


def make_private_folder(path: Path) -> None:
    """Makes a folder and its parents that only its owner enters; one that is there stays."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
