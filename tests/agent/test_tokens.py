"""What a token must be: whatever else claims to be of a trusted issuer is refused, and says why."""

import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent import signing
from tests.agent.signing import CLUSTER, ISS, NOW, as_json, base64url, claims, ec_key, rsa_key
from towrope.agent import tokens
from towrope.agent.issuers import Issuer
from towrope.agent.tokens import CLOCK_TOLERANCE, TOKEN_LIMIT, Rejected, Token, Verified

OTHER_CLUSTER = CLUSTER.replace("shop-17", "shop-18")
PAYLOAD = as_json(claims())


def verify(text: str, issuer: Issuer | None = None, *, now: float = NOW) -> Verified | Rejected:
    token = tokens.parse(text)
    assert token is not None
    return tokens.verify(token, issuer or signing.issuer(), now=now)


def reason(text: str, issuer: Issuer | None = None, *, now: float = NOW) -> str:
    """Why it is refused. No part of the token is in it."""
    found = verify(text, issuer, now=now)
    assert isinstance(found, Rejected)
    assert not any(part in found.reason for part in text.split(".") if part)
    return found.reason


def header(**members: Any) -> str:
    """A token that is signed well, with more in its header."""
    return signing.signed(PAYLOAD, header=members)


def test_a_token_of_the_issuer_is_verified() -> None:
    found = verify(signing.token())
    assert isinstance(found, Verified)
    assert found.claims == claims()
    assert (found.issued_at, found.expires_at) == (NOW, NOW + 3600)
    assert found.issuer.name == "towrope"


@pytest.mark.parametrize(
    ("algorithm", "curve"),
    [
        *(("RS256", ""), ("RS384", ""), ("RS512", ""), ("PS256", ""), ("PS384", ""), ("PS512", "")),
        *(("ES256", "P-256"), ("ES384", "P-384"), ("ES512", "P-521")),
        *(("EdDSA", "Ed25519"), ("Ed25519", "Ed25519")),
    ],
)
def test_every_algorithm_with_a_key_of_its_own(algorithm: str, curve: str) -> None:
    key = signing.key_on(curve) if curve else rsa_key()
    issuer = signing.issuer(key, algorithms=(algorithm,))
    assert isinstance(verify(signing.token(key, algorithm), issuer), Verified)
    assert "is signed by" in reason(
        signing.token(key, algorithm), signing.issuer(key, algorithms=())
    )


def test_one_audience_of_many_is_enough() -> None:
    assert isinstance(verify(signing.token(aud=["other", CLUSTER])), Verified)


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"])
def test_types_of_access_tokens_and_id_tokens(kind: str) -> None:
    assert isinstance(verify(header(typ=kind)), Verified)


def test_no_type_and_no_key_name_where_there_is_one_key() -> None:
    text = signing.signed(PAYLOAD, header=as_json({"alg": "RS256"}))
    assert isinstance(verify(text), Verified)
    several = signing.issuer(rsa_key(), rsa_key("b"))
    assert "names no key" in reason(text, several)
    assert isinstance(verify(signing.token(rsa_key("b")), several), Verified)


def test_the_clocks_may_differ_by_a_minute() -> None:
    for text in (
        signing.token(exp=NOW - CLOCK_TOLERANCE),
        signing.token(nbf=NOW + CLOCK_TOLERANCE),
        signing.token(iat=NOW + CLOCK_TOLERANCE),
    ):
        assert isinstance(verify(text), Verified)


def test_without_a_time_of_issue_it_counts_as_the_oldest() -> None:
    found = verify(signing.token(iat=None, nbf=None))
    assert isinstance(found, Verified)
    assert found.issued_at == 0


def hmac_with_the_public_key() -> str:
    head = as_json({"alg": "HS256", "typ": "JWT", "kid": "a"})
    text = f"{base64url(head)}.{base64url(PAYLOAD)}"
    secret = rsa_key().as_pem(private=False)
    return f"{text}.{base64url(hmac.digest(secret, text.encode(), 'sha256'))}"


def unsigned(algorithm: str) -> str:
    head = as_json({"alg": algorithm, "typ": "JWT", "kid": "a"})
    return f"{base64url(head)}.{base64url(PAYLOAD)}."


def injected(name: str) -> str:
    """Signed with the attacker's key, which the header offers."""
    key = rsa_key("b")
    public = key.as_dict(private=False)
    offer = {"jwk": public, "x5c": ["MIIC"], "jku": "https://evil.test", "x5u": "https://evil.test"}
    return signing.signed(PAYLOAD, key=key, header={"kid": "a", name: offer[name]})


def changed() -> str:
    """Another payload under a good signature."""
    head, _, signature = signing.token().split(".")
    return f"{head}.{base64url(as_json(claims(upn='root@contoso.example')))}.{signature}"


def cut(size: int) -> Callable[[], str]:
    return lambda: signing.token()[:-size]


def psychic() -> str:
    head = as_json({"alg": "ES256", "typ": "JWT", "kid": "P-256"})
    return f"{base64url(head)}.{base64url(PAYLOAD)}.{base64url(bytes(64))}"


def swapped() -> str:
    """Signed with the attacker's key, under the name of the issuer's."""
    return signing.signed(PAYLOAD, key=rsa_key("b"), header={"kid": "a"})


def other_type_of_key() -> str:
    """ECDSA, under the name of an RSA key."""
    return signing.signed(PAYLOAD, key=ec_key(), algorithm="ES256", header={"kid": "a"})


ATTACKS: dict[str, tuple[Callable[[], str], str]] = {
    "unsecured": (lambda: unsigned("none"), "is signed by 'none'"),
    "unsecured in capitals": (lambda: unsigned("None"), "is signed by 'None'"),
    "without a signature": (lambda: unsigned("RS256"), "signature is not of the key"),
    "the public key as a secret": (hmac_with_the_public_key, "is signed by 'HS256'"),
    "an algorithm that is no text": (lambda: header(alg=["RS256"]), "is signed by"),
    "an algorithm in small letters": (lambda: header(alg="rs256"), "is signed by 'rs256'"),
    "another algorithm of the same key": (lambda: header(alg="RS512"), "is signed by 'RS512'"),
    "an algorithm for another type of key": (other_type_of_key, "is not for 'ES256'"),
    "nulls for r and s": (psychic, "signature is not of the key"),
    "another's key under a known name": (swapped, "signature is not of the key"),
    "a key that nobody has": (lambda: signing.token(rsa_key("b")), "key 'b', which is not among"),
    "a key's name that is none": (lambda: header(kid=7), "('kid') is not one"),
    "a key's name out of a path": (lambda: header(kid="../a"), "key '../a', which is not among"),
    "a key's name with a control": (lambda: header(kid="a\n"), "('kid') is not one"),
    "a key's name without end": (lambda: header(kid="a" * 300), "('kid') is not one"),
    "a key in the token": (lambda: injected("jwk"), "has 'jwk'"),
    "a key's address": (lambda: injected("jku"), "has 'jku'"),
    "a certificate in the token": (lambda: injected("x5c"), "has 'x5c'"),
    "a certificate's address": (lambda: injected("x5u"), "has 'x5u'"),
    "what must be understood": (lambda: header(crit=["exp"]), "has 'crit'"),
    "a payload as it is": (lambda: header(b64=False), "has 'b64'"),
    "another type": (lambda: header(typ="dpop+jwt"), "another type"),
    "a type that is no text": (lambda: header(typ=None), "another type"),
    "another payload": (changed, "signature is not of the key"),
    "cut by a byte": (cut(1), "signature is not of the key"),
    "cut by half of the signature": (cut(170), "signature is not of the key"),
    "a header that is too long": (lambda: header(x="y" * 1000), "signature is not of the key"),
    "expired": (lambda: signing.token(exp=NOW - 61), "it expired at 2027-01-15T07:58:59Z"),
    "not yet": (lambda: signing.token(nbf=NOW + 61), "not valid before 2027-01-15T08:01:01Z"),
    "of tomorrow": (lambda: signing.token(iat=NOW + 86400), "2027-01-16T08:00:00Z ('iat')"),
    "without end": (lambda: signing.token(exp=None), "never ends"),
    "of another cluster": (lambda: signing.token(aud=OTHER_CLUSTER), "not for this cluster"),
    "in other letters": (lambda: signing.token(aud=CLUSTER.upper()), "not for this cluster"),
    "for the server": (lambda: signing.token(aud="https://towrope.test"), "not for this cluster"),
    "for nobody": (lambda: signing.token(aud=None), "is for ''"),
    "for no text": (lambda: signing.token(aud={CLUSTER: 1}), "not for this cluster"),
    "for texts and others": (lambda: signing.token(aud=[CLUSTER, 1]), "not for this cluster"),
    "bound to a key": (lambda: signing.token(cnf={"kid": "x"}), "is bound to a key"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused(attack: str) -> None:
    make, expected = ATTACKS[attack]
    issuer = signing.issuer(rsa_key(), ec_key(), algorithms=("RS256", "ES256"))
    assert expected in reason(make(), issuer)


def test_no_issuer_can_allow_what_is_no_signature() -> None:
    issuer = signing.issuer(algorithms=("RS256", "HS256", "none"))
    assert "not for 'HS256'" in reason(hmac_with_the_public_key(), issuer)
    assert "not for 'none'" in reason(unsigned("none"), issuer)


def test_of_a_tenant_alone() -> None:
    tenant = "9b1e1c0e-52a5-4d3a-9c0e-0d1f3f0b9a77"
    issuer = signing.issuer(tenant=tenant)
    assert isinstance(verify(signing.token(tid=tenant), issuer), Verified)
    for other in ("x", None, [tenant]):
        assert "another tenant" in reason(signing.token(tid=other), issuer)


def again(text: str, issuer: Issuer, *, now: float) -> Verified | Rejected:
    token = tokens.parse(text)
    assert token is not None
    return tokens.verify_again(token, issuer, now=now)


def test_verified_again_a_token_may_have_ended() -> None:
    for later in (0, 3600 + 61, 10_000_000):
        assert isinstance(again(signing.token(), signing.issuer(), now=NOW + later), Verified)


def test_verified_again_its_key_may_have_gone_only_after_it_ended() -> None:
    changed = signing.issuer(rsa_key("b"))
    within = again(signing.token(), changed, now=NOW + 3660)
    assert isinstance(within, Rejected)
    assert "not among the issuer's keys" in within.reason
    assert isinstance(again(signing.token(), changed, now=NOW + 3661), Verified)


def test_verified_again_it_must_still_be_for_this_cluster() -> None:
    for keys in ((rsa_key(),), (rsa_key("b"),)):
        for later in (0, 10_000):
            for changes in ({"audiences": ("other",)}, {"tenant": "other"}):
                issuer = signing.issuer(*keys, **changes)
                assert isinstance(again(signing.token(), issuer, now=NOW + later), Rejected)


def test_of_another_issuer_with_the_same_key() -> None:
    assert "another issuer" in reason(signing.token(iss="https://evil.test"))


def test_both_clocks_are_told() -> None:
    late, early = NOW + 3661, NOW - 61
    assert "Z, and it is 2027-01-15T09:01:01Z by the cluster's" in reason(signing.token(), now=late)
    assert "and it is 2027-01-15T07:58:59Z by the cluster's" in reason(signing.token(), now=early)


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [
        *(True, 1.8e9, float(NOW + 60), str(NOW), [NOW], {"a": NOW}, -1, 2**53, 10**4000),
        1e308,
    ],
)
def test_a_time_is_a_whole_number(claim: str, value: Any) -> None:
    assert f"'{claim}' is not a time" in reason(signing.token(**{claim: value}))


HOSTILE = {
    "empty": b"",
    "no JSON": b"iss",
    "an array": as_json([claims()]),
    "a text": as_json(json.dumps(claims())),
    "a nested token": signing.token().encode(),
    "twice the issuer": b'{"iss":"https://evil.test",' + PAYLOAD[1:],
    "twice a claim": PAYLOAD[:-1] + b',"groups":[]}',
    "twice a claim, deep": PAYLOAD[:-1] + b',"a":{"b":1,"b":1}}',
    "deep": b'{"a":' + b"[" * 20_000,
    "a number without end": b'{"exp":' + b"1" * 10_000 + b"}",
    "no number": PAYLOAD[:-1] + b',"a":NaN}',
    "infinity": PAYLOAD[:-1] + b',"a":-Infinity}',
    "other bytes": b'{"iss":"\xff"}',
    "UTF-16": json.dumps(claims()).encode("utf-16"),
    "a mark of order": b"\xef\xbb\xbf" + PAYLOAD,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_object_is_no_token_of_anybody(name: str) -> None:
    """It goes to the apiserver with nothing of the agent's, and is judged there."""
    assert tokens.parse(signing.signed(HOSTILE[name])) is None
    assert tokens.parse(signing.signed(PAYLOAD, header=HOSTILE[name])) is None


def test_other_serializations_are_no_tokens() -> None:
    head, payload, signature = signing.token().split(".")
    for text in (
        *(
            "",
            ".",
            "..",
            "a",
            "a.b",
            "a.b.c.d.e",
            f".{payload}.{signature}",
            f"{head}..{signature}",
        ),
        *(f"{head}.{payload}", f"{head}.{payload}.{signature}.", f"{head}.{payload}.{signature}="),
        *(f" {head}.{payload}.{signature}", f"{head}.{payload}.{signature}\n"),
        *(f"{head}.{payload}=.{signature}", f"{head}.{payload}/.{signature}"),
        json.dumps({"protected": head, "payload": payload, "signature": signature}),
        f"{head}.{payload}A.{signature}",
    ):
        assert tokens.parse(text) is None


def test_one_token_has_one_text() -> None:
    """The last character of base64url may carry bits that are not looked at: they must be zero."""
    text = signing.token()
    head, payload, signature = text.split(".")
    assert reason(f"{head}.{payload}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}")


def test_a_mebibyte_is_not_even_decoded() -> None:
    assert tokens.parse(signing.signed(as_json(claims(x="y" * (1 << 20))))) is None
    text = signing.signed(as_json(claims(x="y" * 40_000)))
    assert len(text) < TOKEN_LIMIT
    assert isinstance(verify(text), Verified)


@given(st.text(max_size=200) | st.binary(max_size=60).map(base64url))
def test_any_text_is_a_token_or_none(text: str) -> None:
    assert isinstance(tokens.parse(text), Token | None)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "tid", "cnf", "sub", "x"])


@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_signed_claims_of_any_shape_are_verified_or_refused(changes: dict[str, Any]) -> None:
    found = tokens.parse(signing.token(**changes))
    if found is None:  # too long a number
        return
    result = tokens.verify(found, signing.issuer(tenant="t"), now=NOW)
    if isinstance(result, Verified):
        assert found.iss == ISS
        assert CLUSTER in found.audience
        assert result.expires_at >= NOW - CLOCK_TOLERANCE


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "jwk", "crit", "x"]), JSON, max_size=3)
)
def test_headers_of_any_shape_are_verified_or_refused(members: dict[str, Any]) -> None:
    found = tokens.parse(signing.signed(PAYLOAD, header=members))
    assert found is not None
    result = tokens.verify(found, signing.issuer(), now=NOW)
    if isinstance(result, Verified):
        assert members.get("alg", "RS256") == "RS256"
        assert members.get("kid", "a") in ("a", None)
        assert not {"jwk", "crit"} & members.keys()
