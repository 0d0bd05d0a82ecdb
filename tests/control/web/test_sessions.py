import re

import pytest
from sqlalchemy import text

from tests.control.conftest import TENANT, URL, Plane
from tests.control.web.person import Person, authorize, brought_back, change_user
from towrope.control.store import users

pytestmark = pytest.mark.usefixtures("ada")

COOKIE = "__Host-towrope-session"


async def sign_in(person: Person) -> str:
    await person.open(authorize(prompt="login"))
    answer = await person.sign_in()
    brought_back(answer)
    found = re.search(f"{COOKIE}=([^;]+);", answer.headers["set-cookie"])
    assert found is not None
    return found[1]


async def is_signed_in(person: Person) -> bool:
    answer = await person.open(authorize(prompt="none"))
    return "code" in brought_back(answer)


async def test_the_cookie_is_for_this_server_over_tls_and_not_for_scripts(person: Person) -> None:
    await person.open(authorize())
    answer = await person.sign_in()
    [cookie] = [c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)]
    attributes = {each.strip().lower() for each in cookie.split(";")[1:]}
    assert attributes == {"httponly", "secure", "samesite=lax", "path=/", "max-age=43200"}
    assert re.match(rf"{COOKIE}=[\w-]{{43}};", cookie)


async def test_the_database_has_no_cookie(plane: Plane, person: Person) -> None:
    cookie = await sign_in(person)
    async with plane.control.services.database.reading() as connection:
        rows = (await connection.execute(text("SELECT * FROM sign_in_sessions"))).all()
    assert len(rows) == 1
    assert cookie not in str(rows)


async def test_a_session_lasts_twelve_hours_however_much_it_is_used(
    plane: Plane, person: Person
) -> None:
    await sign_in(person)
    for _ in range(11):
        plane.now += 3600
        assert await is_signed_in(person)
    plane.now += 3600
    assert not await is_signed_in(person)


@pytest.mark.parametrize(
    "change",
    [{"account_enabled": False}, {"must_change_password": True}, {"valid_from": 1}],
)
async def test_a_session_ends_with_what_it_rests_on(
    plane: Plane, person: Person, change: dict[str, object]
) -> None:
    await sign_in(person)
    if "valid_from" in change:
        change = {"valid_from": int(plane.now) + 1}
    await change_user(plane, **change)
    assert not await is_signed_in(person)


async def test_a_session_ends_with_its_account(plane: Plane, person: Person) -> None:
    await sign_in(person)
    async with plane.control.services.database.writing() as connection:
        await users.remove(connection, "0a0a0a0a-1111-2222-3333-444444444444")
    assert not await is_signed_in(person)


async def test_signing_in_again_ends_the_session_before(
    plane: Plane, person: Person, stranger: Person
) -> None:
    first = await sign_in(person)
    second = await sign_in(person)
    assert first != second
    stranger.client.cookies.set(COOKIE, first)
    assert not await is_signed_in(stranger)
    async with plane.control.services.database.reading() as connection:
        rows = (await connection.execute(text("SELECT * FROM sign_in_sessions"))).all()
    assert len(rows) == 1


async def test_sessions_that_have_ended_leave_the_table(
    plane: Plane, person: Person, stranger: Person
) -> None:
    await sign_in(person)
    plane.now += 12 * 3600
    await sign_in(stranger)
    async with plane.control.services.database.reading() as connection:
        rows = (await connection.execute(text("SELECT * FROM sign_in_sessions"))).all()
    assert len(rows) == 1


@pytest.mark.parametrize("cookie", ["", "x", "x" * 4000, "0" * 64])
async def test_a_made_up_cookie_is_nothing(person: Person, cookie: str) -> None:
    person.client.cookies.set(COOKIE, cookie)
    assert not await is_signed_in(person)


@pytest.mark.parametrize("path", [f"/{TENANT}/oauth2/v2.0/logout", "/adfs/oauth2/logout"])
async def test_signing_out_ends_the_session(person: Person, stranger: Person, path: str) -> None:
    cookie = await sign_in(person)
    page = await person.open(path)
    assert person.title() == "You have signed out"
    assert f'{COOKIE}="";' in page.headers["set-cookie"]
    assert not await is_signed_in(person)
    stranger.client.cookies.set(COOKIE, cookie)
    assert not await is_signed_in(stranger)


async def test_signing_out_leads_to_a_program_on_the_own_machine_alone(person: Person) -> None:
    path = f"/{TENANT}/oauth2/v2.0/logout?post_logout_redirect_uri="
    answer = await person.open(f"{path}http://localhost:8400/done&state=a%26b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "http://localhost:8400/done?state=a%26b"
    assert (await person.open(f"{path}http://127.0.0.1")).headers["location"] == "http://127.0.0.1"
    for elsewhere in ("https://evil.example", "//evil.example", URL, "http://localhost@evil"):
        page = await person.open(path + elsewhere)
        assert page.status_code == 200
        assert "evil" not in page.text


async def test_signing_out_of_another_tenant_is_no_page_of_ours(person: Person) -> None:
    await sign_in(person)
    assert (await person.open("/contoso/oauth2/v2.0/logout")).status_code == 404
    assert await is_signed_in(person)
