"""Who signs in, and what is remembered. Signing in to a real server: see `cli/test_login.py`."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import Answer, Scripted, Sign
from towrope.client import token_cache
from towrope.client.login import Ask, Person, ServicePrincipal, sign_in, sign_out
from towrope.client.oauth.grant import SignedIn, TokenAnswer, Wish
from towrope.client.oauth.provider import CLI_CLIENT, Provider
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


def guest_answers(scripted: Scripted, keys: dict[str, Any], **issuer: object) -> list[Answer]:
    """What a server and an issuer say, in the order that they are asked."""
    told = {
        "name": "contoso",
        "kind": "oidc",
        "issuer": scripted.url,
        "clientId": "c-1",
        "audience": "c-1",
        "scopes": ["profile"],
        "caCertificate": scripted.authority_pem.decode(),
        **issuer,
    }
    configuration = {
        "issuer": scripted.url,
        "authorization_endpoint": f"{scripted.url}/authorize",
        "token_endpoint": f"{scripted.url}/token",
        "jwks_uri": f"{scripted.url}/keys",
        "scopes_supported": ["openid", "offline_access"],
    }
    bodies = [METADATA, {"value": [told]}, configuration, keys, SUBSCRIPTIONS]
    return [Answer(body=body) for body in bodies]


def claims(scripted: Scripted, **changes: object) -> dict[str, object]:
    now = int(time.time())
    told = {"iss": scripted.url, "aud": "c-1", "sub": "s", "preferred_username": "gast"}
    return {**told, "nonce": "n", "iat": now, "exp": now + 3600, **changes}


def answering(token: str, asked: list[Wish]) -> Ask:
    def ask(provider: Provider, wish: Wish) -> SignedIn:
        asked.append(wish)
        answer = TokenAnswer(access_token="theirs", id_token=token, refresh_token="r-1")
        return SignedIn(answer=answer, nonce="n")

    return ask


def test_another_issuers_user(
    scripted: Scripted, folder: Folder, sign: Sign, jwks: dict[str, Any]
) -> None:
    token = sign(claims(scripted))
    scripted.answers = guest_answers(scripted, jwks)
    asked: list[Wish] = []
    who = Person(ask=answering(token, asked), issuer="Contoso")
    account, _ = sign_in(scripted.url, who, authority=scripted.authority_pem, folder=folder)
    (wish,) = asked
    assert wish.client_id == "c-1"
    assert wish.scopes == ("openid", "profile", "offline_access")
    assert wish.asks_consent
    assert wish.redirect_host == "127.0.0.1"
    assert (account.user, account.issuer_name) == ("gast", "contoso")
    assert scripted.asked[-1].headers["authorization"] == f"Bearer {token}"
    assert folder.load_credential(account) == Credential(refresh_token="r-1")
    path = folder.token_path(account, "")
    assert token_cache.fresh(path) is not None


def test_entra_takes_its_own_words(
    scripted: Scripted, folder: Folder, sign: Sign, jwks: dict[str, Any]
) -> None:
    token = sign(claims(scripted))
    scopes = ["openid", "offline_access", "api/.default"]
    told = {"kind": "entra", "audience": "api", "scopes": scopes}
    scripted.answers = guest_answers(scripted, jwks, **told)
    asked: list[Wish] = []
    who = Person(ask=answering(token, asked), issuer="contoso")
    sign_in(scripted.url, who, authority=scripted.authority_pem, folder=folder)
    (wish,) = asked
    assert wish.scopes == tuple(scopes)
    assert wish.redirect_host == "localhost"
    assert not wish.asks_consent
    assert scripted.asked[-1].headers["authorization"] == "Bearer theirs"


@pytest.mark.parametrize(
    "changes",
    [{"iss": "https://evil.example"}, {"aud": "other"}, {"nonce": "other"}, {"exp": 1}],
)
def test_identity_that_is_not_believed(
    changes: dict[str, object],
    scripted: Scripted,
    folder: Folder,
    sign: Sign,
    jwks: dict[str, Any],
) -> None:
    token = sign(claims(scripted, **changes))
    scripted.answers = guest_answers(scripted, jwks)
    who = Person(ask=answering(token, []), issuer="contoso")
    with pytest.raises(Refused, match="identity token is refused"):
        sign_in(scripted.url, who, authority=scripted.authority_pem, folder=folder)
    assert list(folder.path.iterdir()) == []


def test_own_users_identity_is_verified_too(
    scripted: Scripted, folder: Folder, sign: Sign, jwks: dict[str, Any]
) -> None:
    mine = {"iss": "https://public.example/t-1/v2.0", "aud": CLI_CLIENT}
    good, bad = sign(claims(scripted, **mine)), sign(claims(scripted, iss=mine["iss"]))
    pem = scripted.authority_pem
    for token in (bad, good):
        scripted.answers = [Answer(body=body) for body in (METADATA, jwks, SUBSCRIPTIONS)]
        asked: list[Wish] = []
        who = Person(ask=answering(token, asked))
        if token == bad:
            with pytest.raises(Refused, match="identity token is refused"):
                sign_in(scripted.url, who, authority=pem, folder=folder)
        else:
            account, _ = sign_in(scripted.url, who, authority=pem, folder=folder)
    assert account.user == "gast"
    assert asked[0].scopes[0] == "https://public.example/.default"
    assert scripted.asked[-2].path == "/t-1/discovery/v2.0/keys"
