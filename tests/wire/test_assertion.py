import base64
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from towrope.wire import assertion
from towrope.wire.errors import Malformed, Unauthenticated

NOW = 1_800_000_000.0
CLUSTER = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/c"
SERVER = "https://towrope.example.org"

KEY = ECKey.generate_key("P-256")
RSA = RSAKey.generate_key(2048)


def verify(
    text: str,
    *,
    key: assertion.Key = KEY,
    subject: str = CLUSTER,
    audience: str = SERVER,
    now: float = NOW,
) -> None:
    assertion.verify(text, key, subject=subject, audience=audience, now=now)


def mint(key: assertion.Key = KEY) -> str:
    return assertion.mint(key, subject=CLUSTER, audience=SERVER, now=NOW)


def signed(claims: dict[str, Any], *, header: dict[str, Any] | None = None) -> str:
    """An assertion of any claims; those not given are as they should be."""
    good = {"iss": CLUSTER, "sub": CLUSTER, "aud": SERVER, "iat": int(NOW), "exp": int(NOW) + 300}
    return jwt.encode(header or {"alg": "ES256"}, {**good, **claims}, KEY, algorithms=["ES256"])


def raw(header: str, payload: str = "{}") -> str:
    parts = (base64.urlsafe_b64encode(part.encode()).decode() for part in (header, payload, "x"))
    return ".".join(part.rstrip("=") for part in parts)


def hmac_by_public_key() -> str:
    """What a verifier takes that lets the token choose the algorithm."""
    claims = {"iss": CLUSTER, "sub": CLUSTER, "aud": SERVER, "iat": NOW, "exp": NOW + 300}
    signed_part = raw('{"alg":"HS256"}', json.dumps(claims)).rpartition(".")[0]
    digest = hmac.digest(KEY.as_pem(private=False), signed_part.encode(), "sha256")
    return f"{signed_part}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


@pytest.mark.parametrize("key", [KEY, RSA], ids=["ecdsa", "rsa"])
def test_an_assertion_is_good_for_its_subject_and_audience(key: assertion.Key) -> None:
    public = assertion.load_key(key.as_pem(private=False))
    verify(mint(key), key=public)
    assert assertion.subject_of(mint(key)) == CLUSTER


@pytest.mark.parametrize("seconds", [-59, 0, 300, 359])
def test_clocks_may_differ_a_little(seconds: int) -> None:
    verify(mint(), now=NOW + seconds)


@pytest.mark.parametrize("seconds", [-62, 362, 10_000])
def test_an_assertion_is_refused_before_and_after_its_time(seconds: int) -> None:
    with pytest.raises(Unauthenticated):
        verify(mint(), now=NOW + seconds)


def test_it_is_worth_nothing_elsewhere() -> None:
    with pytest.raises(Unauthenticated):
        verify(mint(), subject=CLUSTER + "2")
    with pytest.raises(Unauthenticated):
        verify(mint(), audience="https://other.example.org")
    with pytest.raises(Unauthenticated):
        verify(mint(), key=ECKey.generate_key("P-256"))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": int(NOW) + 3600},
        {"exp": "soon"},
        {"iat": None},
        {"iat": int(NOW) + 3600, "exp": int(NOW) + 3700},
        {"iat": float("nan")},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"iss": "somebody"},
        {"sub": [CLUSTER]},
        {"aud": None},
        {"aud": []},
    ],
    ids=str,
)
def test_odd_claims_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        verify(signed(claims))


def test_the_key_decides_the_algorithm() -> None:
    unsigned = raw('{"alg":"none"}', json.dumps({"sub": CLUSTER}))
    for text in (unsigned, hmac_by_public_key(), mint(RSA)):
        with pytest.raises(Unauthenticated):
            verify(text)


def test_a_key_in_the_header_is_not_used() -> None:
    thief = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "jwk": thief.as_dict(private=False)}
    claims = {"iss": CLUSTER, "sub": CLUSTER, "aud": SERVER, "iat": NOW, "exp": NOW + 300}
    with pytest.raises(Unauthenticated):
        verify(jwt.encode(header, claims, thief, algorithms=["ES256"]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c",
        "é.é.é",
        raw("[]"),
        raw("{"),
        raw("{}", "[]"),
        raw('{"alg":"ES256"}', '{"sub":5}'),
        raw('{"alg":"ES256"}', '{"sub":null}'),
        raw('{"alg":"ES256","crit":["x"]}', json.dumps({"sub": CLUSTER})),
        raw("[" * 4000),
        raw('{"alg":"ES256"}', "[" * 4000),
        "x" * (assertion.ASSERTION_LIMIT + 1),
    ],
    ids=lambda text: text[:12],
)
def test_what_is_no_assertion_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "é.é.é",
        raw("[" * 4000),
        raw("{}", "[" * 4000),
        raw('{"alg":"ES256"}', '{"sub":5}'),
        "x" * 9000,
    ],
    ids=lambda text: text[:12],
)
def test_what_is_no_assertion_names_no_subject(text: str) -> None:
    with pytest.raises(Unauthenticated):
        assertion.subject_of(text)


def test_a_refusal_does_not_repeat_the_assertion() -> None:
    with pytest.raises(Unauthenticated) as refused:
        verify(mint(), audience="https://other.example.org")
    assert not any(part in refused.value.message for part in mint().split("."))


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no key",
        b"\xff",
        ECKey.generate_key("P-384").as_pem(private=False),
        rsa.generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        ),
    ],
    ids=["empty", "text", "bytes", "another curve", "encrypted"],
)
def test_what_is_no_key_is_malformed(pem: str | bytes) -> None:
    with pytest.raises(Malformed, match="not usable"):
        assertion.load_key(pem)


def test_the_pem_of_either_kind_is_read() -> None:
    traditional = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    assert isinstance(assertion.load_key(traditional), RSAKey)
    assert isinstance(assertion.load_key(KEY.as_pem(private=True).decode()), ECKey)
