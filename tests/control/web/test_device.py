from typing import Any

import pytest

from tests.control.conftest import TENANT, URL, Plane
from tests.control.web.person import (
    ADA,
    NAME,
    PASSWORD,
    Person,
    add_user,
    authorize,
    change_user,
)
from towrope.control import throttle
from towrope.control.issuer import device_authorization
from towrope.control.issuer.clients import AZURE_CLI
from towrope.control.issuer.grants import DEVICE_CODE
from towrope.control.web import device

pytestmark = pytest.mark.usefixtures("ada")

BOB = "0b0b0b0b-1111-2222-3333-444444444444"


async def start(plane: Plane) -> dict[str, Any]:
    """A program asks for a code."""
    form = {"client_id": AZURE_CLI, "scope": f"{URL}/.default openid"}
    answer = await plane.anonymous.post(f"/{TENANT}/oauth2/v2.0/devicecode", data=form)
    started: dict[str, Any] = answer.raise_for_status().json()
    return started


async def poll(plane: Plane, started: dict[str, Any]) -> dict[str, Any]:
    plane.now += 10
    form = {
        "grant_type": DEVICE_CODE,
        "client_id": AZURE_CLI,
        "device_code": started["device_code"],
    }
    answer = await plane.anonymous.post(f"/{TENANT}/oauth2/v2.0/token", data=form)
    answered: dict[str, Any] = answer.json()
    return answered


async def confirm(plane: Plane, person: Person) -> dict[str, Any]:
    """Up to the question whether the person started this."""
    started = await start(plane)
    await person.open("/device")
    await person.send(user_code=started["user_code"])
    if person.title() == "Sign in":
        await person.sign_in()
    assert person.title() == "Is this you?"
    return started


async def test_a_person_enters_the_code_signs_in_and_confirms(plane: Plane, person: Person) -> None:
    started = await start(plane)
    await person.open("/Device")
    await person.send(user_code=f" {started['user_code'].lower()} ")
    assert person.title() == "Sign in"
    assert (await poll(plane, started))["error"] == "authorization_pending"
    page = await person.sign_in()
    for fact in ("Azure CLI", started["user_code"], "127.0.0.1", NAME, "15 Jan 2027, 08:00 UTC"):
        assert fact in page.text
    assert "Only continue if you started this on your own machine." in page.text
    assert (await poll(plane, started))["error"] == "authorization_pending"
    page = await person.send(answer="continue")
    assert person.title() == "You have signed in"
    assert "You may close this window" in page.text
    assert "access_token" in await poll(plane, started)


async def test_whoever_is_signed_in_is_still_asked(plane: Plane, person: Person) -> None:
    await person.open(authorize())
    await person.sign_in()
    started = await start(plane)
    await person.open("/device")
    await person.send(user_code=started["user_code"])
    assert person.title() == "Is this you?"
    assert (await poll(plane, started))["error"] == "authorization_pending"


async def test_a_link_brings_the_code_but_does_not_send_it(plane: Plane, person: Person) -> None:
    await confirm(plane, person)
    started = await start(plane)
    page = await person.open(f"/device?user_code={started['user_code']}")
    assert person.title() == "Enter the code"
    assert person.form().fields["user_code"] == started["user_code"]
    assert "<script" not in page.text
    assert (await poll(plane, started))["error"] == "authorization_pending"
    hostile = await person.open("/device?user_code=%22%3E%3Cscript%3E" + "x" * 100)
    assert "<script" not in hostile.text


@pytest.mark.parametrize("answer", ["cancel", "", "something"])
async def test_whoever_cancels_is_not_signed_in(plane: Plane, person: Person, answer: str) -> None:
    started = await confirm(plane, person)
    await person.send(answer=answer)
    assert person.title() == "Cancelled"
    assert (await poll(plane, started))["error"] == "access_denied"


async def test_a_person_may_use_another_account(
    plane: Plane, person: Person, password_hash: str
) -> None:
    await add_user(plane, password_hash, object_id=BOB, name="bob@example.org")
    await confirm(plane, person)
    await person.send(answer="another")
    assert person.title() == "Sign in"
    page = await person.sign_in("bob@example.org")
    assert "bob@example.org" in page.text
    assert person.title() == "Is this you?"


async def test_a_confirmation_is_of_one_account(
    plane: Plane, person: Person, password_hash: str
) -> None:
    """The page says Ada; before it is sent, Bob signs in at the same browser."""
    await add_user(plane, password_hash, object_id=BOB, name="bob@example.org")
    started = await confirm(plane, person)
    shown = person.page
    await person.open(authorize(prompt="login"))
    await person.sign_in("bob@example.org")
    person.page = shown
    assert (await person.send(answer="continue")).status_code == 403
    assert (await poll(plane, started))["error"] == "authorization_pending"


async def test_a_confirmation_is_of_one_code(plane: Plane, person: Person) -> None:
    other = await start(plane)
    await confirm(plane, person)
    page = await person.send(answer="continue", user_code=other["user_code"])
    assert page.status_code == 403
    assert (await poll(plane, other))["error"] == "authorization_pending"


async def test_a_confirmation_cannot_be_sent_from_elsewhere(
    plane: Plane, person: Person, stranger: Person
) -> None:
    started = await confirm(plane, person)
    await confirm(plane, stranger)
    token = stranger.form().fields["form_token"]
    shown = person.page
    for headers, change in (
        ({"origin": "https://evil.example"}, {}),
        ({"sec-fetch-site": "cross-site"}, {}),
        ({}, {"form_token": token}),
        ({}, {"form_token": ""}),
    ):
        person.page = shown
        page = await person.send(headers, answer="continue", **change)
        assert page.status_code == 403
    assert (await poll(plane, started))["error"] == "authorization_pending"


async def test_the_code_alone_cannot_be_sent_from_elsewhere(plane: Plane, person: Person) -> None:
    """Nor do such attempts count against the address that was made to send them."""
    started = await start(plane)
    for extra in ({}, {"username": NAME, "password": PASSWORD}):
        for _ in range(throttle.CODE_ADDRESS.allowed):
            form = {"user_code": "WRONG", **extra}
            answer = await person.client.post("/device", data=form)
            assert answer.status_code == 403
    await person.open("/device")
    await person.send(user_code=started["user_code"])
    assert person.title() == "Sign in"


async def test_a_session_that_ended_confirms_nothing(plane: Plane, person: Person) -> None:
    started = await confirm(plane, person)
    await change_user(plane, account_enabled=False)
    await person.send(answer="continue")
    assert person.problem() == device.ENDED
    assert (await poll(plane, started))["error"] == "authorization_pending"


async def test_a_code_is_good_once_and_for_a_quarter_of_an_hour(
    plane: Plane, person: Person
) -> None:
    await confirm(plane, person)
    shown = person.page
    await person.send(answer="continue")
    person.page = shown
    await person.send(answer="continue")
    assert person.problem() == device.UNKNOWN
    await confirm(plane, person)
    plane.now += device_authorization.LIFETIME
    await person.send(answer="continue")
    assert person.problem() == device.UNKNOWN


async def test_a_code_that_ends_while_somebody_signs_in_is_told(
    plane: Plane, person: Person
) -> None:
    started = await start(plane)
    await person.open("/device")
    await person.send(user_code=started["user_code"])
    plane.now += device_authorization.LIFETIME
    await person.sign_in()
    assert person.problem() == device.UNKNOWN


async def test_of_two_who_confirm_at_once_one_does(
    plane: Plane, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await confirm(plane, person)

    async def too_late(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr(device_authorization, "approve", too_late)
    await person.send(answer="continue")
    assert person.problem() == device.UNKNOWN


async def test_a_wrong_password_on_the_way_is_refused(plane: Plane, person: Person) -> None:
    started = await start(plane)
    await person.open("/device")
    await person.send(user_code=started["user_code"])
    await person.sign_in(password="not the right one")
    assert person.title() == "Error: Sign in"
    assert person.form().fields["user_code"] == started["user_code"]
    await person.sign_in()
    assert person.title() == "Is this you?"


async def test_whoever_guesses_codes_is_locked_out(plane: Plane, person: Person) -> None:
    started = await start(plane)
    await person.open("/device")
    for _ in range(throttle.CODE_ADDRESS.allowed):
        await person.send(user_code="BBBB-BBBB")
        assert person.problem() == device.UNKNOWN
    await person.send(user_code=started["user_code"])
    assert person.problem() == device.UNKNOWN
    plane.now += 60
    await person.send(user_code=started["user_code"])
    assert person.title() == "Sign in"


async def test_whoever_guesses_from_many_addresses_is_locked_out(
    plane: Plane, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = throttle.Rule(allowed=3, longest_lock=60, forgotten_after=900)
    monkeypatch.setattr(throttle, "CODE_EVERYWHERE", few)
    started = await start(plane)
    await person.open("/device")
    for number in range(3):
        monkeypatch.setattr(device, "address_of", lambda _, n=number: f"192.0.2.{n}")
        await person.send(user_code="BBBB-BBBB")
    monkeypatch.setattr(device, "address_of", lambda _: "192.0.2.99")
    await person.send(user_code=started["user_code"])
    assert person.problem() == device.UNKNOWN


async def test_right_codes_do_not_count(plane: Plane, person: Person) -> None:
    for _ in range(throttle.CODE_ADDRESS.allowed):
        await confirm(plane, person)
        await person.send(answer="continue")
        assert person.title() == "You have signed in"


async def test_the_account_that_was_shown_is_the_one(plane: Plane, person: Person) -> None:
    started = await confirm(plane, person)
    await person.send(answer="continue")
    tokens = await poll(plane, started)
    me = await plane.anonymous.get(
        "/v1.0/me", headers={"authorization": f"Bearer {tokens['access_token']}"}
    )
    assert me.json()["id"] == ADA
