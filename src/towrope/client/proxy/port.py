"""The local proxy's port: taken for this process, or found to be taken by another.

Who has a port says so in `<port>.json` in the client's folder, before anybody can connect to it.
"""

import contextlib
import errno
import os
import secrets
import socket
from http import HTTPStatus
from pathlib import Path

import msgspec
import psutil

from towrope.client.file_lock import locked
from towrope.ops.files import write_private
from towrope.wire.errors import Hop, TowropeError

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 47011
BACKLOG = 256


class PortInUse(TowropeError):
    """Somebody else has the port, and is no proxy that could be joined."""

    status = HTTPStatus.CONFLICT


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a port's owner says about itself to the other processes of its user."""

    pid: int
    port: int
    secret: str

    def __repr__(self) -> str:
        return f"Record(pid={self.pid}, port={self.port})"


class Owned:
    """A port that this process has, and its record."""

    def __init__(self, sock: socket.socket, record: Record, path: Path) -> None:
        self.sock = sock
        self.record = record
        self._path = path

    def withdraw(self) -> None:
        """Removes the record, if it is still this process's."""
        with contextlib.suppress(OSError, TowropeError), locked(self._path):
            if _read(self._path) == self.record:
                self._path.unlink()


def claim(port: int, folder: Path) -> Owned | Record | None:
    """Takes `port` (0: any that is free), or says whose it is; None: nobody's that says so.

    Raises `TowropeError` where it can be neither taken nor looked up. It may wait for another
    process that does the same.
    """
    try:
        with locked(_path(folder, port)):
            try:
                sock = listen(port)
            except OSError as error:
                # Windows says EACCES of a port that somebody has for himself alone.
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                return _read(_path(folder, port))
            return _own(sock, folder)
    except OSError as error:
        raise TowropeError(
            f"Cannot listen on port {port}: {error.strerror}. Select another with --port option.",
            hop=Hop.PROXY,
        ) from None


def _own(sock: socket.socket, folder: Path) -> Owned:
    port = sock.getsockname()[1]
    record = Record(pid=os.getpid(), port=port, secret=secrets.token_urlsafe(32))
    path = _path(folder, port)
    try:
        write_private(path, msgspec.json.encode(record))
    except OSError:
        sock.close()
        raise
    return Owned(sock, record, path)


def listen(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1, so that a second one on the same port fails."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Elsewhere SO_REUSEADDR means only that a port just left can be had again.
        exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
        sock.setsockopt(socket.SOL_SOCKET, exclusive or socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((LOOPBACK, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def port_in_use(port: int) -> PortInUse:
    """The error for a port that a stranger has; it names the process if the system lets us."""
    holder = _holder(port)
    by = f" by {holder}" if holder else ""
    return PortInUse(
        f"Port {port} is already in use{by}. Please select a different port with --port option.",
        hop=Hop.PROXY,
    )


def _holder(port: int) -> str | None:
    with contextlib.suppress(psutil.Error, OSError, RuntimeError):
        for connection in psutil.net_connections(kind="tcp"):
            is_listening = connection.status == psutil.CONN_LISTEN
            if is_listening and connection.pid and connection.laddr[1:] == (port,):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None


def _path(folder: Path, port: int) -> Path:
    return folder / f"{port}.json"


def _read(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None
