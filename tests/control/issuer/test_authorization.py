from typing import Any

import pytest

from tests.control.conftest import TENANT, URL, Plane
from tests.control.issuer.conftest import ADA, REDIRECT, REQUEST, Desk, parameters_of
from towrope.control.issuer import authorization
from towrope.control.issuer.authorization import (
    AuthorizationRequest,
    PageError,
    Prompt,
    RedirectError,
    ResponseMode,
)
from towrope.control.issuer.clients import AZURE_CLI
from towrope.control.store import authorization_codes, service_principals

ISSUER = f"{URL}/{TENANT}/v2.0"


async def parse(plane: Plane, **change: str | None) -> AuthorizationRequest:
    given = {name: value for name, value in (REQUEST | change).items() if value is not None}
    return await authorization.parse(plane.control.services, list(given.items()))


async def test_what_is_asked_is_read(plane: Plane) -> None:
    request = await parse(
        plane,
        response_mode="form_post",
        prompt="login consent",
        login_hint="ada@example.org",
        domain_hint="example.org",
        max_age="60",
        claims='{"access_token":{}}',
        client_info="1",
    )
    assert request.client.display_name == "Towrope CLI"
    assert request.redirect_uri == REDIRECT
    assert request.response_mode is ResponseMode.FORM_POST
    assert request.prompts == {Prompt.LOGIN, Prompt.CONSENT}
    assert (request.login_hint, request.domain_hint) == ("ada@example.org", "example.org")
    assert (request.state, request.nonce, request.max_age) == ("the state", "the nonce", 60)


async def test_what_need_not_be_given(plane: Plane) -> None:
    request = await parse(plane, state=None, nonce=None, client_id=AZURE_CLI.upper())
    assert request.client.display_name == "Azure CLI"
    assert request.response_mode is ResponseMode.QUERY
    assert (request.state, request.nonce, request.max_age) == (None, None, None)
    assert (request.prompts, request.login_hint, request.domain_hint) == (frozenset(), "", "")


async def test_an_application_is_a_client_unless_it_is_disabled(plane: Plane) -> None:
    app_id = plane.administrator.app_id
    assert (await parse(plane, client_id=app_id)).client.display_name == "administrator"
    async with plane.control.services.database.writing() as connection:
        await service_principals.change(connection, app_id, account_enabled=False)
    with pytest.raises(PageError):
        await parse(plane, client_id=app_id)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_id": None}, 900144),
        ({"client_id": TENANT}, 700016),
        ({"client_id": "x" * 70_000}, 700016),
        ({"redirect_uri": None}, 50011),
        ({"redirect_uri": "https://localhost"}, 50011),
        ({"redirect_uri": "http://localhost@evil.com"}, 50011),
        ({"redirect_uri": "http://localhost.evil.com", "response_type": "token"}, 50011),
    ],
    ids=str,
)
async def test_nobody_is_sent_where_the_client_may_not_be(
    plane: Plane, change: dict[str, Any], code: int
) -> None:
    with pytest.raises(PageError) as shown:
        await parse(plane, **change)
    assert shown.value.cause.code == code


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_an_address_given_twice_is_none(plane: Plane, name: str) -> None:
    twice = [*REQUEST.items(), (name, REQUEST[name])]
    with pytest.raises(PageError):
        await authorization.parse(plane.control.services, twice)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "web_message"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "=" * 43}, "invalid_request"),
        ({"code_challenge": "a" * 44}, "invalid_request"),
        ({"prompt": "please"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1" * 20}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
        ({"login_hint": "n" * 257}, "invalid_request"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"scope": "https://other.example.org/.default"}, "invalid_resource"),
    ],
    ids=str,
)
async def test_the_client_is_told_what_is_wrong(
    plane: Plane, change: dict[str, Any], error: str
) -> None:
    with pytest.raises(RedirectError) as refused:
        await parse(plane, **change)
    response = refused.value.response
    assert response.location.startswith(f"{REDIRECT}?")
    told = parameters_of(response.location)
    assert set(told) == {"error", "error_description", "state", "iss"}
    assert (told["error"], told["state"], told["iss"]) == (error, "the state", ISSUER)
    assert told["error_description"].startswith("AADSTS")


async def test_errors_go_the_way_that_was_asked_for(plane: Plane) -> None:
    for mode in ResponseMode:
        with pytest.raises(RedirectError) as refused:
            await parse(plane, response_mode=mode.value, response_type="token")
        assert refused.value.response.response_mode is mode
    with pytest.raises(RedirectError) as refused:
        await parse(plane, response_mode="fragment", response_type="token", state=None)
    assert refused.value.response.location.startswith(f"{REDIRECT}#error=")
    assert "state" not in refused.value.response.parameters


async def test_a_parameter_given_twice_is_refused(plane: Plane) -> None:
    for name in ("scope", "state", "code_challenge"):
        twice = [*REQUEST.items(), (name, "other")]
        with pytest.raises(RedirectError) as refused:
            await authorization.parse(plane.control.services, twice)
        told = refused.value.response.parameters
        assert told["error"] == "invalid_request"
        assert ("state" in told) is (name != "state")


async def test_the_code_is_in_the_answer_and_nowhere_else(desk: Desk) -> None:
    services = desk.plane.control.services
    request = await parse(desk.plane)
    answer = await authorization.grant(
        services, request, object_id=ADA, authenticated_at=int(desk.plane.now)
    )
    told = parameters_of(answer.location)
    assert set(told) == {"code", "state", "iss"}
    assert (told["state"], told["iss"]) == ("the state", ISSUER)
    assert told["code"] not in repr(answer)
    async with services.database.reading() as connection:
        kept = await authorization_codes.find(connection, told["code"])
    assert kept is not None
    assert told["code"] != kept.code_hash
    assert kept.code_hash not in repr(kept)


async def test_a_refusal_is_told(plane: Plane) -> None:
    request = await parse(plane)
    for cause in (authorization.login_required(), authorization.access_denied()):
        told = authorization.refuse(plane.control.services, request, cause).parameters
        assert told["error"] == cause.error
        assert told["state"] == "the state"
