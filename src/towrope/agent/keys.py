"""The agent's own keys: its identity towards the server, and the cluster's own authority.

Both are made in the cluster and never leave it; they live in one Secret, which all replicas share.
"""

import datetime
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from towrope.ops import certificates
from towrope.ops.certificates import KeyPair
from towrope.wire import assertion, names
from towrope.wire.assertion import Key
from towrope.wire.errors import Hop, Malformed

AGENT_KEY = "agent.key"
CA_CERTIFICATE = "ca.crt"
CA_KEY = "ca.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """PEM, all of it."""

    private_key: bytes = field(repr=False)
    authority: KeyPair

    @property
    def public_key(self) -> str:
        key = load_pem_private_key(self.private_key, None)
        return (
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        )

    @property
    def ca_certificate(self) -> str:
        return self.authority.certificate.decode()

    def signing_key(self) -> Key:
        return assertion.load_key(self.private_key)

    def as_secret(self) -> dict[str, bytes]:
        return {
            AGENT_KEY: self.private_key,
            CA_CERTIFICATE: self.authority.certificate,
            CA_KEY: self.authority.private_key,
        }


def generate(resource_id: str, *, now: datetime.datetime) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    # X.509 allows 64 characters for a common name; the hash is 64.
    authority = certificates.new_authority(names.cluster_hash(resource_id), now=now)
    return Identity(
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        authority=authority,
    )


def from_secret(data: dict[str, bytes]) -> Identity:
    """Raises `Malformed` where the Secret is not what `as_secret` wrote."""
    try:
        identity = Identity(
            private_key=data[AGENT_KEY],
            authority=KeyPair(certificate=data[CA_CERTIFICATE], private_key=data[CA_KEY]),
        )
        load_pem_private_key(identity.private_key, None)
        load_pem_private_key(identity.authority.private_key, None)
        certificates.expires_at(identity.authority.certificate)
    except (KeyError, ValueError, TypeError):
        raise Malformed(
            f"The Secret '{names.IDENTITY_SECRET}' does not hold the agent's keys. Delete the"
            " cluster and connect it again.",
            hop=Hop.AGENT,
        ) from None
    return identity
