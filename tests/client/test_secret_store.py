"""Secrets are in a keyring that works, else in a private file; never in one that does not."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.backends.chainer import ChainerBackend

from towrope.client import secret_store
from towrope.client.secret_store import Credential, SecretStore

SECRET = Credential(refresh_token="s3cret")


class System(KeyringBackend):
    """A system's keyring, in memory."""

    priority: ClassVar[float] = 5

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        del self.kept[service, username]

    def _check(self) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")


class Plain(System):
    """As backends that write plain text: usable, not recommended."""

    priority: ClassVar[float] = 0.5


class Forgetful(System):
    def get_password(self, service: str, username: str) -> str | None:
        return None


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    monkeypatch.delenv(secret_store.SWITCH, raising=False)
    before = keyring.core._keyring_backend
    made = System()
    keyring.set_keyring(made)
    yield made
    keyring.core._keyring_backend = before


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    return SecretStore(tmp_path / "credentials")


def on_disk(store: SecretStore) -> bytes:
    return b"".join(path.read_bytes() for path in store._folder.iterdir())


def test_keyring_keeps_it(system: System, store: SecretStore) -> None:
    store.save("alice", SECRET)
    assert store.load("alice") == SECRET
    assert b"s3cret" not in on_disk(store)
    (text,) = system.kept.values()
    assert "s3cret" in text
    assert store.load("bob") is None
    store.forget("alice")
    assert system.kept == {}
    assert store.load("alice") is None


def test_folders_do_not_share_entries(system: System, store: SecretStore, tmp_path: Path) -> None:
    store.save("alice", SECRET)
    other = SecretStore(tmp_path / "other")
    other.save("alice", Credential(client_secret="x"))
    assert store.load("alice") == SECRET
    assert len(system.kept) == 2


@pytest.mark.parametrize("backend", [Plain, Forgetful, fail.Keyring, null.Keyring])
def test_keyring_that_is_none(
    backend: type[KeyringBackend], system: System, store: SecretStore
) -> None:
    made = backend()
    keyring.set_keyring(made)
    store.save("alice", SECRET)
    assert store.load("alice") == SECRET
    assert b"s3cret" in on_disk(store)
    (file,) = store._folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    if isinstance(made, Plain):
        assert made.kept == {}


def test_several_keyrings_are_not_fallen_through(
    system: System, store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first is locked, the next could write plain text."""
    plain = Plain()
    monkeypatch.setattr(ChainerBackend, "backends", [system, plain])
    chainer: Any = ChainerBackend
    keyring.set_keyring(chainer())
    store.save("alice", SECRET)
    assert len(system.kept) == 1
    system.locked = True
    store.save("bob", SECRET)
    assert plain.kept == {}
    assert b"s3cret" in on_disk(store)


def test_locked_keyring(system: System, store: SecretStore) -> None:
    store.save("alice", SECRET)
    system.locked = True
    assert store.load("alice") is None
    store.save("alice", SECRET)
    assert store.load("alice") == SECRET
    store.save("bob", SECRET)
    store.forget("bob")
    assert store.load("bob") is None


def test_secret_that_moves_to_a_file_leaves_the_keyring(
    system: System, store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("alice", SECRET)
    monkeypatch.setattr(System, "set_password", fail.Keyring.set_password)
    store.save("alice", SECRET)
    assert system.kept == {}
    assert store.load("alice") == SECRET


def test_secret_that_moves_to_the_keyring_leaves_the_file(
    system: System, store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(secret_store.SWITCH, "off")
    store.save("alice", SECRET)
    assert system.kept == {}
    monkeypatch.delenv(secret_store.SWITCH)
    store.save("alice", SECRET)
    assert b"s3cret" not in on_disk(store)
    assert store.load("alice") == SECRET


def test_without_the_extra(store: SecretStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(secret_store.SWITCH, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    store.save("alice", SECRET)
    assert store.load("alice") == SECRET
    assert b"s3cret" in on_disk(store)


def test_secret_in_a_file_loads_no_keyring(
    store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(secret_store.SWITCH, "off")
    store.save("alice", SECRET)

    def touched() -> None:
        raise AssertionError("the keyring was loaded")

    monkeypatch.setattr(secret_store, "_backend", touched)
    assert store.load("alice") == SECRET
    store.forget("alice")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"credential": 1}', b'{"credential": "\xff"}']
)
def test_damaged_file_is_no_secret(content: bytes, store: SecretStore) -> None:
    store.save("alice", SECRET)
    (file,) = store._folder.iterdir()
    file.write_bytes(content)
    assert store.load("alice") is None
    store.forget("alice")
    assert not file.exists()


def test_damaged_entry_is_no_secret(system: System, store: SecretStore) -> None:
    store.save("alice", SECRET)
    for entry in system.kept:
        system.kept[entry] = "{"
    assert store.load("alice") is None


def test_secret_is_not_shown() -> None:
    assert "s3cret" not in repr(SECRET)
