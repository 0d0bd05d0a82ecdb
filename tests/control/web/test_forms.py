import pytest

from tests.control.conftest import URL
from tests.control.web.person import NAME, PASSWORD, Person, authorize, brought_back
from towrope.control.web.forms import COOKIE

pytestmark = pytest.mark.usefixtures("ada")

TYPED = {"username": NAME, "password": PASSWORD}
OURS = {"origin": URL, "sec-fetch-site": "same-origin"}


@pytest.mark.parametrize(
    "headers",
    [
        OURS | {"origin": "https://evil.example"},
        OURS | {"origin": "null"},
        OURS | {"origin": URL.replace("https", "http")},
        OURS | {"origin": URL + ".evil.example"},
        OURS | {"origin": ""},
        OURS | {"sec-fetch-site": "cross-site"},
        OURS | {"sec-fetch-site": "same-site"},
        OURS | {"sec-fetch-site": "none"},
    ],
)
async def test_a_form_from_elsewhere_is_refused(person: Person, headers: dict[str, str]) -> None:
    await person.open(authorize())
    page = await person.send(headers, **TYPED)
    assert page.status_code == 403
    assert "session" not in page.headers.get("set-cookie", "")


@pytest.mark.parametrize("headers", [{}, OURS, {"origin": URL}, {"sec-fetch-site": "same-origin"}])
async def test_a_browser_may_say_less(person: Person, headers: dict[str, str]) -> None:
    await person.open(authorize())
    assert "code" in brought_back(await person.send(headers, **TYPED))


async def test_the_origin_may_be_the_host_that_was_asked(person: Person) -> None:
    """A server is reached by other names than its public one, as 127.0.0.1."""
    await person.open(authorize())
    headers = {"host": "127.0.0.1:9", "origin": "https://127.0.0.1:9"}
    assert "code" in brought_back(await person.send(headers, **TYPED))


@pytest.mark.parametrize("token", ["", "0" * 64, "\u00e9", "x" * 10_000])
async def test_a_made_up_token_is_refused(person: Person, token: str) -> None:
    await person.open(authorize())
    assert (await person.send(form_token=token, **TYPED)).status_code == 403


async def test_a_form_without_the_cookie_is_refused(person: Person) -> None:
    await person.open(authorize())
    person.client.cookies.clear()
    page = await person.send(**TYPED)
    assert page.status_code == 403
    assert "allow cookies" in page.text


async def test_a_token_of_another_browser_is_refused(person: Person, stranger: Person) -> None:
    """Sign-in by force: the attacker's own page, sent from the victim's browser."""
    await stranger.open(authorize())
    stolen = stranger.form().fields["form_token"]
    await person.open(authorize())
    assert (await person.send(form_token=stolen, **TYPED)).status_code == 403


async def test_a_cookie_that_was_not_ours_makes_no_token(person: Person) -> None:
    person.client.cookies.set(COOKIE, "x" * 65)
    page = await person.open(authorize())
    assert f"{COOKIE}=" in page.headers["set-cookie"]
    assert "x" * 65 not in page.headers["set-cookie"]


async def test_two_pages_of_one_browser_are_both_good(person: Person) -> None:
    first = await person.open(authorize())
    await person.open(authorize(state="other"))
    person.page = first
    assert brought_back(await person.sign_in())["state"] == "a state"


async def test_the_link_to_try_again_is_to_the_same_request(person: Person) -> None:
    await person.open(authorize())
    page = await person.send(form_token="", **TYPED)
    assert 'href="/11111111-2222-3333-4444-555555555555/oauth2/v2.0/authorize?client_id=' in (
        page.text
    )


@pytest.mark.parametrize(
    "body", [b"\xff", b"a=%ff", b"username=a&username=b", b"&".join([b"a=b"] * 20)]
)
async def test_what_is_no_form_is_refused(person: Person, body: bytes) -> None:
    answer = await person.client.post(authorize(), content=body, headers=OURS)
    assert answer.status_code == 400
    assert "not a form" in answer.text


async def test_a_form_is_bounded(person: Person) -> None:
    answer = await person.client.post(authorize(), content=b"a" * 20_000, headers=OURS)
    assert answer.status_code == 400
    assert "too large" in answer.text
