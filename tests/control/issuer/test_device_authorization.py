import asyncio
import re
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from tests.control.conftest import TENANT, URL, Plane
from tests.control.issuer.conftest import ADA, SCOPE, Desk, refusal
from towrope.control.issuer import device_authorization
from towrope.control.issuer.clients import AZURE_CLI, TOWROPE_CLI
from towrope.control.issuer.grants import DEVICE_CODE
from towrope.control.store import device_codes, service_principals

PATH = f"/{TENANT}/oauth2/v2.0/devicecode"


async def start(desk: Desk, path: str = PATH, **change: str | None) -> httpx2.Response:
    return await desk.post(path, **({"client_id": AZURE_CLI, "scope": SCOPE} | change))


async def poll(desk: Desk, started: dict[str, Any], **change: str | None) -> httpx2.Response:
    form = {
        "grant_type": DEVICE_CODE,
        "client_id": AZURE_CLI,
        "device_code": started["device_code"],
    }
    return await desk.post(**(form | change))


async def approve(desk: Desk, user_code: str) -> bool:
    return await device_authorization.approve(
        desk.plane.control.services,
        user_code,
        object_id=ADA,
        authenticated_at=int(desk.plane.now),
    )


@pytest.mark.parametrize("path", [PATH, "/organizations/oauth2/v2.0/devicecode"])
async def test_somebody_enters_the_code_and_the_program_gets_tokens(desk: Desk, path: str) -> None:
    answer = await start(desk, path)
    assert answer.headers["cache-control"] == "no-store"
    started = answer.json()
    code = started["user_code"]
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", code)
    assert started["verification_uri"] == f"{URL}/device"
    assert (started["expires_in"], started["interval"]) == (900, 5)
    assert started["message"] == (
        f"To sign in, use a web browser to open the page {URL}/device and enter the code {code}"
        " to authenticate."
    )
    assert refusal(await poll(desk, started)) == ("authorization_pending", 70016)

    typed = f" {code.lower().replace('-', ' ')} "
    pending = await device_authorization.find(desk.plane.control.services, typed)
    assert pending is not None
    assert (pending.client.display_name, pending.scope) == ("Azure CLI", SCOPE)
    assert pending.expires_at == int(desk.plane.now) + 900
    assert await approve(desk, typed)

    desk.plane.now += 5
    tokens = (await poll(desk, started, client_info="1")).json()
    assert tokens["scope"] == SCOPE
    assert desk.claims(tokens["access_token"])["appid"] == AZURE_CLI
    assert desk.claims(tokens["id_token"])["oid"] == ADA
    assert (await desk.refresh(tokens["refresh_token"], client_id=AZURE_CLI)).status_code == 200
    # It is good once, and nobody can approve it again.
    desk.plane.now += 5
    assert refusal(await poll(desk, started)) == ("invalid_grant", 70019)
    assert not await approve(desk, code)


async def test_a_sign_in_can_be_refused(desk: Desk) -> None:
    started = (await start(desk)).json()
    services = desk.plane.control.services
    assert await device_authorization.deny(services, started["user_code"])
    assert refusal(await poll(desk, started)) == ("access_denied", 65004)
    assert not await approve(desk, started["user_code"])
    assert not await device_authorization.deny(services, started["user_code"])
    assert await device_authorization.find(services, started["user_code"]) is None


async def test_a_code_ends(desk: Desk) -> None:
    started, other = (await start(desk)).json(), (await start(desk)).json()
    assert await approve(desk, started["user_code"])
    desk.plane.now += 900
    assert refusal(await poll(desk, started)) == ("expired_token", 70020)
    assert not await approve(desk, other["user_code"])
    desk.plane.now += 1
    await start(desk)
    assert refusal(await poll(desk, other)) == ("invalid_grant", 70019)


async def test_who_asks_too_often_waits(desk: Desk) -> None:
    started = (await start(desk)).json()
    assert refusal(await poll(desk, started))[0] == "authorization_pending"
    desk.plane.now += 3
    assert await approve(desk, started["user_code"])
    assert refusal(await poll(desk, started))[0] == "slow_down"
    desk.plane.now += 3
    assert refusal(await poll(desk, started))[0] == "slow_down"
    desk.plane.now += 4
    assert (await poll(desk, started)).status_code == 200


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"client_id": TOWROPE_CLI}, ("invalid_grant", 70019)),
        ({"device_code": "unknown"}, ("invalid_grant", 70019)),
        ({"device_code": None}, ("invalid_request", 900144)),
    ],
    ids=str,
)
async def test_the_code_is_the_clients_alone(
    desk: Desk, change: dict[str, Any], expected: tuple[str, int]
) -> None:
    started = (await start(desk)).json()
    assert await approve(desk, started["user_code"])
    assert refusal(await poll(desk, started, **change)) == expected
    assert (await poll(desk, started)).status_code == 200


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"client_id": None}, ("invalid_request", 900144)),
        ({"client_id": TENANT}, ("unauthorized_client", 700016)),
        ({"client_secret": "wrong"}, ("invalid_client", 7000215)),
        ({"scope": "nonsense"}, ("invalid_scope", 70011)),
        ({"scope": "https://other.example.org/.default"}, ("invalid_resource", 500011)),
    ],
    ids=str,
)
async def test_what_is_not_started(
    desk: Desk, change: dict[str, Any], expected: tuple[str, int]
) -> None:
    assert refusal(await start(desk, **change)) == expected


async def test_the_program_of_a_disabled_application_is_not_shown(desk: Desk) -> None:
    app_id = desk.plane.administrator.app_id
    started = (await start(desk, client_id=app_id)).json()
    services = desk.plane.control.services
    assert await device_authorization.find(services, started["user_code"]) is not None
    async with services.database.writing() as connection:
        await service_principals.change(connection, app_id, account_enabled=False)
    assert await device_authorization.find(services, started["user_code"]) is None


async def test_a_sign_out_ends_what_was_approved(desk: Desk) -> None:
    started = (await start(desk)).json()
    assert await approve(desk, started["user_code"])
    async with desk.plane.control.services.database.writing() as connection:
        await device_codes.remove_of(connection, ADA)
    assert refusal(await poll(desk, started)) == ("invalid_grant", 70019)


async def test_one_address_cannot_have_them_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_authorization, "ADDRESS_LIMIT", 2)
    assert (await start(desk)).status_code == 200
    desk.plane.now += 450
    assert (await start(desk)).status_code == 200
    refused = await start(desk)
    assert refused.status_code == 429
    assert refusal(refused) == ("temporarily_unavailable", 90055)
    desk.plane.now += 450
    assert (await start(desk)).status_code == 200
    assert (await start(desk)).status_code == 429


async def test_codes_that_wait_are_few_enough_not_to_be_guessed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_authorization, "PENDING_LIMIT", 2)
    assert (await start(desk)).status_code == 200
    assert (await start(desk)).status_code == 200
    assert (await start(desk)).status_code == 429
    desk.plane.now += 901
    assert (await start(desk)).status_code == 200


async def test_the_database_does_not_hold_the_codes(plane: Plane, desk: Desk) -> None:
    started = (await start(desk)).json()
    async with plane.control.services.database.reading() as connection:
        [row] = await connection.execute(text("select * from device_codes"))
        kept = await device_codes.find(connection, started["device_code"])
    assert started["device_code"] not in str(row)
    assert started["user_code"] not in str(row)
    assert row.user_code_hash not in repr(kept)
    assert row.code_hash not in repr(kept)


async def test_of_two_polls_at_once_one_gets_tokens(desk: Desk) -> None:
    started = (await start(desk)).json()
    assert await approve(desk, started["user_code"])
    answers = await asyncio.gather(*(poll(desk, started) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
