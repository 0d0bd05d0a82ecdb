"""The state folder of a server: its ids, its secrets, its certificate, its lock.

What is missing is made; what is there stays. Every file is its owner's alone.
"""

import os
import secrets
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from towrope.ops.files import make_private_folder, write_private
from towrope.wire.errors import Hop, TowropeError, foreign

MASTER_BYTES = 32


class _Ids(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    subscription: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    folder: Path
    tenant: str
    subscription: str
    master: bytes = field(repr=False)

    @property
    def database_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.folder / 'towrope.db'}"

    @property
    def signing_keys_folder(self) -> Path:
        return self.folder / "signing-keys"

    @property
    def tls_folder(self) -> Path:
        return self.folder / "tls"


@contextmanager
def opened(folder: Path) -> Iterator[Installation]:
    """The installation in `folder`, locked: raises `TowropeError` where another process has it."""
    try:
        make_private_folder(folder)
        lock = _lock(folder / "lock")
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        yield _load(folder)
    finally:
        os.close(lock)


def _load(folder: Path) -> Installation:
    try:
        ids = msgspec.json.decode(_kept(folder / "ids.json", _new_ids), type=_Ids)
        master = _kept(folder / "master.key", lambda: secrets.token_bytes(MASTER_BYTES))
    except OSError as error:
        raise _unusable(folder, error) from None
    except ValueError as error:
        raise TowropeError(
            f"A file in the state folder '{folder}' is damaged ({type(error).__name__}). Restore"
            " the folder from a backup, or start with another one.",
            hop=Hop.SERVER,
        ) from None
    if len(master) != MASTER_BYTES:
        raise TowropeError(
            f"'{folder / 'master.key'}' must have {MASTER_BYTES} bytes, but has {len(master)}.",
            hop=Hop.SERVER,
        )
    return Installation(
        folder=folder,
        tenant=ids.tenant,
        subscription=ids.subscription,
        master=master,
    )


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file holds; made and kept if it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        content = make()
        write_private(path, content)
        return content


def _new_ids() -> bytes:
    return msgspec.json.encode(_Ids(tenant=str(uuid.uuid4()), subscription=str(uuid.uuid4())))


def _lock(path: Path) -> int:
    """Holds the file until the descriptor is closed, or the process ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise TowropeError(
            f"Another server uses the state folder '{path.parent}'. Stop it, or give this one"
            " another folder with --state-dir.",
            hop=Hop.SERVER,
        ) from None
    return descriptor


def _unusable(folder: Path, error: OSError) -> TowropeError:
    return TowropeError(
        f"The state folder '{folder}' cannot be used: {foreign(error.strerror or str(error))}.",
        hop=Hop.SERVER,
    )
