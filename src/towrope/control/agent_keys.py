"""Keys and certificates that clusters give: checked before they are kept.

Onboarding keys are Arc's `agentPublicKeyCertificate`; agents' keys and authorities come with their
enrolment.
"""

import base64
import binascii

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from towrope.control.arm_error import invalid_content
from towrope.wire import assertion

RSA_BITS = range(2048, 8192 + 1)
PEM_LIMIT = 16 * 1024


def check_onboarding_key(text: str) -> str:
    """`agentPublicKeyCertificate` in one form. Raises `ArmError`."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise _not_an_onboarding_key() from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size not in RSA_BITS:
        raise _not_an_onboarding_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()


def onboarding_key(text: str) -> assertion.Key:
    """The key that `check_onboarding_key` let pass."""
    key = load_der_public_key(base64.b64decode(text))
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return assertion.load_key(pem)


def check_agent_key(pem: str) -> str:
    """An agent's public key in one form. Raises `ArmError`."""
    try:
        key = load_pem_public_key(pem[:PEM_LIMIT].encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _not_an_agent_key() from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != ec.SECP256R1.name:
        raise _not_an_agent_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def check_authority(pem: str) -> str:
    """A cluster's own authority in one form: one certificate, which signs itself."""
    try:
        certificate = x509.load_pem_x509_certificate(pem[:PEM_LIMIT].encode())
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        raise _not_an_authority() from None
    if not constraints.value.ca:
        raise _not_an_authority()
    return certificate.public_bytes(Encoding.PEM).decode()


def _not_an_onboarding_key() -> Exception:
    return invalid_content(
        "The property 'agentPublicKeyCertificate' must be the base64 of an RSA public key (DER,"
        f" PKCS#1) of {RSA_BITS[0]} to {RSA_BITS[-1]} bits."
    )


def _not_an_agent_key() -> Exception:
    return invalid_content("'publicKey' must be an ECDSA P-256 public key, PEM.")


def _not_an_authority() -> Exception:
    return invalid_content("'caCertificate' must be one self-signed CA certificate, PEM.")
