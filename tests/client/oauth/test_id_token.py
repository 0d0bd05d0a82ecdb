"""Who signed in is believed only of a token that the issuer made for us, in this sign-in."""

import base64
import hmac
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.client.conftest import Sign
from towrope.client.oauth.id_token import LIMIT, user_of, verify
from towrope.wire.errors import Refused

NOW = 1_800_000_000
CLAIMS = {
    "iss": "https://issuer.example",
    "aud": "client",
    "sub": "s",
    "nonce": "n",
    "iat": NOW,
    "exp": NOW + 600,
}


def check(token: str, keys: dict[str, Any], *, nonce: str | None = "n") -> dict[str, Any]:
    return verify(
        token,
        keys,
        issuer="https://issuer.example",
        client_id="client",
        nonce=nonce,
        clock=lambda: NOW,
    )


def test_good_token(sign: Sign, jwks: dict[str, Any]) -> None:
    assert check(sign(CLAIMS), jwks)["sub"] == "s"
    assert check(sign(CLAIMS, alg="PS256"), jwks)["sub"] == "s"


def test_token_without_a_key_id_for_the_only_key(sign: Sign, jwks: dict[str, Any]) -> None:
    assert check(sign(CLAIMS, kid=None), jwks)["sub"] == "s"


def test_audience_may_be_a_list(sign: Sign, jwks: dict[str, Any]) -> None:
    assert check(sign({**CLAIMS, "aud": ["client", "x"], "azp": "client"}), jwks)


def test_device_code_sends_no_nonce(sign: Sign, jwks: dict[str, Any]) -> None:
    without = {name: value for name, value in CLAIMS.items() if name != "nonce"}
    assert check(sign(without), jwks, nonce=None)["sub"] == "s"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"},
        {"iss": "https://issuer.example/"},
        {"aud": "other"},
        {"aud": ["other"]},
        {"azp": "other"},
        {"nonce": "other"},
        {"nonce": None},
        {"exp": NOW - 61},
        {"exp": "soon"},
        {"iat": NOW + 61},
        {"nbf": NOW + 61},
        {"sub": None},
        {"exp": None},
        {"iat": None},
        {"aud": None},
    ],
)
def test_wrong_claims(wrong: dict[str, Any], sign: Sign, jwks: dict[str, Any]) -> None:
    claims = {name: value for name, value in {**CLAIMS, **wrong}.items() if value is not None}
    with pytest.raises(Refused, match="identity token is refused"):
        check(sign(claims), jwks)


@pytest.mark.parametrize("shift", [{"exp": NOW - 59}, {"iat": NOW + 59}])
def test_clocks_may_differ_a_little(
    shift: dict[str, int], sign: Sign, jwks: dict[str, Any]
) -> None:
    assert check(sign({**CLAIMS, **shift}), jwks)


@pytest.mark.parametrize(
    "token", ["", "x", "a.b", "a.b.c", "a.b.c.d.e", "é.b.c", "x" * (LIMIT + 1)]
)
def test_no_token(token: str, jwks: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="identity token is refused"):
        check(token, jwks)


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_unsigned_token(jwks: dict[str, Any]) -> None:
    token = f"{encode({'alg': 'none'})}.{encode(CLAIMS)}."
    with pytest.raises(Refused, match="algorithm is not allowed"):
        check(token, jwks)


def test_public_key_as_a_shared_secret(signing_key: RSAKey, jwks: dict[str, Any]) -> None:
    signed = f"{encode({'alg': 'HS256', 'kid': 'k-1'})}.{encode(CLAIMS)}"
    mac = hmac.digest(signing_key.as_pem(private=False), signed.encode(), "sha256")
    token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    with pytest.raises(Refused, match="algorithm is not allowed"):
        check(token, jwks)


@pytest.mark.parametrize("brings", [{"jku": "https://evil.example"}, {"jwk": {"kty": "EC"}}])
def test_key_that_the_token_brings(brings: dict[str, Any], jwks: dict[str, Any]) -> None:
    own = RSAKey.generate_key(2048, {"kid": "k-1"})
    header = {"alg": "RS256", "kid": "k-1", **brings}
    with pytest.raises(Refused, match="BadSignature"):
        check(jwt.encode(header, CLAIMS, own), jwks)


def test_unknown_key(sign: Sign, jwks: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="key is not one of the issuer's"):
        check(sign(CLAIMS, kid="other"), jwks)


def test_critical_header_that_nobody_knows(sign: Sign, jwks: dict[str, Any]) -> None:
    token = sign(CLAIMS)
    head, body, signature = token.split(".")
    head = encode({"alg": "RS256", "kid": "k-1", "crit": ["x"], "x": 1})
    with pytest.raises(Refused):
        check(f"{head}.{body}.{signature}", jwks)


@pytest.mark.parametrize("limits", [{"use": "enc"}, {"alg": "PS256"}])
def test_key_for_another_use(limits: dict[str, str], sign: Sign, jwks: dict[str, Any]) -> None:
    (key,) = jwks["keys"]
    with pytest.raises(Refused, match="key is not one of the issuer's"):
        check(sign(CLAIMS), {"keys": [{**key, **limits}]})


def test_key_of_another_kind(sign: Sign) -> None:
    other = ECKey.generate_key("P-256", {"kid": "k-1"}).as_dict(private=False)
    with pytest.raises(Refused, match="key is not one of the issuer's"):
        check(sign(CLAIMS), {"keys": [other]})


def test_two_keys_of_one_name(sign: Sign, jwks: dict[str, Any]) -> None:
    """Which of them is meant cannot be told."""
    with pytest.raises(Refused, match="key is not one of the issuer's"):
        check(sign(CLAIMS), {"keys": jwks["keys"] * 2})


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": "x"}, {"keys": [{"kty": "?"}]}])
def test_no_keys(keys: dict[str, Any], sign: Sign) -> None:
    with pytest.raises(Refused, match="identity token is refused"):
        check(sign(CLAIMS), keys)


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"upn": "u", "preferred_username": "p", "sub": "s"}, "u"),
        ({"preferred_username": "p", "email": "e", "sub": "s"}, "p"),
        ({"email": "e", "sub": "s"}, "e"),
        ({"upn": "", "email": 1, "sub": "s"}, "s"),
        ({}, ""),
    ],
)
def test_name_of_the_user(claims: dict[str, Any], user: str) -> None:
    assert user_of(claims) == user
