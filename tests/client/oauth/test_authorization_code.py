"""A sign-in by browser: what it asks for, and what it believes."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from tests.client.conftest import Answer, Scripted
from tests.client.oauth.conftest import WISH
from towrope.client.oauth.authorization_code import sign_in
from towrope.client.oauth.provider import Provider
from towrope.client.rest import GrantRefused
from towrope.wire.errors import Refused, Unauthenticated

Show = Callable[[str], None]


def coming_back(asked: list[dict[str, str]], **answer: str) -> Show:
    """A browser that comes back at once with `answer`."""

    def show(url: str) -> None:
        asked.append(dict(parse_qsl(urlsplit(url).query)))
        given = {"state": asked[-1]["state"], **answer}
        page = httpx2.get(asked[-1]["redirect_uri"], params=given, trust_env=False)
        assert page.status_code == 200

    return show


def test_code_is_redeemed_with_what_stayed_here(provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"access_token": "a", "id_token": "i", "refresh_token": "r"})]
    asked: list[dict[str, str]] = []
    signed_in = sign_in(provider, WISH, show=coming_back(asked, code="c-1"))
    assert signed_in.answer.refresh_token == "r"
    assert signed_in.nonce == asked[0]["nonce"]
    assert asked[0]["scope"] == "api/.default openid"
    assert asked[0]["code_challenge_method"] == "S256"
    (token,) = scripted.asked
    form = {name: values[0] for name, values in parse_qs(token.body.decode()).items()}
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert asked[0]["code_challenge"] == challenge
    assert form["code"] == "c-1"
    assert form["redirect_uri"] == asked[0]["redirect_uri"]
    assert form["redirect_uri"].startswith("http://127.0.0.1:")
    assert form["code_verifier"] not in str(asked)


def test_each_sign_in_has_its_own_secrets(provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"access_token": "a"})]
    asked: list[dict[str, str]] = []
    for _ in range(2):
        sign_in(provider, WISH, show=coming_back(asked, code="c"))
    for name in ("state", "nonce", "code_challenge"):
        assert len({each[name] for each in asked}) == 2
        assert len(asked[0][name]) >= 43


def test_wishes_are_passed_on(provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"access_token": "a"})]
    wish = replace(WISH, login_hint="alice", redirect_host="localhost", asks_consent=True)
    odd = replace(provider, authorization_endpoint=f"{provider.authorization_endpoint}?p=1")
    asked: list[dict[str, str]] = []
    sign_in(odd, wish, show=coming_back(asked, code="c"))
    assert asked[0]["p"] == "1"
    assert asked[0]["login_hint"] == "alice"
    assert asked[0]["prompt"] == "consent"
    assert asked[0]["redirect_uri"].startswith("http://localhost:")


def test_code_is_shown_to_nobody_twice(provider: Provider, scripted: Scripted) -> None:
    """It is good once: a request whose answer was lost is not repeated."""
    scripted.answers = [Answer(status=503), Answer(body={"access_token": "a"})]
    with pytest.raises(Exception, match="busy"):
        sign_in(provider, WISH, show=coming_back([], code="c"))
    assert len(scripted.asked) == 1


def test_refusal_is_told(provider: Provider, scripted: Scripted) -> None:
    show = coming_back([], error="access_denied", error_description="Nobody\x1b wanted to")
    with pytest.raises(Unauthenticated, match="Nobody signed in: Nobody� wanted to"):
        sign_in(provider, WISH, show=show)
    assert scripted.asked == []


def test_code_that_is_not_taken(provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(status=400, body={"error": "invalid_grant"})]
    with pytest.raises(GrantRefused) as caught:
        sign_in(provider, WISH, show=coming_back([], code="c"))
    assert caught.value.code == "invalid_grant"


def test_another_issuer_answers(provider: Provider, scripted: Scripted) -> None:
    """RFC 9207: a code of another provider must not go to this one."""
    with pytest.raises(Refused, match="another issuer"):
        sign_in(provider, WISH, show=coming_back([], code="c", iss="https://evil.example"))
    naming = replace(provider, names_itself=True)
    with pytest.raises(Refused, match="another issuer"):
        sign_in(naming, WISH, show=coming_back([], code="c"))
    assert scripted.asked == []
    scripted.answers = [Answer(body={"access_token": "a"})]
    sign_in(naming, WISH, show=coming_back([], code="c", iss=provider.issuer))


def test_nobody_signs_in(provider: Provider) -> None:
    with pytest.raises(Unauthenticated, match="within 0 s"):
        sign_in(provider, WISH, show=lambda url: None, within=0)
