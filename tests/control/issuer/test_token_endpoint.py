import hashlib
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.control.conftest import TENANT, URL, Plane, sign_in
from towrope.control import administrator
from towrope.control.store import service_principals

PATH = f"/{TENANT}/oauth2/v2.0/token"


async def post(plane: Plane, **change: Any) -> httpx2.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": plane.administrator.app_id,
        "client_secret": plane.administrator.secret,
        "scope": f"{URL}/.default",
    }
    kept = {name: value for name, value in (form | change).items() if value is not None}
    return await plane.anonymous.post(PATH, data=kept)


async def test_the_token_is_verified_with_the_published_keys(plane: Plane) -> None:
    answer = await post(plane)
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    found = (await plane.anonymous.get(f"/{TENANT}/v2.0/.well-known/openid-configuration")).json()
    assert found["token_endpoint"] == f"{URL}{PATH}"
    keys = (await plane.anonymous.get(found["jwks_uri"])).json()
    assert all("d" not in key for key in keys["keys"])
    token = jwt.decode(body["access_token"], KeySet.import_key_set(keys), algorithms=["RS256"])
    claims = token.claims
    assert claims["iss"] == found["issuer"] == f"{URL}/{TENANT}/v2.0"
    assert claims["aud"] == URL
    assert claims["tid"] == TENANT
    assert claims["appid"] == claims["azp"] == plane.administrator.app_id
    assert claims["sub"] == claims["oid"] != claims["appid"]
    assert (claims["idtyp"], claims["ver"]) == ("app", "2.0")
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_secret": "nobody's"}, 401, "invalid_client"),
        ({"client_id": TENANT}, 401, "invalid_client"),
        ({"client_id": TENANT, "client_secret": "nobody's"}, 401, "invalid_client"),
        ({"client_id": None}, 400, "invalid_request"),
        ({"client_id": "' or 1=1 --"}, 401, "invalid_client"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "https://graph.example.org/.default"}, 400, "invalid_resource"),
        ({"client_id": ["a", "b"]}, 400, "invalid_request"),
    ],
    ids=str,
)
async def test_what_is_wrong_is_said_in_oauths_words(
    plane: Plane, change: dict[str, Any], status: int, error: str
) -> None:
    answer = await post(plane, **change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {
        *("error", "error_description", "error_codes"),
        *("timestamp", "trace_id", "correlation_id"),
    }
    assert answer.headers["cache-control"] == "no-store"
    assert plane.administrator.secret not in answer.text


@pytest.mark.parametrize("scope", [None, f"{URL}/.default", f"{URL}//.default"])
async def test_the_scope_is_this_server(plane: Plane, scope: str | None) -> None:
    assert (await post(plane, scope=scope)).status_code == 200


@pytest.mark.parametrize("content", [b"\xff", b"a=" + b"x" * 70_000, b"&".join([b"a=b"] * 100)])
async def test_what_is_no_form_is_refused(plane: Plane, content: bytes) -> None:
    assert (await plane.anonymous.post(PATH, content=content)).status_code in (400, 413)


async def test_another_tenant_is_refused_everywhere(plane: Plane) -> None:
    for path in ("discovery/v2.0/keys", "v2.0/.well-known/openid-configuration"):
        assert (await plane.anonymous.get(f"/other/{path}")).status_code == 400
    answer = await plane.anonymous.post("/other/oauth2/v2.0/token")
    assert answer.json()["error"] == "invalid_request"


async def test_a_token_ends_after_an_hour(plane: Plane) -> None:
    headers = {"authorization": f"Bearer {await sign_in(plane)}"}
    plane.now += 3600 + 59
    query = {"api-version": "1"}
    good = await plane.anonymous.get("/subscriptions", params=query, headers=headers)
    assert good.status_code == 200
    plane.now += 2
    late = await plane.anonymous.get("/subscriptions", params=query, headers=headers)
    assert late.status_code == 401


async def test_there_is_one_administrator_whose_secret_is_not_kept(plane: Plane) -> None:
    database = plane.control.services.database
    delivered: list[administrator.Credential] = []
    await administrator.ensure(database, deliver=delivered.append)
    assert delivered == []
    made = plane.administrator
    async with database.reading() as connection:
        [kept] = await service_principals.credentials_of(connection, made.app_id.upper())
    assert kept.secret_hash == hashlib.sha256(made.secret.encode()).hexdigest()
    assert made.secret not in repr(made)
    assert kept.secret_hash not in repr(kept)
