"""Keys of trusted issuers: those that are fit for signatures, and nothing else, whatever comes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.agent import signing
from tests.agent.signing import base64url, ec_key, key_set, rsa_key
from towrope.agent.issuers import KEYS_LIMIT, Issuers
from towrope.wire.agent_api import Trust

PUBLIC = rsa_key().as_dict(private=False)
EC_KEY = ec_key().as_dict(private=False)
EDWARDS = OKPKey.generate_key("Ed25519", {"kid": "ed"}).as_dict(private=False)
KEY_AGREEMENT = OKPKey.generate_key("X25519").as_dict(private=False)


def keys_of(*values: Any) -> list[tuple[str | None, set[str]]]:
    issuer = signing.issuer(keys={"keys": list(values)})
    return [(key.key_id, set(key.algorithms)) for key in issuer.keys]


def test_a_key_verifies_what_its_type_and_its_own_word_allow() -> None:
    rsa = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    assert keys_of(PUBLIC) == [("a", rsa)]
    assert keys_of({**PUBLIC, "alg": "RS256", "use": "sig"}) == [("a", {"RS256"})]
    assert keys_of({**PUBLIC, "key_ops": ["verify"]}) == [("a", rsa)]
    assert keys_of(ec_key().as_dict(private=False)) == [("P-256", {"ES256"})]
    assert keys_of(ec_key("P-521").as_dict(private=False)) == [("P-521", {"ES512"})]
    assert keys_of(EDWARDS) == [("ed", {"EdDSA", "Ed25519"})]
    assert keys_of({**EDWARDS, "alg": "EdDSA"}) == [("ed", {"EdDSA"})]


def test_a_private_key_is_only_looked_at_from_outside() -> None:
    issuer = signing.issuer(keys={"keys": [rsa_key().as_dict(private=True)]})
    assert not issuer.keys[0].key.is_private


def short() -> dict[str, Any]:
    with pytest.warns(UserWarning, match="2048"):
        return {**RSAKey.generate_key(1024).as_dict(private=False), "kid": "short"}


def padded() -> dict[str, Any]:
    """A short key that is written like a long one."""
    modulus = rsa_key().public_key.public_numbers().n >> 1024
    return {**PUBLIC, "n": base64url((modulus | 1).to_bytes(256, "big"))}


UNFIT: dict[str, Any] = {
    "no object": "key",
    "nothing": {},
    "no type": {"n": PUBLIC["n"], "e": PUBLIC["e"]},
    "an unknown type": {**PUBLIC, "kty": "AKP"},
    "a type that is no text": {**PUBLIC, "kty": ["RSA"]},
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
    "for encryption": {**PUBLIC, "use": "enc"},
    "for signing alone": {**PUBLIC, "key_ops": ["sign"]},
    "operations that are no list": {**PUBLIC, "key_ops": "verify"},
    "a name that is no text": {**PUBLIC, "kid": 7},
    "for another algorithm": {**PUBLIC, "alg": "RSA-OAEP"},
    "for a symmetric algorithm": {**PUBLIC, "alg": "HS256"},
    "an algorithm that is no text": {**PUBLIC, "alg": 7},
    "without a modulus": {"kty": "RSA", "e": "AQAB"},
    "a modulus that is no number": {**PUBLIC, "n": "!"},
    "a modulus that is no text": {**PUBLIC, "n": 7},
    "a modulus without end": {**PUBLIC, "n": "A" * 5000},
    "an exponent of one": {**PUBLIC, "e": "AQ"},
    "an unknown curve": {**ec_key().as_dict(private=False), "crv": "P-192"},
    "a curve that signs nothing here": KEY_AGREEMENT,
    "a curve of others": ECKey.generate_key("secp256k1").as_dict(private=False),
    "another curve's number": {**EDWARDS, "x": KEY_AGREEMENT["x"][:-4]},
    "off the curve": {**ec_key().as_dict(private=False), "x": "AQAB"},
}


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_key_is_left_out(name: str) -> None:
    assert keys_of(UNFIT[name], PUBLIC) == keys_of(PUBLIC)


def test_a_short_key_is_left_out() -> None:
    assert keys_of(short(), padded()) == []


@pytest.mark.parametrize("keys", [{}, {"keys": None}, {"keys": {"a": PUBLIC}}, {"keys": "a"}])
def test_no_set_of_keys(keys: dict[str, Any]) -> None:
    assert signing.issuer(keys=keys).keys == ()


def test_only_so_many() -> None:
    assert len(keys_of(*[PUBLIC] * (KEYS_LIMIT + 1))) == KEYS_LIMIT


def test_of_two_with_one_iss_by_the_audience() -> None:
    first = signing.trusted(name="one", audiences=("a", "b"))
    second = signing.trusted(name="two", audiences=("c",), keys=key_set(rsa_key("b")))
    issuers = Issuers(Trust(issuers=(first, second)))
    iss = first.issuers[0]
    assert [issuers.find(iss, (aud,)).name for aud in ("b", "c", "d")] == ["one", "two", "one"]
    assert issuers.trusts(iss)
    assert not issuers.trusts(iss + "/")
    assert list(issuers) == [iss]


VALUES = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=5), max_size=2)
MEMBERS = st.sampled_from(["kty", "n", "e", "crv", "x", "y", "kid", "alg", "use", "key_ops", "d"])


@given(st.sampled_from([PUBLIC, EC_KEY, EDWARDS]), st.dictionaries(MEMBERS, VALUES))
def test_any_key_is_read_or_left_out(known: dict[str, Any], changes: dict[str, Any]) -> None:
    for _, algorithms in keys_of({**known, **changes}):
        assert all(name.startswith(("RS", "PS", "ES", "Ed")) for name in algorithms)
