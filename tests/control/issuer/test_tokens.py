import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.control.conftest import NOW, TENANT, URL, Plane
from tests.control.issuer.conftest import ADA, Desk
from tests.control.issuer.signatures import signed
from towrope.control.arm_error import ArmError
from towrope.control.issuer.clients import TOWROPE_CLI
from towrope.control.issuer.tokens import IdentityType, Issuance, Subject, Tokens

SUBJECT = Subject(
    identity_type=IdentityType.USER,
    object_id=ADA,
    display_name="Ada",
    user_principal_name="ada@example.org",
    groups=frozenset({"b", "a"}),
)
ISSUED = Issuance(client_id=TOWROPE_CLI, authenticated_at=int(NOW))


@pytest.fixture
def tokens(plane: Plane) -> Tokens:
    return plane.control.services.tokens


def mint(tokens: Tokens, audience: str = URL) -> str:
    return tokens.mint_access(SUBJECT, ISSUED, audience=audience)


async def test_a_verified_token_says_who_it_is(tokens: Tokens) -> None:
    claims = tokens.verify(mint(tokens), audience=URL)
    assert (claims.oid, claims.upn, claims.groups) == (ADA, "ada@example.org", ("a", "b"))
    assert (claims.idtyp, claims.appid) == (IdentityType.USER, TOWROPE_CLI)
    assert (claims.iat, claims.nbf, claims.exp) == (int(NOW), int(NOW), int(NOW) + 3600)


async def test_a_token_of_one_audience_is_worth_nothing_at_another(tokens: Tokens) -> None:
    cluster = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Kubernetes/c/d"
    for made, asked in ((cluster, URL), (URL, cluster), (URL, URL + "/"), (URL, URL.upper())):
        with pytest.raises(ArmError, match="for something else"):
            tokens.verify(mint(tokens, made), audience=asked)
    with pytest.raises(ArmError, match="not valid"):
        tokens.verify(tokens.mint_id(SUBJECT, ISSUED, nonce=None), audience=TOWROPE_CLI)


async def test_a_token_is_good_in_its_time(plane: Plane, tokens: Tokens) -> None:
    text = mint(tokens)
    for now in (NOW - 60, NOW + 3659):
        plane.now = now
        tokens.verify(text, audience=URL)
    plane.now = NOW - 61
    with pytest.raises(ArmError, match="not valid yet"):
        tokens.verify(text, audience=URL)
    plane.now = NOW + 3660
    with pytest.raises(ArmError, match="expired"):
        tokens.verify(text, audience=URL)


def header(plane: Plane, **change: Any) -> dict[str, Any]:
    made = {"alg": "RS256", "typ": "JWT", "kid": plane.control.signing_keys.active.kid} | change
    return {name: value for name, value in made.items() if value is not None}


@pytest.mark.parametrize(
    "change",
    [
        {"typ": None},
        {"typ": "at+jwt"},
        {"typ": "jwt"},
        {"kid": None},
        {"kid": "unknown"},
        {"kid": ""},
        {"kid": "../../etc/passwd"},
        {"kid": ["a"]},
        {"alg": "RS384"},
        {"alg": "RS512"},
        {"alg": "PS256"},
        {"alg": "rs256", "signed_by": "RS256"},
        {"jku": "https://evil.example.org/keys"},
        {"x5u": "https://evil.example.org/certificate"},
        {"x5c": ["MIIB"]},
        {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": True},
        {"b64": False, "crit": ["b64"]},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"nonce": "x"},
    ],
    ids=str,
)
async def test_a_well_signed_token_with_any_other_header_is_refused(
    plane: Plane, desk: Desk, tokens: Tokens, change: dict[str, Any]
) -> None:
    claims = desk.claims(mint(tokens))
    key = plane.control.signing_keys.active.key
    assert tokens.verify(signed(header(plane), claims, key), audience=URL).oid == ADA
    algorithm = change.pop("signed_by", None)
    text = signed(header(plane, **change), claims, key, algorithm=algorithm)
    with pytest.raises(ArmError, match="not valid"):
        tokens.verify(text, audience=URL)


async def test_a_token_signed_by_anything_else_is_refused(
    plane: Plane, desk: Desk, tokens: Tokens
) -> None:
    claims = desk.claims(mint(tokens))
    key = plane.control.signing_keys.active.key
    other = RSAKey.generate_key(2048)
    elliptic = ECKey.generate_key("P-256")
    forged = [
        signed(header(plane), claims, other),
        signed(header(plane, kid=other.thumbprint()), claims, other),
        signed(header(plane, jwk=other.as_dict(private=False)), claims, other),
        signed(header(plane, alg="ES256"), claims, elliptic),
        # The public key, taken for a shared secret.
        signed(header(plane, alg="HS256"), claims, key.as_pem(private=False)),
        signed(header(plane, alg="HS256"), claims, b""),
        signed(header(plane, alg="none"), claims, None),
        signed(header(plane), claims, None),
    ]
    for text in forged:
        with pytest.raises(ArmError, match="not valid"):
            tokens.verify(text, audience=URL)


def mangle(text: str) -> list[str]:
    head, payload, signature = text.split(".")
    return [
        "",
        ".",
        "..",
        "...",
        f"{head}.{payload}",
        f"{head}.{payload}.",
        f"{head}..{signature}",
        f".{payload}.{signature}",
        f"{head}.{payload}.{signature}.",
        f"{head}.{payload}.{signature[:-8]}",
        f"{head}.{payload}A.{signature}",
        f" {text}",
        f"{text}é",
        "W10.e30.eA",
        "bnVsbA.e30.eA",
        "e30.e30.eA",
        text + "A" * 70_000,
    ]


async def test_what_is_no_token_is_refused(tokens: Tokens) -> None:
    for text in mangle(mint(tokens)):
        with pytest.raises(ArmError):
            tokens.verify(text, audience=URL)


@pytest.mark.parametrize(
    "edit",
    [
        lambda claims: [claims],
        lambda _: None,
        lambda claims: claims | {"exp": True},
        lambda claims: claims | {"exp": 2e9},
        lambda claims: claims | {"iat": None},
        lambda claims: claims | {"groups": "a"},
        lambda claims: claims | {"upn": 7},
        lambda claims: claims | {"tid": TENANT[:-1]},
        lambda claims: claims | {"iss": claims["iss"] + "/"},
        lambda claims: claims | {"aud": [URL]},
    ],
)
async def test_well_signed_nonsense_is_refused(
    plane: Plane, desk: Desk, tokens: Tokens, edit: Callable[[Any], Any]
) -> None:
    claims = edit(desk.claims(mint(tokens)))
    text = signed(header(plane), claims, plane.control.signing_keys.active.key)
    with pytest.raises(ArmError, match="not valid"):
        tokens.verify(text, audience=URL)


async def test_the_name_of_an_account_for_msal(tokens: Tokens) -> None:
    text = tokens.client_info(SUBJECT)
    assert "=" not in text
    told = json.loads(base64.urlsafe_b64decode(text + "=="))
    assert told == {"uid": ADA, "utid": TENANT}
