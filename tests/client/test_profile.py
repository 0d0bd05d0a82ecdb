"""What is remembered, and that nobody else reads it."""

import stat
import threading
from pathlib import Path

import msgspec
import pytest

from towrope.client import token_cache
from towrope.client.profile import Account, Cloud, ExternalIssuer, Folder, Profile
from towrope.client.secret_store import Credential
from towrope.wire.errors import TowropeError

ISSUER = ExternalIssuer(
    name="contoso", kind="oidc", issuer="https://c.example", client_id="c", audience="c"
)


def account(name: str = "one", server: str = "https://a.example", user: str = "") -> Account:
    return Account(
        server=server,
        public_url=server,
        tenant_id="t",
        audience=server,
        subscription_id=f"id-{name}",
        subscription_name=name,
        client_id="App",
        user=user,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "config")


def fill(folder: Folder, one: Account) -> None:
    folder.save_profile(Profile().with_default(one))
    folder.save_credential(one, Credential(client_secret="s"))
    token_cache.write(folder.token_path(one, "scope"), "t", 1)


def test_everything_comes_back(folder: Folder) -> None:
    one = account()
    fill(folder, one)
    folder.save_authority(one.server, b"PEM")
    again = Folder(folder.path)
    assert again.load_profile().find() == one
    assert again.load_credential(one) == Credential(client_secret="s")
    assert token_cache.read(again.token_path(one, "scope")) == ("t", 1)
    assert again.load_authority(one.server) == b"PEM"


def test_nothing_is_there_at_first(folder: Folder) -> None:
    assert folder.load_profile().find() is None
    assert folder.load_credential(account()) is None
    assert folder.load_authority("https://a.example") is None
    folder.forget_secrets(account())


def test_only_the_owner_reads_it(folder: Folder) -> None:
    fill(folder, account())
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_secrets_are_apart_from_the_profile_and_from_each_other(folder: Folder) -> None:
    here, there = account(server="https://a.example"), account(server="https://b.example")
    somebody = account(user="alice")
    folder.save_credential(here, Credential(client_secret="s"))
    assert folder.load_credential(there) is None
    assert folder.load_credential(somebody) is None
    assert b'"s"' not in msgspec.json.encode(Profile().with_default(here))


def test_forgotten_secrets_leave_those_of_others(folder: Folder) -> None:
    one, other = account(), account(user="alice")
    for each in (one, other):
        folder.save_credential(each, Credential(client_secret="s"))
        token_cache.write(folder.token_path(each, "scope"), "t", 1)
    folder.forget_secrets(one)
    assert folder.load_credential(one) is None
    assert token_cache.read(folder.token_path(one, "scope")) is None
    assert folder.load_credential(other) is not None
    assert token_cache.read(folder.token_path(other, "scope")) == ("t", 1)


def test_same_user_of_two_issuers_is_two_principals() -> None:
    own = account(user="alice")
    external = msgspec.structs.replace(own, issuer=ISSUER)
    assert own.principal != external.principal
    assert own.principal == msgspec.structs.replace(own, user="Alice").principal
    assert Profile().with_default(own).with_default(external).accounts == (own, external)


def test_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWROPE_CONFIG_DIR", str(tmp_path / "named"))
    assert Folder().path == tmp_path / "named"
    monkeypatch.delenv("TOWROPE_CONFIG_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Folder().path == tmp_path / ".towrope"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"accounts": 1}', b"\xff", b'"\xff"'])
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
        folder.change_profile(lambda profile: profile)
    with pytest.raises(TowropeError, match="TOWROPE_CONFIG_DIR"):
        folder.save_credential(account(), Credential(client_secret="s"))
    with pytest.raises(TowropeError, match="TOWROPE_CONFIG_DIR"):
        folder.load_profile()


def test_changes_side_by_side_are_all_kept(folder: Folder) -> None:
    def add(name: str) -> None:
        folder.change_profile(lambda profile: profile.with_default(account(name)))

    threads = [threading.Thread(target=add, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folder.load_profile().accounts) == 8


def test_last_sign_in_is_the_default() -> None:
    profile = Profile().with_default(account("one")).with_default(account("two"))
    assert profile.find() == account("two")
    assert profile.find("ONE") == account("one")
    assert profile.find("id-one") == account("one")
    assert profile.find("three") is None


def test_account_is_found_by_its_user() -> None:
    alice, bob = account(user="alice@a.example"), account(user="bob@a.example")
    profile = Profile().with_default(alice).with_default(bob)
    assert profile.find() == bob
    assert profile.find(user="ALICE@a.example") == alice
    assert profile.find("one", "alice@a.example") == alice
    assert profile.find("two", "alice@a.example") is None


def test_signing_in_again_replaces_the_account() -> None:
    other = msgspec.structs.replace(account("one"), tenant_id="another")
    assert Profile().with_default(account("one")).with_default(other).accounts == (other,)


def test_another_account_becomes_the_default() -> None:
    profile = Profile().with_default(account("one")).with_default(account("two"))
    assert profile.without(account("two")).find() == account("one")
    assert profile.without(account("one")).find() == account("two")
    assert profile.without(account("two")).without(account("one")) == Profile()


def test_the_server_in_use_comes_first() -> None:
    here, there = account(), account(server="https://b.example")
    profile = Profile().with_default(there).with_default(here)
    assert profile.find("one") == here
    elsewhere = msgspec.structs.replace(profile, server="https://b.example")
    assert elsewhere.find() == there
    assert elsewhere.find("one") == there
    nowhere = msgspec.structs.replace(profile, server="https://c.example")
    assert nowhere.find() is None
    assert nowhere.find("one") == here
    assert profile.without(here).find() == there


def test_named_server_stays_in_use_without_an_account() -> None:
    cloud = Cloud(name="Work", server="https://a.example")
    profile = Profile(clouds=(cloud,)).with_default(account()).without(account())
    assert profile.server == "https://a.example"
    assert profile.cloud("WORK") == cloud
    assert profile.cloud_of("https://a.example") == cloud
    assert profile.cloud("home") is None
