from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import delete

from tests.control.conftest import NOW, TENANT, URL, Plane, error_of
from towrope.control.store.tables import service_principals

ISSUER = f"{URL}/{TENANT}/v2.0"


def token(plane: Plane, *, key: ECKey | None = None, **change: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": URL,
        "tid": TENANT,
        "appid": plane.administrator.app_id,
        "iat": int(NOW),
        "nbf": int(NOW),
        "exp": int(NOW) + 3600,
    }
    kept = {name: value for name, value in (claims | change).items() if value is not None}
    signer = key or plane.settings.token_key
    return jwt.encode({"alg": "ES256"}, kept, signer, algorithms=["ES256"])


async def ask(plane: Plane, *authorization: str) -> tuple[int, str]:
    headers = [("authorization", value) for value in authorization]
    answer = await plane.anonymous.get("/tenants", params={"api-version": "1"}, headers=headers)
    return (200, "") if answer.status_code == 200 else error_of(answer)


async def test_a_good_token_passes(plane: Plane) -> None:
    assert await ask(plane, f"Bearer {token(plane)}") == (200, "")
    assert await ask(plane, f"bearer {token(plane)}") == (200, "")


@pytest.mark.parametrize(
    "change",
    [
        {"iss": f"{URL}/{TENANT}"},
        {"iss": None},
        {"aud": "https://other.example.org"},
        {"aud": None},
        {"tid": "other"},
        {"exp": int(NOW) - 61},
        {"exp": None},
        {"nbf": int(NOW) + 120},
        {"nbf": None},
        {"appid": None},
        {"appid": TENANT},
        {"appid": ["a"]},
    ],
    ids=str,
)
async def test_a_token_with_any_claim_wrong_is_refused(
    plane: Plane, change: dict[str, Any]
) -> None:
    assert await ask(plane, f"Bearer {token(plane, **change)}") == (401, "AuthenticationFailed")


async def test_tokens_of_others_are_refused(plane: Plane) -> None:
    foreign = token(plane, key=ECKey.generate_key("P-256"))
    unsigned = "eyJhbGciOiJub25lIn0." + token(plane).split(".")[1] + "."
    cut = token(plane)[:-4]
    for text in (foreign, unsigned, cut, "x", "", "." * 50, "x" * 70_000):
        assert await ask(plane, f"Bearer {text}") == (401, "AuthenticationFailed")


async def test_other_schemes_and_two_headers_are_refused(plane: Plane) -> None:
    good = f"Bearer {token(plane)}"
    for headers in ([], [""], [good[7:]], [f"Basic {good}"], [good, good], [good, "Basic eDp5"]):
        assert await ask(plane, *headers) == (401, "AuthenticationFailed")


async def test_a_token_in_the_query_is_not_looked_at(plane: Plane) -> None:
    query = {"api-version": "1", "access_token": token(plane)}
    assert (await plane.anonymous.get("/tenants", params=query)).status_code == 401


async def test_the_answer_tells_where_to_sign_in(plane: Plane) -> None:
    answer = await plane.anonymous.get("/tenants")
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(f'Bearer authorization_uri="{URL}/{TENANT}", ')


async def test_the_token_of_a_deleted_principal_is_refused(plane: Plane) -> None:
    async with plane.control.services.database.writing() as connection:
        await connection.execute(delete(service_principals))
    assert await ask(plane, f"Bearer {token(plane)}") == (401, "AuthenticationFailed")
