"""What each grant gives, and what it refuses; codes and refresh tokens are good once."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from tests.control.conftest import CLUSTERS, NOW, TENANT, URL, OnboardingKey
from tests.control.issuer.conftest import (
    ADA,
    ADA_NAME,
    REDIRECT,
    SCOPE,
    VERIFIER,
    Desk,
    challenge_of,
    refusal,
)
from towrope.control.issuer.clients import AZURE_CLI, TOWROPE_CLI
from towrope.control.issuer.grants import IDLE_LIMIT, SIGN_IN_LIMIT
from towrope.control.issuer.scopes import ARC_SERVER
from towrope.control.store import authorization_codes, groups, refresh_tokens, service_principals

ISSUER = f"{URL}/{TENANT}/v2.0"


async def is_signed_in(desk: Desk, token: str) -> bool:
    return (await desk.refresh(token)).status_code == 200


async def count(desk: Desk, table: str) -> int:
    async with desk.plane.control.services.database.reading() as connection:
        found = await connection.execute(text(f"select count(*) from {table}"))  # noqa: S608
        return int(found.scalar_one())


# The authorization code.


async def test_a_code_gives_tokens(desk: Desk) -> None:
    answer = await desk.redeem(await desk.code(NOW - 5), client_info="1")
    body = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert set(body) == {
        *("token_type", "scope", "expires_in", "ext_expires_in"),
        *("access_token", "refresh_token", "id_token", "client_info"),
    }
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, SCOPE)
    access, identity = desk.claims(body["access_token"]), desk.claims(body["id_token"])
    same = {
        "iss": ISSUER,
        "tid": TENANT,
        "sub": ADA,
        "oid": ADA,
        "upn": ADA_NAME,
        "preferred_username": ADA_NAME,
        "name": "Ada",
        "idtyp": "user",
        "groups": [],
        "ver": "2.0",
        "iat": int(NOW),
        "nbf": int(NOW),
        "exp": int(NOW) + 3600,
        "auth_time": int(NOW) - 5,
    }
    assert access.pop("uti") != identity.pop("uti")
    own = {"aud": URL, "appid": TOWROPE_CLI, "azp": TOWROPE_CLI, "scp": "user_impersonation"}
    assert access == same | own
    assert identity == same | {"aud": TOWROPE_CLI, "nonce": "the nonce"}


async def test_only_what_was_asked_for_is_given(desk: Desk) -> None:
    tokens = await desk.signed_in(scope="")
    assert set(tokens) == {"token_type", "scope", "expires_in", "ext_expires_in", "access_token"}
    assert tokens["scope"] == f"{URL}/.default"


async def test_the_users_access_token_is_good_here(desk: Desk) -> None:
    tokens = await desk.signed_in()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    answer = await desk.plane.anonymous.get(
        "/subscriptions", params={"api-version": "1"}, headers=headers
    )
    assert answer.status_code == 200
    headers = {"authorization": f"Bearer {tokens['id_token']}"}
    answer = await desk.plane.anonymous.get("/subscriptions", headers=headers)
    assert answer.status_code == 401


async def test_a_code_that_comes_again_ends_what_it_gave(desk: Desk) -> None:
    code = await desk.code()
    first = (await desk.redeem(code)).json()
    newer = (await desk.refresh(first["refresh_token"])).json()
    other = await desk.signed_in()
    assert refusal(await desk.redeem(code)) == ("invalid_grant", 54005)
    assert not await is_signed_in(desk, newer["refresh_token"])
    assert await is_signed_in(desk, other["refresh_token"])


async def test_of_two_at_once_one_gets_tokens(desk: Desk) -> None:
    code = await desk.code()
    answers = await asyncio.gather(*(desk.redeem(code) for _ in range(5)))
    assert sorted(a.status_code for a in answers) == [200, 400, 400, 400, 400]
    [good] = [a.json() for a in answers if a.status_code == 200]
    # The others came with the same code, so that it was not the client's alone.
    assert not await is_signed_in(desk, good["refresh_token"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"code_verifier": "w" * 43}, ("invalid_grant", 501481)),
        ({"code_verifier": challenge_of(VERIFIER)}, ("invalid_grant", 501481)),
        ({"client_id": AZURE_CLI}, ("invalid_grant", 700005)),
        ({"redirect_uri": f"{REDIRECT}/"}, ("invalid_grant", 700005)),
        ({"redirect_uri": "http://localhost:40124"}, ("invalid_grant", 700005)),
    ],
    ids=str,
)
async def test_a_code_is_bound_and_one_wrong_try_uses_it_up(
    desk: Desk, change: dict[str, Any], expected: tuple[str, int]
) -> None:
    code = await desk.code()
    assert refusal(await desk.redeem(code, **change)) == expected
    assert refusal(await desk.redeem(code)) == ("invalid_grant", 54005)
    assert await count(desk, "refresh_tokens") == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"code_verifier": None}, ("invalid_request", 900144)),
        ({"redirect_uri": None}, ("invalid_request", 900144)),
        ({"code": None}, ("invalid_request", 900144)),
        ({"code": "unknown"}, ("invalid_grant", 70008)),
        ({"client_id": None}, ("invalid_request", 900144)),
        ({"client_id": TENANT}, ("unauthorized_client", 700016)),
        ({"client_secret": "x"}, ("invalid_client", 7000215)),
    ],
    ids=str,
)
async def test_what_names_no_code_leaves_it_good(
    desk: Desk, change: dict[str, Any], expected: tuple[str, int]
) -> None:
    code = await desk.code()
    assert refusal(await desk.redeem(code, **change)) == expected
    assert (await desk.redeem(code)).status_code == 200


async def test_a_code_ends_soon(desk: Desk) -> None:
    early, late = await desk.code(), await desk.code()
    desk.plane.now += 299
    assert (await desk.redeem(early)).status_code == 200
    desk.plane.now += 1
    assert refusal(await desk.redeem(late)) == ("invalid_grant", 70008)


async def test_what_has_ended_is_removed_as_others_come(desk: Desk) -> None:
    for _ in range(3):
        await desk.code()
    desk.plane.now += 301
    await desk.code()
    assert await count(desk, "authorization_codes") == 1


async def test_an_application_may_sign_people_in(desk: Desk) -> None:
    made = desk.plane.administrator
    code = await desk.code(client_id=made.app_id)
    answer = await desk.redeem(code, client_id=made.app_id, client_secret=made.secret)
    assert desk.claims(answer.json()["access_token"])["appid"] == made.app_id
    code = await desk.code(client_id=made.app_id)
    answer = await desk.redeem(code, client_id=made.app_id)
    assert desk.claims(answer.json()["access_token"])["oid"] == ADA


@pytest.mark.parametrize(
    ("change", "code"),
    [({"account_enabled": False}, 50057), ({"valid_from": int(NOW) + 1}, 50173)],
    ids=str,
)
async def test_who_is_signed_out_gets_nothing(
    desk: Desk, change: dict[str, Any], code: int
) -> None:
    given = await desk.code()
    token = (await desk.signed_in())["refresh_token"]
    await desk.change_ada(**change)
    assert refusal(await desk.redeem(given)) == ("invalid_grant", code)
    assert refusal(await desk.refresh(token)) == ("invalid_grant", code)


async def test_who_is_deleted_gets_nothing(desk: Desk) -> None:
    given = await desk.code()
    async with desk.plane.control.services.database.writing() as connection:
        await connection.execute(text("delete from users"))
    assert refusal(await desk.redeem(given)) == ("invalid_grant", 50034)


async def test_a_sign_in_within_the_second_of_a_sign_out_counts_as_later(desk: Desk) -> None:
    await desk.change_ada(valid_from=int(NOW) + 1)
    answer = await desk.redeem(await desk.code(NOW + 1))
    assert desk.claims(answer.json()["access_token"])["iat"] == int(NOW) + 1


async def test_the_groups_are_all_groups_up_to_200(desk: Desk) -> None:
    ids = [f"{n:08d}-0000-0000-0000-000000000000" for n in range(201)]
    await desk.add_groups(*ids[:199])
    await desk.add_groups(ids[199], member=ids[0])
    tokens = await desk.signed_in()
    for name in ("access_token", "id_token"):
        assert desk.claims(tokens[name])["groups"] == ids[:200]
    await desk.add_groups(ids[200])
    tokens = await desk.signed_in()
    for name in ("access_token", "id_token"):
        claims = desk.claims(tokens[name])
        assert "groups" not in claims
        assert claims["_claim_names"] == {"groups": "src1"}
        endpoint = f"{URL}/v1.0/users/{ADA}/getMemberObjects"
        assert claims["_claim_sources"] == {"src1": {"endpoint": endpoint}}


# The refresh token.


async def test_a_refresh_token_is_replaced(desk: Desk) -> None:
    tokens = await desk.signed_in()
    desk.plane.now += 7200
    answer = (await desk.refresh(tokens["refresh_token"], client_info="1")).json()
    assert answer["refresh_token"] != tokens["refresh_token"]
    assert answer["scope"] == SCOPE
    assert desk.claims(answer["access_token"])["iat"] == int(NOW) + 7200
    assert desk.claims(answer["access_token"])["auth_time"] == int(NOW)
    assert "nonce" not in desk.claims(answer["id_token"])
    assert await is_signed_in(desk, answer["refresh_token"])


async def test_a_refresh_token_that_comes_again_ends_the_sign_in(desk: Desk) -> None:
    tokens, other = await desk.signed_in(), await desk.signed_in()
    newer = (await desk.refresh(tokens["refresh_token"])).json()
    assert refusal(await desk.refresh(tokens["refresh_token"])) == ("invalid_grant", 50173)
    assert refusal(await desk.refresh(newer["refresh_token"])) == ("invalid_grant", 700082)
    assert refusal(await desk.refresh(tokens["refresh_token"])) == ("invalid_grant", 700082)
    assert await is_signed_in(desk, other["refresh_token"])


async def test_of_two_refreshes_at_once_one_is_good_and_the_sign_in_ends(desk: Desk) -> None:
    token = (await desk.signed_in())["refresh_token"]
    answers = await asyncio.gather(*(desk.refresh(token) for _ in range(3)))
    assert sorted(a.status_code for a in answers) == [200, 400, 400]
    [good] = [a.json() for a in answers if a.status_code == 200]
    assert not await is_signed_in(desk, good["refresh_token"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"client_id": AZURE_CLI}, ("invalid_grant", 700082)),
        ({"refresh_token": "unknown"}, ("invalid_grant", 700082)),
        ({"refresh_token": None}, ("invalid_request", 900144)),
        ({"scope": "https://other.example.org/.default"}, ("invalid_resource", 500011)),
        ({"scope": f"{CLUSTERS}/shop-18/.default"}, ("invalid_resource", 500011)),
        ({"scope": "nonsense"}, ("invalid_scope", 70011)),
        ({"token_type": "pop"}, ("invalid_request", 900144)),
    ],
    ids=str,
)
async def test_a_mistake_does_not_end_the_sign_in(
    desk: Desk, change: dict[str, Any], expected: tuple[str, int]
) -> None:
    token = (await desk.signed_in())["refresh_token"]
    assert refusal(await desk.refresh(token, **change)) == expected
    assert await is_signed_in(desk, token)


async def test_a_refresh_token_serves_other_resources(
    desk: Desk, onboarding_key: OnboardingKey
) -> None:
    await desk.plane.make_group()
    await desk.plane.make_cluster(onboarding_key, "Shop-17")
    token = (await desk.signed_in())["refresh_token"]
    for resource, audience in (
        (f"{CLUSTERS}/SHOP-17".lower(), f"{CLUSTERS}/Shop-17"),
        (ARC_SERVER, ARC_SERVER),
        (URL, URL),
    ):
        scope = f"{resource}/.default"
        answer = (await desk.refresh(token, scope=scope)).json()
        assert answer["scope"] == scope
        assert "id_token" not in answer
        assert desk.claims(answer["access_token"])["aud"] == audience
        token = answer["refresh_token"]
    # Without a scope, it is for what was asked first.
    assert (await desk.refresh(token)).json()["scope"] == SCOPE


async def test_a_refresh_token_ends_unused_or_old(desk: Desk) -> None:
    unused = (await desk.signed_in())["refresh_token"]
    token = (await desk.signed_in())["refresh_token"]
    desk.plane.now += IDLE_LIMIT - 1
    token = (await desk.refresh(token)).json()["refresh_token"]
    desk.plane.now += 1
    assert refusal(await desk.refresh(unused)) == ("invalid_grant", 700082)
    desk.plane.now += IDLE_LIMIT - 10
    token = (await desk.refresh(token)).json()["refresh_token"]
    desk.plane.now += IDLE_LIMIT - 10
    token = (await desk.refresh(token)).json()["refresh_token"]
    desk.plane.now = NOW + SIGN_IN_LIMIT - 1
    token = (await desk.refresh(token)).json()["refresh_token"]
    desk.plane.now += 1
    assert refusal(await desk.refresh(token)) == ("invalid_grant", 700082)


async def test_all_sign_ins_of_a_user_can_be_ended(desk: Desk) -> None:
    tokens, code = await desk.signed_in(), await desk.code()
    async with desk.plane.control.services.database.writing() as connection:
        await refresh_tokens.remove_of(connection, ADA)
        await authorization_codes.remove_of(connection, ADA)
    assert refusal(await desk.refresh(tokens["refresh_token"])) == ("invalid_grant", 700082)
    assert refusal(await desk.redeem(code)) == ("invalid_grant", 70008)


async def test_the_database_holds_hashes_only(desk: Desk) -> None:
    tokens, code = await desk.signed_in(), await desk.code()
    async with desk.plane.control.services.database.reading() as connection:
        kept = await refresh_tokens.find(connection, tokens["refresh_token"])
        rows = [
            str(row)
            for table in ("refresh_tokens", "authorization_codes", "device_codes")
            for row in await connection.execute(text(f"select * from {table}"))  # noqa: S608
        ]
    assert len(rows) == 3
    for secret in (tokens["refresh_token"], tokens["access_token"], code):
        assert all(secret not in row for row in rows)
    assert kept is not None
    assert kept.token_hash not in repr(kept)


# The application itself.


async def application(desk: Desk, **change: str | None) -> httpx2.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": desk.plane.administrator.app_id,
        "client_secret": desk.plane.administrator.secret,
    }
    return await desk.post(**(form | change))


async def test_an_application_gets_an_access_token_and_nothing_else(desk: Desk) -> None:
    answer = await application(desk, scope=f"{URL}/.default openid offline_access", client_info="1")
    assert set(answer.json()) == {
        *("token_type", "scope", "expires_in", "ext_expires_in", "access_token"),
    }
    claims = desk.claims(answer.json()["access_token"])
    assert claims["idtyp"] == "app"
    assert claims["appid"] == claims["azp"] == desk.plane.administrator.app_id
    assert claims["sub"] == claims["oid"] != claims["appid"]
    assert claims["groups"] == [groups.ADMINISTRATORS]
    assert not {"upn", "preferred_username", "scp", "auth_time"} & set(claims)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"scope": f"{URL}/User.Read"}, ("invalid_scope", 1002012)),
        ({"scope": f"{CLUSTERS}/shop-18/.default"}, ("invalid_resource", 500011)),
        ({"client_id": AZURE_CLI}, ("invalid_client", 7000215)),
    ],
    ids=str,
)
async def test_what_an_application_cannot_have(
    desk: Desk, change: dict[str, Any], expected: tuple[str, int]
) -> None:
    assert refusal(await application(desk, **change)) == expected


async def test_a_token_of_an_application_is_not_older_than_its_last_sign_out(desk: Desk) -> None:
    async with desk.plane.control.services.database.writing() as connection:
        await service_principals.change(
            connection, desk.plane.administrator.app_id, valid_from=int(NOW) + 1
        )
    answer = await application(desk)
    assert desk.claims(answer.json()["access_token"])["iat"] == int(NOW) + 1
