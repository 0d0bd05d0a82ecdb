import base64
import json
from typing import Any

import pytest

from tests.control.issuer.conftest import Desk, refusal
from towrope.control.issuer.scopes import ARC_SERVER


def request_for(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


async def test_a_token_is_bound_to_the_key_that_is_named(desk: Desk) -> None:
    token = (await desk.signed_in())["refresh_token"]
    for cut in (0, 1, 2):
        asked = request_for({"kid": "k" * (41 + cut), "xms_ksl": "sw"})
        answer = (
            await desk.refresh(
                token,
                scope=f"{ARC_SERVER}/.default",
                token_type="pop",
                key_id="k" * (41 + cut),
                req_cnf=asked.rstrip("="),
            )
        ).json()
        assert answer["token_type"] == "pop"
        claims = desk.claims(answer["access_token"])
        assert claims["aud"] == ARC_SERVER
        assert claims["cnf"] == {"kid": "k" * (41 + cut), "xms_ksl": "sw"}
        token = answer["refresh_token"]


async def test_a_bound_token_is_no_bearer_token_here(desk: Desk) -> None:
    token = (await desk.signed_in())["refresh_token"]
    bound = (await desk.refresh(token, token_type="pop", req_cnf=request_for({"kid": "k"}))).json()
    headers = {"authorization": f"Bearer {bound['access_token']}"}
    answer = await desk.plane.anonymous.get("/subscriptions", headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"req_cnf": "%%%"},
        {"req_cnf": request_for([])},
        {"req_cnf": request_for({"kid": ""})},
        {"req_cnf": request_for({"kid": 7})},
        {"req_cnf": request_for({"kid": "k" * 129})},
        {"req_cnf": request_for({"kid": "k" * 2000})},
        {"req_cnf": request_for({"kid": "k"}), "key_id": "another"},
    ],
)
async def test_what_names_no_key_is_refused(desk: Desk, change: dict[str, str]) -> None:
    token = (await desk.signed_in())["refresh_token"]
    answer = await desk.refresh(token, token_type="pop", **change)
    assert refusal(answer)[0] == "invalid_request"
