import base64
import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.control.conftest import NOW
from tests.control.graph.conftest import NOBODY, V1, Directory

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "deployer")])
AnyKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def certificate(key: AnyKey, *, days: int = 30) -> x509.Certificate:
    now = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )


def credential(of: x509.Certificate, **more: Any) -> dict[str, Any]:
    """As `az` sends it."""
    return {
        "@odata.type": "#microsoft.graph.keyCredential",
        "displayName": None,
        "key": base64.encodebytes(of.public_bytes(Encoding.DER)).decode(),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        **more,
    }


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


async def test_certificates_come_stay_and_go(
    directory: Directory, rsa_key: rsa.RSAPrivateKey
) -> None:
    first = certificate(rsa_key)
    body = {"displayName": "deployer", "keyCredentials": [credential(first, keyId=NOBODY)]}
    made = (await directory.api.post(f"{V1}/applications", json=body)).json()
    path = f"/applications/{made['id']}"
    [shown] = made["keyCredentials"]
    assert (shown["keyId"], shown["key"], shown["endDateTime"]) == (
        NOBODY,
        None,
        "2027-02-14T08:00:00Z",
    )
    thumbprint = first.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - Graph's own
    assert shown["customKeyIdentifier"] == thumbprint
    more = credential(certificate(rsa_key), displayName="more", endDateTime="2027-01-20T00:00:00Z")
    answer = await directory.api.patch(V1 + path, json={"keyCredentials": [shown, more]})
    assert answer.status_code == 204
    directory.plane.notified.clear()
    principal = f"/servicePrincipals(appId='{made['appId']}')"
    both = (await directory.get(principal))["keyCredentials"]
    ends = {each["displayName"]: each["endDateTime"] for each in both}
    assert ends == {None: "2027-02-14T08:00:00Z", "more": "2027-01-20T00:00:00Z"}
    assert (await directory.application(made["appId"])).valid_from == 0
    answer = await directory.api.patch(V1 + principal, json={"keyCredentials": [shown]})
    assert answer.status_code == 204
    assert directory.took_notice()
    assert (await directory.get(path))["keyCredentials"] == [shown]
    assert (await directory.application(made["appId"])).valid_from == int(NOW) + 1


async def test_secrets_are_no_certificates(
    directory: Directory, rsa_key: rsa.RSAPrivateKey
) -> None:
    app = await directory.add_application("deployer")
    path = f"/servicePrincipals/{app.object_id}"
    secret = (await directory.api.post(f"{V1}{path}/addPassword", json={})).json()["keyId"]
    key = credential(certificate(rsa_key), keyId=NOBODY)
    answer = await directory.api.patch(V1 + path, json={"keyCredentials": [key]})
    assert answer.status_code == 204
    shown = await directory.get(path)
    assert [each["keyId"] for each in shown["passwordCredentials"]] == [secret]
    await directory.refusal("PATCH", path, {"keyCredentials": [{"keyId": secret}]})
    await directory.refusal("POST", f"{path}/removePassword", {"keyId": NOBODY})


async def test_a_key_id_is_one_keys_alone(directory: Directory, rsa_key: rsa.RSAPrivateKey) -> None:
    body = {"keyCredentials": [credential(certificate(rsa_key), keyId=NOBODY)]}
    first, second = [await directory.add_application(name) for name in ("a", "b")]
    for object_id, status in (
        (first.object_id, 204),
        (first.object_id, 204),
        (second.object_id, 409),
    ):
        answer = await directory.api.patch(f"{V1}/servicePrincipals/{object_id}", json=body)
        assert answer.status_code == status
    shown = await directory.get(f"/servicePrincipals/{second.object_id}")
    assert shown["keyCredentials"] == []
    answer = await directory.api.post(f"{V1}/applications", json={"displayName": "c", **body})
    assert answer.status_code == 409


async def test_what_is_no_good_certificate(
    directory: Directory, rsa_key: rsa.RSAPrivateKey
) -> None:
    app = await directory.add_application("deployer")
    good = certificate(rsa_key)
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    for bad in (
        credential(good, type="Symmetric"),
        credential(good, usage="Sign"),
        credential(good, keyId="x"),
        credential(good, displayName=""),
        credential(good, endDateTime="2027-01-15T08:00:00Z"),
        credential(good, proof="x"),
        credential(good, key=""),
        credential(good, key="%%%%"),
        credential(good, key=base64.b64encode(b"no certificate").decode()),
        credential(good, key="A" * 100_000),
        credential(certificate(weak)),
        credential(certificate(ec.generate_private_key(ec.SECP256R1()))),
        credential(certificate(rsa_key, days=-1)),
        {"keyId": NOBODY},
        {"keyId": None},
        {},
    ):
        body = {"keyCredentials": [bad]}
        await directory.refusal("PATCH", f"/servicePrincipals/{app.object_id}", body)
    too_many = {"keyCredentials": [credential(good)] * 33}
    await directory.refusal("PATCH", f"/servicePrincipals/{app.object_id}", too_many)
    assert not directory.plane.notified
