"""A sign-in that its client ends is over, for that client alone and for nobody else."""

import pytest

from tests.control.conftest import TENANT
from tests.control.issuer.conftest import ADA, Desk, refusal
from towrope.control.issuer.clients import AZURE_CLI, TOWROPE_CLI

PATHS = (f"/{TENANT}/oauth2/v2.0/revoke", "/adfs/oauth2/revoke")


@pytest.mark.parametrize("path", PATHS)
async def test_a_revoked_sign_in_gives_nothing_more(desk: Desk, path: str) -> None:
    first = (await desk.signed_in())["refresh_token"]
    second = (await desk.refresh(first)).json()["refresh_token"]
    answer = await desk.post(path, token=second, client_id=TOWROPE_CLI)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert refusal(await desk.refresh(second)) == ("invalid_grant", 700082)


async def test_any_token_of_a_sign_in_ends_all_of_it(desk: Desk) -> None:
    first = (await desk.signed_in())["refresh_token"]
    second = (await desk.refresh(first)).json()["refresh_token"]
    assert (await desk.post(PATHS[0], token=first, client_id=TOWROPE_CLI)).status_code == 200
    assert refusal(await desk.refresh(second))[0] == "invalid_grant"


async def test_other_sign_ins_go_on(desk: Desk) -> None:
    one, other = [(await desk.signed_in())["refresh_token"] for _ in range(2)]
    await desk.post(PATHS[0], token=one, client_id=TOWROPE_CLI)
    assert (await desk.refresh(other)).status_code == 200


async def test_another_client_ends_nothing(desk: Desk) -> None:
    token = (await desk.signed_in())["refresh_token"]
    answer = await desk.post(PATHS[0], token=token, client_id=AZURE_CLI)
    assert refusal(answer) == ("invalid_grant", 700082)
    assert (await desk.refresh(token)).status_code == 200


async def test_a_token_that_nobody_knows_is_ended_already(desk: Desk) -> None:
    answer = await desk.post(PATHS[0], token="x", client_id=TOWROPE_CLI)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_id": TOWROPE_CLI}, "invalid_request"),
        ({"token": "x"}, "invalid_request"),
        (
            {"token": "x", "client_id": ADA},
            "unauthorized_client",
        ),
        ({"token": "x", "client_id": TOWROPE_CLI, "client_secret": "wrong"}, "invalid_client"),
    ],
)
async def test_what_is_no_request(desk: Desk, form: dict[str, str], error: str) -> None:
    assert refusal(await desk.post(PATHS[0], **form))[0] == error


async def test_a_tenant_of_nobody(desk: Desk) -> None:
    path = "/contoso.example/oauth2/v2.0/revoke"
    answer = await desk.post(path, token="x", client_id=TOWROPE_CLI)
    assert refusal(answer)[0] == "invalid_request"
