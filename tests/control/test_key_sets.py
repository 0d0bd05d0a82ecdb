from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from towrope.control.issuer_settings import ALGORITHMS
from towrope.control.key_sets import KEYS_LIMIT, possible_algorithms, usable_keys

EC = ECKey.generate_key("P-256")
PUBLIC = EC.as_dict(private=False) | {"kid": "one"}


def usable(*keys: Any, algorithms: tuple[str, ...] = ALGORITHMS) -> list[dict[str, Any]]:
    return usable_keys({"keys": list(keys)}, algorithms)


@pytest.fixture(scope="module")
def rsa(signing_key: RSAKey) -> dict[str, Any]:
    return dict(signing_key.as_dict(private=False)) | {"kid": "rsa"}


@pytest.mark.parametrize(
    "key",
    [
        OctKey.generate_key(256).as_dict(private=True),
        {"kty": "oct", "kid": "x"},
        EC.as_dict(private=True),
        PUBLIC | {"d": ""},
        PUBLIC | {"k": "c2VjcmV0"},
        PUBLIC | {"use": "enc"},
        PUBLIC | {"use": None},
        PUBLIC | {"key_ops": ["sign"]},
        PUBLIC | {"key_ops": "verify"},
        PUBLIC | {"kty": "AKP"},
        PUBLIC | {"kty": ["EC"]},
        PUBLIC | {"kty": "RSA"},
        PUBLIC | {"x": 1},
        PUBLIC | {"x": "AAAA"},
        PUBLIC | {"crv": "P-257"},
        ECKey.generate_key("secp256k1").as_dict(private=False),
        OKPKey.generate_key("X25519").as_dict(private=False),
        PUBLIC | {"alg": "HS256"},
        PUBLIC | {"alg": "none"},
        PUBLIC | {"alg": "RS256"},
        PUBLIC | {"alg": 1},
        PUBLIC | {"kid": ""},
        PUBLIC | {"kid": "x" * 257},
        PUBLIC | {"kid": ["one"]},
        "key",
        None,
    ],
)
def test_what_no_signature_may_be_verified_with_is_left_out(key: Any) -> None:
    assert usable(key) == []
    assert usable(key, PUBLIC) == [PUBLIC]


@pytest.mark.parametrize(
    "document", [None, [], "keys", {}, {"keys": None}, {"keys": {"kid": "one"}}], ids=str
)
def test_what_is_no_key_set_has_no_keys(document: Any) -> None:
    assert usable_keys(document, ALGORITHMS) == []


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_short_rsa_keys_are_left_out(rsa: dict[str, Any]) -> None:
    assert usable(RSAKey.generate_key(1024).as_dict(private=False), rsa) == [rsa]


def test_only_public_members_are_kept(rsa: dict[str, Any]) -> None:
    noise = {"x5c": ["MIIC"], "x5u": "https://evil.example", "issuer": "x", "x5t": "y", "ext": True}
    assert usable(rsa | noise | {"use": "sig"}) == [rsa]


def test_only_keys_for_the_algorithms_of_the_issuer(rsa: dict[str, Any]) -> None:
    assert usable(rsa, PUBLIC, algorithms=("ES256",)) == [PUBLIC]
    assert usable(rsa | {"alg": "PS256"}, algorithms=("RS256",)) == []
    assert usable(rsa, PUBLIC, algorithms=("HS256", "none")) == []


def test_an_id_names_one_key() -> None:
    other = ECKey.generate_key("P-256").as_dict(private=False)
    assert usable(PUBLIC, other | {"kid": "one"}) == [PUBLIC]
    assert usable(PUBLIC, PUBLIC) == [PUBLIC]
    # Keys without an id are told apart by themselves.
    without = {name: value for name, value in PUBLIC.items() if name != "kid"}
    bare = {name: value for name, value in other.items() if name != "kid"}
    assert usable(without, bare, without) == [without, bare]


def test_a_set_has_a_bound() -> None:
    many = [PUBLIC | {"kid": str(number)} for number in range(KEYS_LIMIT + 1)]
    assert len(usable(*many)) == KEYS_LIMIT


def test_every_kind_that_is_allowed_is_taken(rsa: dict[str, Any]) -> None:
    curves = [ECKey.generate_key(curve).as_dict(private=False) for curve in ("P-384", "P-521")]
    edwards = OKPKey.generate_key("Ed25519").as_dict(private=False)
    found = usable(rsa, PUBLIC, *curves, edwards)
    assert len(found) == 5
    assert frozenset().union(*map(possible_algorithms, found)) == set(ALGORITHMS)
    assert possible_algorithms(rsa | {"alg": "RS512"}) == {"RS512"}
