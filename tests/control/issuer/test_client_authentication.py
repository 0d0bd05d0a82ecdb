"""Applications that show a secret or sign an assertion, and those that only pretend to."""

import base64
import uuid
from typing import Any
from urllib.parse import quote_plus

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.control.conftest import NOW, TENANT, URL, Plane
from tests.control.issuer.certificates import (
    another_certified,
    certify,
    ec_certified,
    rsa_certified,
)
from tests.control.issuer.conftest import TOKEN_PATH, Desk, refusal
from tests.control.issuer.signatures import signed
from towrope.control.issuer.client_authentication import ASSERTION_TYPE
from towrope.control.issuer.clients import TOWROPE_CLI
from towrope.control.store import service_principals
from towrope.control.store.service_principals import ApplicationCredential, secret_hash

WRONG = ("invalid_client", 7000215)
ENDPOINT = f"{URL}{TOKEN_PATH}"


async def add_credential(plane: Plane, **values: Any) -> None:
    made: dict[str, Any] = {
        "key_id": str(uuid.uuid4()),
        "app_id": plane.administrator.app_id,
        "starts": int(NOW),
        "ends": int(NOW) + 1000,
    }
    async with plane.control.services.database.writing() as connection:
        await service_principals.add_credential(connection, ApplicationCredential(**made | values))


# A secret.


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


async def by_basic(plane: Plane, headers: dict[str, str], **form: str) -> httpx2.Response:
    form = {"grant_type": "client_credentials"} | form
    return await plane.anonymous.post(TOKEN_PATH, data=form, headers=headers)


async def test_a_secret_may_come_in_the_header(desk: Desk) -> None:
    made = desk.plane.administrator
    await add_credential(desk.plane, secret_hash=secret_hash("a secret:with %+ signs"))
    for secret in (made.secret, "a secret:with %+ signs"):
        headers = basic(made.app_id, secret)
        assert (await by_basic(desk.plane, headers)).status_code == 200
        again = await by_basic(desk.plane, headers, client_id=made.app_id)
        assert again.status_code == 200
    refused = await by_basic(desk.plane, basic(made.app_id, "wrong"))
    assert refusal(refused) == WRONG
    assert refused.headers["www-authenticate"].startswith("Basic ")


async def test_a_client_has_one_id_and_one_credential(desk: Desk) -> None:
    made = desk.plane.administrator
    headers = basic(made.app_id, made.secret)
    for form in (
        {"client_id": TENANT},
        {"client_secret": made.secret},
        {"client_assertion": "x"},
    ):
        refused = await by_basic(desk.plane, headers, **form)
        assert refusal(refused)[0] == "invalid_request"
    refused = await desk.post(
        grant_type="client_credentials",
        client_id=made.app_id,
        client_secret=made.secret,
        client_assertion="x",
    )
    assert refusal(refused)[0] == "invalid_request"


@pytest.mark.parametrize("header", ["Basic %%%", "Basic /w==", "Basic"])
async def test_a_header_that_is_no_basic_authentication_is_refused(desk: Desk, header: str) -> None:
    refused = await by_basic(desk.plane, {"authorization": header})
    assert refusal(refused)[0] == "invalid_request"


async def test_another_scheme_is_not_looked_at(desk: Desk) -> None:
    made = desk.plane.administrator
    form = {"client_id": made.app_id, "client_secret": made.secret}
    answer = await by_basic(desk.plane, {"authorization": "Bearer x"}, **form)
    assert answer.status_code == 200


async def test_a_secret_is_good_in_its_time(desk: Desk) -> None:
    made = desk.plane.administrator
    await add_credential(
        desk.plane, secret_hash=secret_hash("soon"), starts=int(NOW) + 10, ends=int(NOW) + 20
    )
    seen = []
    for second in (9, 10, 19, 20):
        desk.plane.now = NOW + second
        headers = basic(made.app_id, "soon")
        seen.append((await by_basic(desk.plane, headers)).status_code)
    assert seen == [401, 200, 200, 401]


async def test_a_disabled_application_is_refused(desk: Desk) -> None:
    made = desk.plane.administrator
    async with desk.plane.control.services.database.writing() as connection:
        await service_principals.change(connection, made.app_id, account_enabled=False)
    assert refusal(await by_basic(desk.plane, basic(made.app_id, made.secret))) == WRONG


async def test_the_name_of_a_certificate_is_no_secret(desk: Desk) -> None:
    await add_credential(desk.plane, certificate=rsa_certified().certificate)
    for secret in ("", "nobody's", rsa_certified().certificate):
        headers = basic(desk.plane.administrator.app_id, secret)
        assert refusal(await by_basic(desk.plane, headers)) == WRONG


# An assertion.


async def assert_by(
    desk: Desk,
    signer: Any,
    *,
    header: dict[str, Any] | None = None,
    form: dict[str, str | None] | None = None,
    **change: Any,
) -> httpx2.Response:
    """Signs an assertion and asks for a token with it."""
    app_id = desk.plane.administrator.app_id
    claims = {
        "iss": app_id,
        "sub": app_id,
        "aud": ENDPOINT,
        "jti": str(uuid.uuid4()),
        "iat": NOW,
        "exp": NOW + 600.5,
    }
    kept = {name: value for name, value in (claims | change).items() if value is not None}
    head = {"alg": "RS256", "typ": "JWT"} | (header or {})
    return await post_assertion(desk, signed(head, kept, signer), **(form or {}))


async def post_assertion(desk: Desk, assertion: str, **change: str | None) -> httpx2.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": desk.plane.administrator.app_id,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": f"{URL}/.default",
    }
    return await desk.post(**(form | change))


@pytest.fixture
def rsa_key() -> RSAKey:
    return RSAKey.import_key(rsa_certified().private_key)


@pytest.fixture
async def certain(desk: Desk) -> Desk:
    """The application has two certificates and a secret."""
    for each in (rsa_certified(), ec_certified()):
        await add_credential(desk.plane, certificate=each.certificate)
    return desk


async def test_a_key_of_a_certificate_signs_by_its_algorithms(
    certain: Desk, rsa_key: RSAKey
) -> None:
    named: list[dict[str, Any]] = [
        {},
        {"x5t": rsa_certified().x5t},
        {"x5t#S256": rsa_certified().x5t_s256},
        {"alg": "PS256", "x5t#S256": rsa_certified().x5t_s256, "x5c": ["ignored"]},
        {"kid": "ignored"},
    ]
    for header in named:
        assert (await assert_by(certain, rsa_key, header=header)).status_code == 200, header
    elliptic = ECKey.import_key(ec_certified().private_key)
    for header in ({"alg": "ES256"}, {"alg": "ES256", "x5t": ec_certified().x5t}):
        answer = await assert_by(certain, elliptic, header=header)
        assert answer.status_code == 200
    claims = certain.claims(answer.json()["access_token"])
    assert claims["appid"] == certain.plane.administrator.app_id


@pytest.mark.parametrize(
    "audience",
    [
        ENDPOINT,
        f"{URL}/organizations/oauth2/v2.0/token",
        f"{URL}/common/oauth2/v2.0/token",
        f"{URL}/adfs/oauth2/token",
        f"{URL}/{TENANT}/v2.0",
        [ENDPOINT],
    ],
    ids=str,
)
async def test_it_is_made_for_this_issuer(certain: Desk, rsa_key: RSAKey, audience: Any) -> None:
    assert (await assert_by(certain, rsa_key, aud=audience)).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"aud": None},
        {"aud": URL},
        {"aud": []},
        {"aud": [ENDPOINT, "https://other.example.org"]},
        {"aud": ["https://other.example.org", ENDPOINT]},
        {"aud": "https://other.example.org/oauth2/v2.0/token"},
        {"iss": TENANT},
        {"sub": TENANT},
        {"iss": TENANT, "sub": TENANT},
        {"iss": None},
        {"sub": None},
        {"jti": None},
        {"jti": ""},
        {"jti": "j" * 513},
        {"exp": None},
        {"exp": NOW - 60},
        {"exp": NOW + 3661},
        {"exp": "never"},
        {"nbf": NOW + 61},
    ],
    ids=str,
)
async def test_any_claim_that_is_wrong_makes_it_no_good(
    certain: Desk, rsa_key: RSAKey, change: dict[str, Any]
) -> None:
    assert refusal(await assert_by(certain, rsa_key, **change)) == WRONG


@pytest.mark.parametrize(
    "header",
    [
        {"x5t": "AAAA"},
        {"x5t": 7},
        {"x5t#S256": "AAAA"},
        {"x5t": "", "x5t#S256": ""},
        {"jku": "https://evil.example.org/keys"},
        {"x5u": "https://evil.example.org/certificate"},
        {"jwk": {"kty": "RSA"}},
        {"crit": ["exp"]},
        {"b64": True},
        {"alg": "RS384"},
        {"alg": "PS512"},
    ],
    ids=str,
)
async def test_a_header_that_brings_a_key_or_asks_for_more_is_refused(
    certain: Desk, rsa_key: RSAKey, header: dict[str, Any]
) -> None:
    assert refusal(await assert_by(certain, rsa_key, header=header)) == WRONG


async def test_an_assertion_is_signed_by_the_clients_own_key(
    certain: Desk, rsa_key: RSAKey
) -> None:
    other = RSAKey.import_key(another_certified().private_key)
    for header in ({}, {"x5t": rsa_certified().x5t}, {"x5t": another_certified().x5t}):
        assert refusal(await assert_by(certain, other, header=header)) == WRONG
    # The public key, taken for a shared secret.
    public = rsa_key.as_pem(private=False)
    assert refusal(await assert_by(certain, public, header={"alg": "HS256"})) == WRONG
    unsigned = (await assertion_of(certain, rsa_key)).rpartition(".")[0] + "."
    assert refusal(await post_assertion(certain, unsigned)) == WRONG
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    assert refusal(await post_assertion(certain, f"{head}.{unsigned.split('.')[1]}.")) == WRONG


async def assertion_of(desk: Desk, signer: RSAKey, **change: Any) -> str:
    app_id = desk.plane.administrator.app_id
    claims = {"iss": app_id, "sub": app_id, "aud": ENDPOINT, "jti": "one", "exp": NOW + 60}
    return signed({"alg": "RS256"}, claims | change, signer)


@pytest.mark.parametrize(
    "text",
    ["", "x", "..", "W10.e30.eA", "bnVsbA.e30.eA", "e30.e30.eA", "é.é.é", "a" * 40_000],
)
async def test_what_is_no_assertion_is_refused(certain: Desk, text: str) -> None:
    assert refusal(await post_assertion(certain, text)) == WRONG


async def test_claims_that_are_no_object_are_refused(certain: Desk, rsa_key: RSAKey) -> None:
    claims: list[Any] = [[1], None, "text"]
    for each in claims:
        text = signed({"alg": "RS256"}, each, rsa_key)
        assert refusal(await post_assertion(certain, text)) == WRONG


async def test_an_assertion_is_good_once_for_one_purpose(certain: Desk, rsa_key: RSAKey) -> None:
    text = await assertion_of(certain, rsa_key)
    assert (await post_assertion(certain, text)).status_code == 200
    assert refusal(await post_assertion(certain, text)) == WRONG
    for same in (None, ".default", f"{URL}//.default", f"openid {URL}/.default offline_access"):
        assert refusal(await post_assertion(certain, text, scope=same)) == WRONG
    # MSAL uses one for as long as it lasts, for one resource after another.
    other = "6256c85f-0aad-4d50-b960-e6e9b21efe35/.default"
    assert (await post_assertion(certain, text, scope=other)).status_code == 200
    assert refusal(await post_assertion(certain, text, scope=other)) == WRONG
    # Another with the same id is the same.
    again = await assertion_of(certain, rsa_key, exp=NOW + 61)
    assert refusal(await post_assertion(certain, again)) == WRONG


async def test_an_assertion_that_failed_uses_no_id_up(certain: Desk, rsa_key: RSAKey) -> None:
    other = RSAKey.import_key(another_certified().private_key)
    assert refusal(await post_assertion(certain, await assertion_of(certain, other))) == WRONG
    text = await assertion_of(certain, rsa_key)
    assert (await post_assertion(certain, text)).status_code == 200


async def test_used_assertions_are_forgotten_when_they_have_ended(
    certain: Desk, rsa_key: RSAKey
) -> None:
    text = await assertion_of(certain, rsa_key)
    assert (await post_assertion(certain, text)).status_code == 200
    certain.plane.now += 60 + 59
    assert refusal(await post_assertion(certain, text)) == WRONG
    certain.plane.now += 2
    later = await assertion_of(certain, rsa_key, exp=certain.plane.now + 60)
    assert (await post_assertion(certain, later)).status_code == 200


async def test_an_assertion_of_nobody_is_refused(certain: Desk, rsa_key: RSAKey) -> None:
    for client_id in (TENANT, TOWROPE_CLI):
        text = await assertion_of(certain, rsa_key, iss=client_id, sub=client_id)
        assert refusal(await post_assertion(certain, text, client_id=client_id)) == WRONG


async def test_the_type_of_an_assertion_is_said(certain: Desk, rsa_key: RSAKey) -> None:
    text = await assertion_of(certain, rsa_key)
    for kind in (None, "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"):
        refused = await post_assertion(certain, text, client_assertion_type=kind)
        assert refusal(refused)[0] == "invalid_request"


async def test_other_kinds_of_keys_are_not_looked_at(desk: Desk) -> None:
    short = certify(rsa.generate_private_key(65537, 1024))  # noqa: S505
    edwards = certify(ed25519.Ed25519PrivateKey.generate())
    wide = certify(ec.generate_private_key(ec.SECP384R1()))
    for each in (short, edwards, wide):
        await add_credential(desk.plane, certificate=each.certificate)
    with pytest.warns(SecurityWarning, match="2048"):
        signer: Any = RSAKey.import_key(short.private_key)
    assert refusal(await assert_by(desk, signer)) == WRONG
    signer = OKPKey.import_key(edwards.private_key)
    assert refusal(await assert_by(desk, signer, header={"alg": "Ed25519"})) == WRONG
    signer = ECKey.import_key(wide.private_key)
    assert refusal(await assert_by(desk, signer, header={"alg": "ES384"})) == WRONG
