from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import delete

from tests.control.conftest import NOW, TENANT, URL, Plane, error_of
from towrope.control.store import service_principals, users
from towrope.control.store.tables import service_principals as table
from towrope.control.store.users import User

ISSUER = f"{URL}/{TENANT}/v2.0"
USER = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"


async def object_id(plane: Plane) -> str:
    """Of the administrator."""
    async with plane.control.services.database.reading() as connection:
        found = await service_principals.find(connection, plane.administrator.app_id)
    assert found is not None
    return found.object_id


async def token(plane: Plane, *, key: RSAKey | None = None, **change: Any) -> str:
    me = await object_id(plane)
    claims = {
        "iss": ISSUER,
        "aud": URL,
        "tid": TENANT,
        "idtyp": "app",
        "oid": me,
        "sub": change.get("oid", me),
        "appid": plane.administrator.app_id,
        "iat": int(NOW),
        "nbf": int(NOW),
        "exp": int(NOW) + 3600,
    }
    kept = {name: value for name, value in (claims | change).items() if value is not None}
    active = plane.control.signing_keys.active
    header = {"alg": "RS256", "typ": "JWT", "kid": active.kid}
    return jwt.encode(header, kept, key or active.key, algorithms=["RS256"])


async def add_user(plane: Plane, **change: Any) -> None:
    user: dict[str, Any] = {
        "object_id": USER,
        "user_principal_name": "ada@example.org",
        "display_name": "Ada",
        "created": int(NOW),
    }
    async with plane.control.services.database.writing() as connection:
        await users.add(connection, User(**user | change))


async def ask(plane: Plane, *authorization: str) -> tuple[int, str]:
    headers = [("authorization", value) for value in authorization]
    answer = await plane.anonymous.get("/tenants", params={"api-version": "1"}, headers=headers)
    return (200, "") if answer.status_code == 200 else error_of(answer)


async def test_a_good_token_passes(plane: Plane) -> None:
    good = await token(plane)
    assert await ask(plane, f"Bearer {good}") == (200, "")
    assert await ask(plane, f"bearer {good}") == (200, "")


async def test_a_users_token_passes(plane: Plane) -> None:
    await add_user(plane)
    good = await token(plane, idtyp="user", oid=USER)
    assert await ask(plane, f"Bearer {good}") == (200, "")


@pytest.mark.parametrize("change", [{"account_enabled": False}, {"valid_from": int(NOW) + 1}])
async def test_a_user_who_is_signed_out_or_disabled_is_refused(
    plane: Plane, change: dict[str, Any]
) -> None:
    await add_user(plane, **change)
    late = await token(plane, idtyp="user", oid=USER)
    assert await ask(plane, f"Bearer {late}") == (401, "AuthenticationFailed")


@pytest.mark.parametrize("change", [{"account_enabled": False}, {"valid_from": int(NOW) + 1}])
async def test_an_application_that_is_disabled_is_refused(
    plane: Plane, change: dict[str, Any]
) -> None:
    good = await token(plane)
    async with plane.control.services.database.writing() as connection:
        await service_principals.change(connection, plane.administrator.app_id, **change)
    assert await ask(plane, f"Bearer {good}") == (401, "AuthenticationFailed")


@pytest.mark.parametrize(
    "change",
    [
        {"iss": f"{URL}/{TENANT}"},
        {"iss": None},
        {"aud": "https://other.example.org"},
        {"aud": [URL]},
        {"aud": None},
        {"tid": "other"},
        {"exp": int(NOW) - 60},
        {"exp": None},
        {"exp": "never"},
        {"nbf": int(NOW) + 120},
        {"nbf": None},
        {"iat": int(NOW) + 120},
        {"iat": None},
        {"appid": None},
        {"appid": ["a"]},
        {"oid": USER},
        {"oid": USER, "idtyp": "user"},
        {"sub": USER},
        {"idtyp": "device"},
        {"idtyp": "user"},
        {"idtyp": None},
        {"cnf": {"kid": "a"}},
    ],
    ids=str,
)
async def test_a_token_with_any_claim_wrong_is_refused(
    plane: Plane, change: dict[str, Any]
) -> None:
    bad = await token(plane, **change)
    assert await ask(plane, f"Bearer {bad}") == (401, "AuthenticationFailed")


async def test_tokens_of_others_are_refused(plane: Plane) -> None:
    good = await token(plane)
    foreign = await token(plane, key=RSAKey.generate_key(2048))
    unsigned = "eyJhbGciOiJub25lIn0." + good.split(".")[1] + "."
    for text in (foreign, unsigned, good[:-4], "x", "", "." * 50, "x" * 70_000):
        assert await ask(plane, f"Bearer {text}") == (401, "AuthenticationFailed")


async def test_other_schemes_and_two_headers_are_refused(plane: Plane) -> None:
    good = f"Bearer {await token(plane)}"
    for headers in ([], [""], [good[7:]], [f"Basic {good}"], [good, good], [good, "Basic eDp5"]):
        assert await ask(plane, *headers) == (401, "AuthenticationFailed")


async def test_a_token_in_the_query_is_not_looked_at(plane: Plane) -> None:
    query = {"api-version": "1", "access_token": await token(plane)}
    assert (await plane.anonymous.get("/tenants", params=query)).status_code == 401


async def test_the_answer_tells_where_to_sign_in(plane: Plane) -> None:
    answer = await plane.anonymous.get("/tenants")
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(f'Bearer authorization_uri="{URL}/{TENANT}", ')


async def test_the_token_of_a_deleted_principal_is_refused(plane: Plane) -> None:
    good = await token(plane)
    async with plane.control.services.database.writing() as connection:
        await connection.execute(delete(table))
    assert await ask(plane, f"Bearer {good}") == (401, "AuthenticationFailed")
