"""Who signs in, and what is remembered. Signing in to a real server: see `cli/test_login.py`."""

from pathlib import Path

import pytest

from tests.client.conftest import Answer, Scripted
from towrope.client.login import ServicePrincipal, sign_in, sign_out
from towrope.client.profile import Folder
from towrope.client.secret_store import Credential
from towrope.wire.errors import Refused

GRANT = {"access_token": "fresh", "expires_in": 3600, "token_type": "Bearer"}
PRINCIPAL = ServicePrincipal(client_id="app", credential=Credential(client_secret="s3cret"))
METADATA = {
    "resourceManager": "https://public.example/",
    "authentication": {"tenant": "t-1", "audiences": ["https://public.example"]},
}
SUBSCRIPTIONS = {
    "value": [
        {"subscriptionId": "s-1", "displayName": "One"},
        {"subscriptionId": "s-2", "displayName": "Two"},
    ]
}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def script(scripted: Scripted, subscriptions: object = SUBSCRIPTIONS) -> None:
    scripted.answers = [Answer(body=body) for body in (METADATA, GRANT, subscriptions)]


def test_secret_is_not_shown() -> None:
    assert "s3cret" not in repr(PRINCIPAL)


def test_every_subscription_is_an_account(scripted: Scripted, folder: Folder) -> None:
    script(scripted)
    pem = scripted.authority_pem
    accounts = sign_in(scripted.url, PRINCIPAL, authority=pem, folder=folder)
    assert [account.subscription_name for account in accounts] == ["One", "Two"]
    assert folder.load_profile().find() == accounts[0]
    assert folder.load_profile().find("two") == accounts[1]
    assert accounts[0].public_url == "https://public.example"
    assert folder.load_authority(scripted.url) == pem
    token = scripted.asked[1]
    assert token.path == "/t-1/oauth2/v2.0/token"
    assert b"scope=https%3A%2F%2Fpublic.example%2F.default" in token.body
    assert scripted.asked[2].headers["authorization"] == "Bearer fresh"


def test_secret_goes_to_the_server_that_was_named(scripted: Scripted, folder: Folder) -> None:
    """Whatever address the metadata names."""
    evil = {**METADATA, "authentication": {**METADATA["authentication"], "loginEndpoint": "x"}}  # type: ignore[dict-item]  # a dict, as above
    scripted.answers = [Answer(body=body) for body in (evil, GRANT, SUBSCRIPTIONS)]
    sign_in(scripted.url, PRINCIPAL, authority=scripted.authority_pem, folder=folder)
    assert len(scripted.asked) == 3


@pytest.mark.parametrize("answer", [{"value": []}, {}, {"value": [{"name": "x"}]}])
def test_no_subscription_is_no_sign_in(answer: object, scripted: Scripted, folder: Folder) -> None:
    script(scripted, answer)
    with pytest.raises(Refused, match="no subscription"):
        sign_in(scripted.url, PRINCIPAL, authority=scripted.authority_pem, folder=folder)
    assert list(folder.path.iterdir()) == []


def test_no_subscription_may_be_enough(scripted: Scripted, folder: Folder) -> None:
    script(scripted, {"value": []})
    pem = scripted.authority_pem
    (account,) = sign_in(
        scripted.url, PRINCIPAL, authority=pem, folder=folder, allow_no_subscriptions=True
    )
    assert account.subscription_id == account.tenant_id
    assert folder.load_profile().find() == account


def test_failed_sign_in_keeps_the_earlier_authority(scripted: Scripted, folder: Folder) -> None:
    folder.save_authority(scripted.url, b"earlier")
    scripted.answers = [Answer(body={})]
    with pytest.raises(Refused):
        sign_in(scripted.url, PRINCIPAL, authority=scripted.authority_pem, folder=folder)
    assert folder.load_authority(scripted.url) == b"earlier"


def test_signing_out_forgets_one_server_only(scripted: Scripted, folder: Folder) -> None:
    script(scripted)
    one, *_ = sign_in(scripted.url, PRINCIPAL, authority=scripted.authority_pem, folder=folder)
    folder.save_authority("https://other.example", b"other")
    sign_out(folder, one)
    assert folder.load_profile().accounts == ()
    assert folder.load_credential(one) is None
    assert list((folder.path / "tokens").iterdir()) == []
    assert folder.load_authority(scripted.url) is None
    assert folder.load_authority("https://other.example") == b"other"
