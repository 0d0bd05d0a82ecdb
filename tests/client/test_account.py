"""Addresses of servers, and access tokens that are kept while they are good."""

import time
from pathlib import Path

import msgspec
import pytest

from tests.client.conftest import Answer, Scripted
from tests.client.test_profile import account as an_account
from towrope.client.account import AccessTokens, discover, normalize_server
from towrope.client.profile import AccessToken, Account, Credential, Folder
from towrope.client.rest import Rest
from towrope.wire.errors import Malformed, Refused, Unauthenticated

GRANT = {"access_token": "fresh", "expires_in": 3600, "token_type": "Bearer"}


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ("https://a.example", "https://a.example"),
        (" https://A.example/ ", "https://a.example"),
        ("a.example", "https://a.example"),
        ("a.example:8443", "https://a.example:8443"),
        ("https://a.example:443", "https://a.example"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
    ],
)
def test_addresses(given: str, server: str) -> None:
    assert normalize_server(given) == server


@pytest.mark.parametrize(
    "given",
    [
        "",
        "http://a.example",
        "ftp://a.example",
        "https://",
        "https://a.example/path",
        "https://a.example?x=y",
        "https://a.example#x",
        "https://user:pass@a.example",
        "https://:pass@a.example",
        "https://a.example:x",
        "https://a.example:99999",
        "https://ä.example",
        "https://a b.example",
        "https://[::1",
        "https://-a.example",
        "https://a.example\n.evil.example",
    ],
)
def test_no_addresses(given: str) -> None:
    with pytest.raises(Malformed) as caught:
        normalize_server(given)
    assert "pass" not in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def account(scripted: Scripted, folder: Folder) -> Account:
    made = msgspec.structs.replace(an_account(server=scripted.url), tenant_id="t-1")
    folder.save_credential(made, Credential(client_secret="s3cret"))
    return made


def tokens(account: Account, folder: Folder, scripted: Scripted) -> AccessTokens:
    return AccessTokens(account, folder=folder, tls=scripted.tls)


def test_token_is_fetched_once_and_kept(
    account: Account, folder: Folder, scripted: Scripted
) -> None:
    scripted.answers = [Answer(body=GRANT)]
    assert tokens(account, folder, scripted).get() == "fresh"
    assert tokens(account, folder, scripted).get() == "fresh"
    (asked,) = scripted.asked
    assert asked.path == "/t-1/oauth2/v2.0/token"
    assert b"client_secret=s3cret" in asked.body
    assert b"grant_type=client_credentials" in asked.body


@pytest.mark.parametrize(("left", "fetched"), [(299, True), (310, False), (-5, True)])
def test_token_that_ends_soon_is_replaced(
    left: int, fetched: bool, account: Account, folder: Folder, scripted: Scripted
) -> None:
    scripted.answers = [Answer(body=GRANT)]
    kept = AccessToken(access_token="kept", expires_on=int(time.time()) + left)
    folder.save_token(account, kept)
    assert tokens(account, folder, scripted).get() == ("fresh" if fetched else "kept")


def test_forgotten_token_is_fetched_anew(
    account: Account, folder: Folder, scripted: Scripted
) -> None:
    scripted.answers = [Answer(body=GRANT), Answer(body={**GRANT, "access_token": "fresher"})]
    kept = tokens(account, folder, scripted)
    assert kept.get() == "fresh"
    kept.forget()
    assert kept.get() == "fresher"


def test_no_secret_means_signing_in_again(
    account: Account, folder: Folder, scripted: Scripted
) -> None:
    folder.forget_secrets(account)
    with pytest.raises(Unauthenticated, match="towrope login"):
        tokens(account, folder, scripted).get()


@pytest.mark.parametrize("answer", [{}, {"access_token": 1, "expires_in": 1}])
def test_answer_without_a_token(
    answer: object, account: Account, folder: Folder, scripted: Scripted
) -> None:
    scripted.answers = [Answer(body=answer)]
    with pytest.raises(Refused, match="no access token"):
        tokens(account, folder, scripted).get()


@pytest.mark.parametrize("tenant", ["", "../x", "a/b", "a b"])
def test_tenant_that_would_change_the_path(
    tenant: str, account: Account, folder: Folder, scripted: Scripted
) -> None:
    odd = msgspec.structs.replace(account, tenant_id=tenant)
    folder.save_credential(odd, Credential(client_secret="s"))
    with pytest.raises(Malformed):
        tokens(odd, folder, scripted).get()
    assert scripted.asked == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"resourceManager": "x", "authentication": {}},
        {"resourceManager": "x", "authentication": {"tenant": "", "audiences": ["a"]}},
        {"resourceManager": "x", "authentication": {"tenant": "t", "audiences": []}},
    ],
)
def test_no_towrope_server(body: object, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=body)]
    rest = Rest(scripted.url, tls=scripted.tls)
    with pytest.raises(Refused, match="does not say how to sign in"):
        discover(rest)
    rest.close()
