"""The one-time key, and what is registered. The rest needs a cluster: see `cli/test_connect.py`."""

import base64
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from towrope.client.onboarding import OnboardingKey, Wanted, new_onboarding_key, resource_body
from towrope.client.preflight import Facts

FACTS = Facts(distribution="k3s", infrastructure="aws", connected_as=None)
KEY = OnboardingKey(private="s3cret", public="UFVC")


def test_key_pair_is_as_arc_has_it() -> None:
    key = new_onboarding_key()
    assert key.private.startswith("-----BEGIN RSA PRIVATE KEY-----")
    der = base64.b64decode(key.public, validate=True)
    public = load_der_public_key(der)
    assert isinstance(public, RSAPublicKey)
    assert public.key_size == 4096
    # PKCS #1: the two numbers, with no algorithm around them.
    assert public.public_bytes(Encoding.DER, PublicFormat.PKCS1) == der
    private = load_pem_private_key(key.private.encode(), None)
    assert private.public_key() == public
    assert "PRIVATE" not in repr(key)


WANTED = Wanted(resource_group="shops", name="a", tags={"t": "x"})


def test_guesses_are_registered_unless_something_else_is_wanted() -> None:
    body = resource_body(WANTED, FACTS, group={"location": "local"}, key=KEY)
    assert body == {
        "location": "local",
        "tags": {"t": "x"},
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "agentPublicKeyCertificate": "UFVC",
            "distribution": "k3s",
            "infrastructure": "aws",
        },
    }
    other = replace(WANTED, location="north", distribution="kind", infrastructure="generic")
    body = resource_body(other, FACTS, group={"location": "local"}, key=KEY)
    assert body["location"] == "north"
    assert body["properties"]["distribution"] == "kind"
    assert body["properties"]["infrastructure"] == "generic"
