import pytest

from tests.control.conftest import TENANT, URL, Plane
from tests.control.web.person import (
    ADA,
    AUTHORIZE,
    LOOPBACK,
    NAME,
    Person,
    authorize,
    brought_back,
    change_user,
)
from towrope.control.issuer import authorization
from towrope.control.issuer.clients import TOWROPE_CLI
from towrope.control.store import authorization_codes
from towrope.control.store.users import User

ADFS = "/adfs/oauth2/authorize"
pytestmark = pytest.mark.usefixtures("ada")


async def granted_to(plane: Plane, code: str) -> str | None:
    async with plane.control.services.database.reading() as connection:
        found = await authorization_codes.find(connection, code)
    return found.object_id if found else None


@pytest.mark.parametrize(
    "path",
    [
        AUTHORIZE,
        ADFS,
        "/organizations/oauth2/v2.0/authorize",
        f"/{TENANT.upper()}/OAuth2/v2.0/Authorize",
    ],
)
async def test_a_person_signs_in_and_the_program_gets_a_code(
    plane: Plane, person: Person, path: str
) -> None:
    page = await person.open(authorize(path))
    assert page.status_code == 200
    assert "Azure CLI" in page.text
    back = brought_back(await person.sign_in())
    assert back.keys() == {"code", "state", "iss"}
    assert back["state"] == "a state"
    assert await granted_to(plane, back["code"]) == ADA


async def test_whoever_is_signed_in_is_not_asked_again(plane: Plane, person: Person) -> None:
    await person.open(authorize())
    await person.sign_in()
    plane.now += 3600
    back = brought_back(await person.open(authorize()))
    assert await granted_to(plane, back["code"]) == ADA


async def test_the_code_says_when_the_person_signed_in(plane: Plane, person: Person) -> None:
    await person.open(authorize())
    await person.sign_in()
    signed_in_at = plane.now
    plane.now += 600
    back = brought_back(await person.open(authorize()))
    async with plane.control.services.database.reading() as connection:
        found = await authorization_codes.find(connection, back["code"])
    assert found is not None
    assert found.authenticated_at == signed_in_at


async def test_the_answer_comes_by_fragment_if_asked(person: Person) -> None:
    await person.open(authorize(response_mode="fragment"))
    answer = await person.sign_in()
    assert answer.headers["location"].startswith(f"{LOOPBACK}#code=")


async def test_the_answer_comes_by_form_if_asked(plane: Plane, person: Person) -> None:
    await person.open(authorize(response_mode="form_post", state='"><script>alert(1)</script>'))
    page = await person.sign_in()
    form = person.form()
    assert form.action == LOOPBACK
    assert form.fields["state"] == '"><script>alert(1)</script>'
    assert page.text.count("<script>") == 1
    assert await granted_to(plane, form.fields["code"]) == ADA
    policy = page.headers["content-security-policy"]
    assert "script-src 'sha256-" in policy
    assert f"form-action 'self' {LOOPBACK};" in policy
    assert '<button type="submit"' in page.text


async def test_nobody_is_asked_where_the_program_forbids_it(plane: Plane, person: Person) -> None:
    refused = brought_back(await person.open(authorize(prompt="none")))
    assert refused["error"] == "login_required"
    assert refused["state"] == "a state"
    await person.open(authorize())
    await person.sign_in()
    assert "code" in brought_back(await person.open(authorize(prompt="none")))
    plane.now += 100
    too_old = brought_back(await person.open(authorize(prompt="none", max_age="99")))
    assert too_old["error"] == "login_required"
    other = brought_back(await person.open(authorize(prompt="none", login_hint="bob@example.org")))
    assert other["error"] == "login_required"


@pytest.mark.parametrize("wish", [{"prompt": "login"}, {"max_age": "10"}, {"prompt": "create"}])
async def test_a_program_may_want_a_fresh_sign_in(
    plane: Plane, person: Person, wish: dict[str, str]
) -> None:
    await person.open(authorize())
    await person.sign_in()
    plane.now += 60
    await person.open(authorize(**wish))
    assert person.title() == "Sign in"
    assert person.form().fields["username"] == NAME
    assert "code" in brought_back(await person.sign_in())


async def test_the_name_that_the_program_hints_at_is_filled_in(person: Person) -> None:
    await person.open(authorize(login_hint='"><b>bob'))
    assert person.form().fields["username"] == '"><b>bob'
    await person.sign_in()
    await person.open(authorize(login_hint="bob@example.org"))
    assert person.form().fields["username"] == "bob@example.org"
    assert "code" in brought_back(await person.open(authorize(login_hint=NAME.upper())))


async def test_a_person_may_choose_the_account(plane: Plane, person: Person) -> None:
    await person.open(authorize(prompt="select_account"))
    assert person.title() == "Sign in"
    await person.sign_in()
    page = await person.open(authorize(prompt="select_account"))
    assert person.title() == "Choose an account"
    assert NAME in page.text
    back = brought_back(await person.send(account="current"))
    assert await granted_to(plane, back["code"]) == ADA
    await person.open(authorize(prompt="select_account"))
    await person.send(account="another")
    assert person.title() == "Sign in"


async def test_what_was_chosen_is_not_good_for_another_session(
    person: Person, stranger: Person
) -> None:
    """The page names an account; by the time it is sent, another one is signed in."""
    await person.open(authorize())
    await person.sign_in()
    chosen = await person.open(authorize(prompt="select_account"))
    await person.open(authorize(prompt="login"))
    await person.sign_in()
    person.page = chosen
    assert (await person.send(account="current")).status_code == 403


async def test_a_session_that_ended_meanwhile_is_no_choice(plane: Plane, person: Person) -> None:
    await person.open(authorize())
    await person.sign_in()
    await person.open(authorize(prompt="select_account"))
    plane.now += 12 * 3600
    await person.send(account="current")
    assert person.title() == "Sign in"


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uri": "https://evil.example"},
        {"redirect_uri": "http://localhost.evil.example"},
        {"redirect_uri": "http://localhost:80@evil.example/"},
        {"redirect_uri": "//evil.example"},
        {"redirect_uri": "http://localhost\\@evil.example"},
        {"redirect_uri": None},
        {"client_id": "00000000-0000-0000-0000-000000000000"},
        {"client_id": None},
    ],
)
async def test_a_stranger_is_told_nothing(person: Person, change: dict[str, str | None]) -> None:
    """RFC 6749 §10.15: no page of ours sends anybody to an address that a link brought."""
    await person.open(authorize())
    await person.sign_in()
    for url in (authorize(**change), authorize(ADFS, **change)):
        page = await person.open(url)
        assert page.status_code == 400
        assert "location" not in page.headers
        assert "AADSTS" in page.text
        assert page.headers["x-ms-request-id"] in page.text
        assert 'href="http' not in page.text


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": f"{URL}/subscriptions/none/.default"}, "invalid_resource"),
        ({"prompt": "none login"}, "invalid_request"),
    ],
)
async def test_a_program_is_told_what_is_wrong(
    person: Person, change: dict[str, str | None], error: str
) -> None:
    assert brought_back(await person.open(authorize(**change)))["error"] == error
    await person.open(authorize(**change, response_mode="form_post"))
    assert person.form().fields["error"] == error


async def test_the_request_is_read_anew_when_the_form_comes(person: Person) -> None:
    """The address of the form was changed, after the page was shown."""
    await person.open(authorize())
    fields = person.form().fields | {"username": NAME, "password": "correct horse battery"}
    for change in ({"redirect_uri": "https://evil.example"}, {"code_challenge_method": "plain"}):
        answer = await person.client.post(authorize(**change), data=fields)
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "__Host-towrope-session" not in answer.headers.get("set-cookie", "")


async def test_another_tenant_is_not_here(person: Person) -> None:
    page = await person.open(authorize("/contoso/oauth2/v2.0/authorize"))
    assert page.status_code == 400
    assert "AADSTS90002" in page.text


async def test_any_program_of_the_server_may_ask(person: Person) -> None:
    page = await person.open(authorize(client_id=TOWROPE_CLI))
    assert "Towrope CLI" in page.text


async def test_a_disabled_account_gets_no_code_by_its_session(plane: Plane, person: Person) -> None:
    await person.open(authorize())
    await person.sign_in()
    await change_user(plane, account_enabled=False)
    await person.open(authorize())
    assert person.title() == "Sign in"


@pytest.mark.parametrize("host", ["[::1]:8400", "127.0.0.1:8400"])
async def test_every_loopback_address_can_be_come_back_to(person: Person, host: str) -> None:
    page = await person.open(authorize(redirect_uri=f"http://{host}/"))
    policy = page.headers["content-security-policy"]
    expected = "http:" if "[" in host else f"http://{host}"
    assert f"form-action 'self' {expected};" in policy
    answer = await person.sign_in()
    assert answer.headers["location"].startswith(f"http://{host}/?code=")


async def test_nothing_of_the_sign_in_is_kept_by_the_browser(ada: User, person: Person) -> None:
    assert ada.password_hash is not None
    for response_mode in authorization.ResponseMode:
        page = await person.open(authorize(response_mode=response_mode, prompt="login"))
        answer = await person.sign_in()
        for each in (page, answer):
            assert each.headers["cache-control"] == "no-store"
            assert each.headers["referrer-policy"] == "same-origin"
            assert each.headers["x-frame-options"] == "DENY"
