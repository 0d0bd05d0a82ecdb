"""What is remembered, and that nobody else reads it."""

import stat
from pathlib import Path

import msgspec
import pytest

from towrope.client.profile import AccessToken, Account, Credential, Folder, Profile
from towrope.wire.errors import TowropeError


def account(name: str = "one", server: str = "https://a.example") -> Account:
    return Account(
        server=server,
        public_url=server,
        tenant_id="t",
        audience=server,
        subscription_id=f"id-{name}",
        subscription_name=name,
        client_id="App",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "config")


def test_everything_comes_back(folder: Folder) -> None:
    one = account()
    folder.save_profile(Profile().with_default(one))
    folder.save_credential(one, Credential(client_secret="s"))
    folder.save_token(one, AccessToken(access_token="t", expires_on=1))
    folder.save_authority(one.server, b"PEM")
    again = Folder(folder.path)
    assert again.load_profile().find() == one
    assert again.load_credential(one) == Credential(client_secret="s")
    assert again.load_token(one) == AccessToken(access_token="t", expires_on=1)
    assert again.load_authority(one.server) == b"PEM"


def test_nothing_is_there_at_first(folder: Folder) -> None:
    assert folder.load_profile().find() is None
    assert folder.load_credential(account()) is None
    assert folder.load_authority("https://a.example") is None
    folder.forget_secrets(account())


def test_only_the_owner_reads_it(folder: Folder) -> None:
    one = account()
    folder.save_profile(Profile().with_default(one))
    folder.save_credential(one, Credential(client_secret="s"))
    folder.save_token(one, AccessToken(access_token="t", expires_on=1))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.path.rglob("*.json")}
    assert modes == {0o600}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_secrets_are_apart_from_the_profile_and_from_each_other(folder: Folder) -> None:
    here, there = account(server="https://a.example"), account(server="https://b.example")
    folder.save_credential(here, Credential(client_secret="s"))
    assert folder.load_credential(there) is None


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(Credential(client_secret="s3cret"))
    assert "s3cret" not in repr(AccessToken(access_token="s3cret", expires_on=1))


def test_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWROPE_CONFIG_DIR", str(tmp_path / "named"))
    assert Folder().path == tmp_path / "named"
    monkeypatch.delenv("TOWROPE_CONFIG_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Folder().path == tmp_path / ".towrope"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"accounts": 1}', b"\xff"])
def test_damaged_file_is_named(content: bytes, folder: Folder) -> None:
    folder.path.mkdir()
    (folder.path / "profile.json").write_bytes(content)
    with pytest.raises(TowropeError, match=r"profile\.json is damaged"):
        folder.load_profile()


def test_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = Folder(tmp_path / "file")
    with pytest.raises(TowropeError, match="TOWROPE_CONFIG_DIR"):
        folder.save_profile(Profile())
    with pytest.raises(TowropeError, match="TOWROPE_CONFIG_DIR"):
        folder.load_profile()


def test_last_sign_in_is_the_default() -> None:
    profile = Profile().with_default(account("one")).with_default(account("two"))
    assert profile.find() == account("two")
    assert profile.find("ONE") == account("one")
    assert profile.find("id-one") == account("one")
    assert profile.find("three") is None


def test_signing_in_again_replaces_the_account() -> None:
    other = msgspec.structs.replace(account("one"), client_id="Other")
    assert Profile().with_default(account("one")).with_default(other).accounts == (other,)


def test_another_account_becomes_the_default() -> None:
    profile = Profile().with_default(account("one")).with_default(account("two"))
    assert profile.without(account("two")).find() == account("one")
    assert profile.without(account("one")).find() == account("two")
    assert profile.without(account("two")).without(account("one")) == Profile()
