"""What an account signs in with again: a refresh token, a secret, or a private key.

It is in the system's keyring where the extra `keyring` is installed and the keyring works, else in
a file that only its owner reads. The file is there in both cases, and says which it is, so that
reading a file never loads a keyring. What cannot be read is gone: the user signs in again.
"""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from towrope.ops.files import write_private

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "towrope"
SWITCH = "TOWROPE_KEYRING"
"""`off` keeps secrets in files."""
RECOMMENDED = 1
"""keyring's own threshold: what is below it fails always, or writes plain text."""

_log = structlog.get_logger()


class Credential(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One of its members says who it is."""

    refresh_token: str = ""
    client_secret: str = ""
    certificate: str = ""
    """PEM: a private key, and the certificate for it."""

    def __repr__(self) -> str:
        return "Credential(…)"


class _Kept(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the file holds."""

    credential: Credential | None = None
    is_in_keyring: bool = False


class SecretStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> Credential | None:
        kept = self._kept(name)
        if kept is None or not kept.is_in_keyring:
            return kept.credential if kept else None
        text = _from_keyring(self._entry(name))
        try:
            return msgspec.json.decode(text, type=Credential) if text else None
        except msgspec.DecodeError:
            return None

    def save(self, name: str, credential: Credential) -> None:
        """Raises `OSError` where the folder takes no file."""
        text = msgspec.json.encode(credential).decode()
        was_in_keyring = self._is_in_keyring(name)
        if _into_keyring(self._entry(name), text):
            self._write(name, _Kept(is_in_keyring=True))
            return
        self._write(name, _Kept(credential=credential))
        if was_in_keyring:
            _out_of_keyring(self._entry(name))

    def forget(self, name: str) -> None:
        if self._is_in_keyring(name):
            _out_of_keyring(self._entry(name))
        with contextlib.suppress(FileNotFoundError):
            self._path(name).unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _entry(self, name: str) -> str:
        # Two folders of one user are two users of one keyring.
        return f"{self._folder.absolute()}/{name}"

    def _write(self, name: str, kept: _Kept) -> None:
        write_private(self._path(name), msgspec.json.encode(kept))

    def _kept(self, name: str) -> _Kept | None:
        try:
            return msgspec.json.decode(self._path(name).read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _is_in_keyring(self, name: str) -> bool:
        kept = self._kept(name)
        return kept is not None and kept.is_in_keyring


def _backend() -> "KeyringBackend | None":
    """The system's keyring, if there is one that keeps secrets; None: use files."""
    if os.environ.get(SWITCH, "").lower() == "off":
        return None
    try:
        import keyring
        from keyring.backends.chainer import ChainerBackend

        found: Any = keyring.get_keyring()
        if isinstance(found, ChainerBackend):
            # It would go on to the next, which may write plain text, where the first fails.
            found = found.backends[0]
        return found if found.priority >= RECOMMENDED else None
    except Exception as error:  # whatever a system's own library may raise
        _log.debug("no keyring", reason=type(error).__name__)
        return None


def _into_keyring(entry: str, text: str) -> bool:
    """Whether the keyring took it, and gives it back."""
    backend = _backend()
    if backend is None:
        return False
    try:
        backend.set_password(SERVICE, entry, text)
        return backend.get_password(SERVICE, entry) == text
    except Exception as error:  # locked, full, too long for it, or gone
        _log.debug("keyring refused", reason=type(error).__name__)
        return False


def _from_keyring(entry: str) -> str | None:
    backend = _backend()
    try:
        return backend.get_password(SERVICE, entry) if backend else None
    except Exception as error:
        _log.debug("keyring refused", reason=type(error).__name__)
        return None


def _out_of_keyring(entry: str) -> None:
    backend = _backend()
    # Whoever removes a secret is not stopped by a keyring that lost it already.
    with contextlib.suppress(Exception):
        if backend:
            backend.delete_password(SERVICE, entry)
