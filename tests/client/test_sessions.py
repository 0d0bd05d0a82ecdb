"""Access tokens: kept while they are good, renewed by one process at a time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from tests.client.conftest import Answer, Asked, Scripted, Sign
from tests.client.test_profile import account as an_account
from towrope.client import token_cache
from towrope.client.profile import Account, ExternalIssuer, Folder
from towrope.client.rest import GrantRefused
from towrope.client.secret_store import Credential
from towrope.client.sessions import AccessTokens, SignInNeeded, login_command, scope_of
from towrope.wire.errors import Malformed, Refused, Unreachable

CLUSTER = "/subscriptions/s/x/Shop"
GRANT = {"access_token": "fresh", "expires_in": 3600, "token_type": "Bearer"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def application(scripted: Scripted, folder: Folder) -> Account:
    made = msgspec.structs.replace(an_account(server=scripted.url), tenant_id="t-1")
    folder.save_credential(made, Credential(client_secret="s3cret"))
    return made


@pytest.fixture
def alice(application: Account, folder: Folder) -> Account:
    made = msgspec.structs.replace(application, user="alice")
    folder.save_credential(made, Credential(refresh_token="r-1"))
    return made


@pytest.fixture
def guest(alice: Account, scripted: Scripted, folder: Folder) -> Account:
    """Of another issuer, whose identity tokens the server takes."""
    issuer = ExternalIssuer(
        name="contoso",
        kind="oidc",
        issuer=scripted.url,
        client_id="c-1",
        audience="c-1",
        scopes=("openid", "offline_access"),
        ca_certificate=scripted.authority_pem.decode(),
    )
    made = msgspec.structs.replace(alice, issuer=issuer, client_id="c-1")
    folder.save_credential(made, Credential(refresh_token="r-1"))
    return made


@pytest.fixture
def tokens(folder: Folder, scripted: Scripted) -> Callable[..., AccessTokens]:
    def tokens(account: Account, scope: str = "") -> AccessTokens:
        return AccessTokens(account, folder=folder, tls=scripted.tls, scope=scope)

    return tokens


Tokens = Callable[..., AccessTokens]


def form(asked: Asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}


def test_token_is_fetched_once_and_kept(
    application: Account, tokens: Tokens, scripted: Scripted
) -> None:
    scripted.answers = [Answer(body=GRANT)]
    assert tokens(application).get() == "fresh"
    assert tokens(application).get() == "fresh"
    (asked,) = scripted.asked
    assert asked.path == "/t-1/oauth2/v2.0/token"
    assert form(asked)["client_secret"] == "s3cret"
    assert form(asked)["grant_type"] == "client_credentials"
    assert form(asked)["scope"] == f"{application.audience}/.default"


@pytest.mark.parametrize(("left", "fetched"), [(299, True), (310, False), (-5, True)])
def test_token_that_ends_soon_is_replaced(
    left: int,
    fetched: bool,
    application: Account,
    folder: Folder,
    tokens: Tokens,
    scripted: Scripted,
) -> None:
    scripted.answers = [Answer(body=GRANT)]
    path = folder.token_path(application, scope_of(application.audience))
    token_cache.write(path, "kept", int(time.time()) + left)
    assert tokens(application).get() == ("fresh" if fetched else "kept")


def test_each_resource_has_its_token(alice: Account, tokens: Tokens, scripted: Scripted) -> None:
    scripted.answers = [
        Answer(body={**GRANT, "refresh_token": "r-2"}),
        Answer(body={**GRANT, "access_token": "for-shop", "refresh_token": "r-3"}),
    ]
    assert tokens(alice).get() == "fresh"
    assert tokens(alice, scope_of(CLUSTER)).get() == "for-shop"
    assert tokens(alice, scope_of(CLUSTER.upper())).get() == "for-shop"
    assert tokens(alice).get() == "fresh"
    first, second = map(form, scripted.asked)
    assert first["scope"] == f"{alice.audience}/.default openid profile offline_access"
    assert second["scope"].startswith(f"{CLUSTER}/.default ")
    assert (first["refresh_token"], second["refresh_token"]) == ("r-1", "r-2")
    assert "client_secret" not in first


def test_refresh_token_that_is_not_replaced_stays(
    alice: Account, folder: Folder, tokens: Tokens, scripted: Scripted
) -> None:
    scripted.answers = [Answer(body=GRANT)]
    tokens(alice).get()
    assert folder.load_credential(alice) == Credential(refresh_token="r-1")


def test_new_refresh_token_is_kept_even_if_the_access_token_is_not(
    alice: Account, folder: Folder, tokens: Tokens, scripted: Scripted
) -> None:
    (folder.path / "tokens").touch()
    scripted.answers = [Answer(body={**GRANT, "refresh_token": "r-2"})]
    kept = tokens(alice)
    assert kept.get() == kept.get() == "fresh"
    assert folder.load_credential(alice) == Credential(refresh_token="r-2")
    assert len(scripted.asked) == 1


def test_one_refreshes_while_the_others_wait(
    alice: Account, tokens: Tokens, scripted: Scripted
) -> None:
    scripted.answers = [
        Answer(body={**GRANT, "refresh_token": "r-2"}),
        Answer(status=400, body={"error": "invalid_grant"}),
    ]
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(tokens(alice).get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["fresh"] * 8
    assert len(scripted.asked) == 1


def test_forgotten_token_is_fetched_anew(
    application: Account, tokens: Tokens, scripted: Scripted
) -> None:
    scripted.answers = [Answer(body=GRANT), Answer(body={**GRANT, "access_token": "fresher"})]
    kept = tokens(application)
    assert kept.get() == "fresh"
    kept.forget()
    assert kept.get() == "fresher"


def test_no_secret_means_signing_in_again(
    application: Account, folder: Folder, tokens: Tokens, scripted: Scripted
) -> None:
    folder.forget_secrets(application)
    with pytest.raises(SignInNeeded, match=r"towrope login --server .* --service-principal -u App"):
        tokens(application).get()
    assert scripted.asked == []


def test_damaged_secret_means_signing_in_again(
    alice: Account, folder: Folder, tokens: Tokens
) -> None:
    (folder.path / "credentials" / f"{alice.principal}.json").write_text("{")
    with pytest.raises(SignInNeeded, match="not here any more"):
        tokens(alice).get()


@pytest.mark.parametrize("code", ["invalid_grant", "interaction_required", "login_required"])
def test_sign_in_that_has_ended(
    code: str, alice: Account, folder: Folder, tokens: Tokens, scripted: Scripted
) -> None:
    """It is said at once from then on: a refresh token that is refused is not sent again."""
    token_cache.write(folder.token_path(alice, "other"), "kept", int(time.time()) + 3600)
    refusal = {"error": code, "error_description": "Because. Trace ID: 1"}
    scripted.answers = [Answer(status=400, body=refusal)]
    with pytest.raises(SignInNeeded, match=r"alice to .* has ended: Because\. Sign in again"):
        tokens(alice).get()
    with pytest.raises(SignInNeeded, match="not here any more"):
        tokens(alice).get()
    assert len(scripted.asked) == 1
    assert list((folder.path / "tokens").iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status=400, body={"error": "invalid_scope"}), GrantRefused),
        (Answer(status=503), Unreachable),
    ],
)
def test_other_refusals_end_nothing(
    answer: Answer,
    error: type[Exception],
    alice: Account,
    folder: Folder,
    tokens: Tokens,
    scripted: Scripted,
) -> None:
    scripted.answers = [answer]
    with pytest.raises(error):
        tokens(alice).get()
    assert folder.load_credential(alice) == Credential(refresh_token="r-1")
    assert not list(folder.path.rglob("*.lock"))


@pytest.mark.parametrize("answer", [{}, {"access_token": 1, "expires_in": 1}])
def test_answer_without_a_token(
    answer: object, application: Account, tokens: Tokens, scripted: Scripted
) -> None:
    scripted.answers = [Answer(body=answer)]
    with pytest.raises(Refused, match="no access token"):
        tokens(application).get()


@pytest.mark.parametrize("tenant", ["", "../x", "a/b", "a b"])
def test_tenant_that_would_change_the_path(
    tenant: str, application: Account, tokens: Tokens, scripted: Scripted
) -> None:
    with pytest.raises(Malformed):
        tokens(msgspec.structs.replace(application, tenant_id=tenant)).get()
    assert scripted.asked == []


def configured(scripted: Scripted) -> Answer:
    endpoints = ("authorization_endpoint", "token_endpoint")
    body = {name: f"{scripted.url}/{name}" for name in endpoints}
    return Answer(body={**body, "issuer": scripted.url, "jwks_uri": f"{scripted.url}/keys"})


def identity(scripted: Scripted, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"iss": scripted.url, "aud": "c-1", "sub": "s", "upn": "alice"}
    return {**claims, "iat": now, "exp": now + 3600, **changes}


def test_token_of_another_issuer_is_good_everywhere(
    guest: Account, tokens: Tokens, scripted: Scripted, sign: Sign, jwks: dict[str, Any]
) -> None:
    token = sign(identity(scripted))
    grant = {**GRANT, "id_token": token, "refresh_token": "r-2"}
    scripted.answers = [configured(scripted), Answer(body=grant), Answer(body=jwks)]
    assert tokens(guest).get() == token
    assert tokens(guest, scope_of(CLUSTER)).get() == token
    assert len(scripted.asked) == 3
    assert form(scripted.asked[1])["scope"] == "openid offline_access"


def test_issuer_whose_access_tokens_are_taken(
    guest: Account, tokens: Tokens, scripted: Scripted
) -> None:
    assert guest.issuer is not None
    issuer = msgspec.structs.replace(guest.issuer, audience="api")
    scripted.answers = [configured(scripted), Answer(body=GRANT)]
    assert tokens(msgspec.structs.replace(guest, issuer=issuer)).get() == "fresh"


@pytest.mark.parametrize("changes", [{"upn": "mallory"}, {"aud": "other"}, {"exp": 1}])
def test_issuer_that_answers_for_somebody_else(
    changes: dict[str, Any],
    guest: Account,
    tokens: Tokens,
    scripted: Scripted,
    sign: Sign,
    jwks: dict[str, Any],
) -> None:
    grant = {**GRANT, "id_token": sign(identity(scripted, **changes))}
    scripted.answers = [configured(scripted), Answer(body=grant), Answer(body=jwks)]
    with pytest.raises(Refused):
        tokens(guest).get()


def test_issuer_that_gives_no_identity(guest: Account, tokens: Tokens, scripted: Scripted) -> None:
    scripted.answers = [configured(scripted), Answer(body=GRANT)]
    with pytest.raises(Refused, match="contoso gave no identity token"):
        tokens(guest).get()


def test_what_to_type(application: Account, alice: Account, guest: Account) -> None:
    server = f"towrope login --server {application.server}"
    assert login_command(application) == f"{server} --service-principal -u App"
    assert login_command(alice) == server
    assert login_command(guest) == f"{server} --issuer contoso"
