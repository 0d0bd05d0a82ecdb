"""`keyCredentials`: the certificates by which an application proves who it is.

A PATCH names all that there are to be: one that is known by its `keyId` alone, one that is new with
its `key`. Private keys never come here.
"""

import base64
import datetime
import uuid
from collections.abc import Sequence

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.graph import names
from towrope.control.graph.errors import bad_request
from towrope.control.graph.objects import unix_seconds
from towrope.control.store import service_principals as store
from towrope.control.store.service_principals import ApplicationCredential

CREDENTIALS_LIMIT = 32
"""Secrets and certificates of one application."""
CERTIFICATE_LIMIT = 16 * 1024
RSA_BITS = range(2048, 8193)


class GivenKey(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """As clients send it, members that only the server sets included: those are not looked at."""

    odata_type: str | None = msgspec.field(default=None, name="@odata.type")
    custom_key_identifier: str | None = None
    display_name: str | None = None
    end_date_time: datetime.datetime | None = None
    key: str | None = None
    """DER in base64."""
    key_id: str | None = None
    start_date_time: datetime.datetime | None = None
    type: str = "AsymmetricX509Cert"
    usage: str = "Verify"


async def replace(
    connection: AsyncConnection, app_id: str, given: Sequence[GivenKey], *, now: float
) -> bool:
    """Makes `given` the application's certificates; whether one was taken away that was good.

    Raises `ArmError` (400).
    """
    there = await store.credentials_of(connection, app_id)
    certificates = {each.key_id: each for each in there if each.certificate is not None}
    kept = {str(each.key_id).lower() for each in given if each.key is None}
    unknown = kept - certificates.keys()
    if unknown:
        raise bad_request("A key credential without its key must be one that is there: see keyId.")
    added = [parse(each, app_id, now=now) for each in given if each.key is not None]
    check_room(len(there) - len(certificates) + len(kept) + len(added))
    lost = certificates.keys() - kept
    for key_id in lost:
        await store.remove_credential(connection, app_id, key_id)
    for each in added:
        await store.add_credential(connection, each)
    return any(certificates[key_id].ends > now for key_id in lost)


def check_room(count: int) -> None:
    if count > CREDENTIALS_LIMIT:
        raise bad_request(f"An application can have at most {CREDENTIALS_LIMIT} credentials.")


def parse(given: GivenKey, app_id: str, *, now: float) -> ApplicationCredential:
    """A new certificate. Raises `ArmError` (400)."""
    if (given.type, given.usage) != ("AsymmetricX509Cert", "Verify"):
        raise bad_request(
            "A key credential must be a certificate for signatures: type AsymmetricX509Cert, usage"
            " Verify."
        )
    certificate = _certificate(given.key or "")
    ends = int(certificate.not_valid_after_utc.timestamp())
    if given.end_date_time is not None:
        ends = min(ends, unix_seconds(given.end_date_time))
    if ends <= now:
        raise bad_request("The certificate, or its endDateTime, is over.")
    return ApplicationCredential(
        key_id=_key_id(given.key_id),
        app_id=app_id,
        display_name=label(given.display_name),
        certificate=certificate.public_bytes(Encoding.PEM).decode(),
        starts=int(certificate.not_valid_before_utc.timestamp()),
        ends=ends,
    )


def label(given: str | None) -> str | None:
    """What a credential is called. Raises `ArmError` (400)."""
    return None if given is None else names.text("displayName", given, limit=120)


def _certificate(text: str) -> x509.Certificate:
    try:
        der = base64.b64decode("".join(text[:CERTIFICATE_LIMIT].split()), validate=True)
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise bad_request(
            "The key of a key credential must be an X.509 certificate: DER in base64, at most"
            f" {CERTIFICATE_LIMIT} characters."
        ) from None
    if not isinstance(key, RSAPublicKey) or key.key_size not in RSA_BITS:
        raise bad_request("The certificate must have an RSA key of 2048 to 8192 bits.")
    return certificate


def _key_id(given: str | None) -> str:
    if given is None:
        return str(uuid.uuid4())
    found = names.as_guid(given)
    if found is None:
        raise bad_request("The keyId must be a GUID.")
    return found
