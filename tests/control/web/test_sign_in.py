import argon2
import pytest
from structlog.testing import capture_logs

from tests.control.conftest import Plane
from tests.control.web.conftest import CHEAP
from tests.control.web.person import (
    ADA,
    NAME,
    PASSWORD,
    Person,
    add_user,
    authorize,
    brought_back,
    change_user,
)
from towrope.control import passwords, throttle
from towrope.control.store import users
from towrope.control.web import sign_in

pytestmark = pytest.mark.usefixtures("ada")

WRONG = "not the right password"


async def prepare(plane: Plane, person: Person, case: str) -> tuple[str, str]:
    """A name and a password that must be refused, and why."""
    match case:
        case "unknown":
            return "nobody@example.org", PASSWORD
        case "disabled":
            await change_user(plane, account_enabled=False)
            return NAME, PASSWORD
        case "without a password":
            await change_user(plane, password_hash=None)
            return NAME, ""
        case "locked":
            for _ in range(throttle.ACCOUNT.allowed):
                await person.open(authorize())
                await person.sign_in(password=WRONG)
            return NAME, PASSWORD
        case _:
            return NAME, WRONG


CASES = ["wrong password", "unknown", "disabled", "without a password", "locked"]


@pytest.mark.parametrize("case", CASES)
async def test_every_refusal_says_the_same_after_the_same_work(
    plane: Plane, person: Person, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    name, password = await prepare(plane, person, case)
    await person.open(authorize())
    compared: list[bool] = []
    hasher = argon2.PasswordHasher

    def verify(self: argon2.PasswordHasher, known: str | bytes, given: str | bytes) -> bool:
        assert isinstance(known, str)
        assert argon2.extract_parameters(known) == argon2.extract_parameters(CHEAP.hash("x"))
        compared.append(True)
        return genuine(self, known, given)

    genuine = hasher.verify
    monkeypatch.setattr(hasher, "verify", verify)
    page = await person.sign_in(name, password)
    assert compared == [True]
    assert page.status_code == 200
    assert person.problem() == sign_in.REFUSAL
    assert person.form().fields["username"] == name
    assert "__Host-towrope-session" not in page.headers["set-cookie"]


async def test_the_pages_of_two_refusals_differ_in_the_name_alone(person: Person) -> None:
    await person.open(authorize())
    one = await person.sign_in(NAME, WRONG)
    other = await person.sign_in("bob@example.org", WRONG)
    assert one.text == other.text.replace("bob@example.org", NAME)
    assert one.headers.keys() == other.headers.keys()


async def test_an_account_is_locked_and_opens_again(plane: Plane, person: Person) -> None:
    await prepare(plane, person, "locked")
    await person.sign_in()
    assert person.problem() == sign_in.REFUSAL
    plane.now += 60
    assert "code" in brought_back(await person.sign_in())


async def test_whoever_gets_it_right_in_the_end_starts_afresh(person: Person) -> None:
    for _ in range(3):
        await person.open(authorize(prompt="login"))
        for _ in range(throttle.ACCOUNT.allowed - 1):
            await person.sign_in(password=WRONG)
        assert "code" in brought_back(await person.sign_in())


async def test_an_address_that_guesses_at_many_accounts_is_locked(
    plane: Plane, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cheap(_text: str, password_hash: str | None) -> bool:
        return password_hash is not None

    monkeypatch.setattr(passwords, "verify", cheap)
    await person.open(authorize())
    for number in range(throttle.ADDRESS.allowed):
        await person.sign_in(f"user{number}@example.org")
    await person.sign_in()
    assert person.problem() == sign_in.REFUSAL
    plane.now += 60
    assert "code" in brought_back(await person.sign_in())


async def test_a_name_is_compared_without_case_or_space_around_it(person: Person) -> None:
    await person.open(authorize())
    assert "code" in brought_back(await person.sign_in(f"  {NAME.upper()} "))


@pytest.mark.parametrize("name", ["", "' OR 1=1 --", "%", "ada@example.org\0", "a" * 300])
async def test_strange_names_are_merely_unknown(person: Person, name: str) -> None:
    await person.open(authorize())
    await person.sign_in(name, WRONG)
    assert person.problem() == sign_in.REFUSAL


async def test_a_hash_of_former_parameters_is_made_anew(plane: Plane, person: Person) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)
    await change_user(plane, password_hash=weak)
    await person.open(authorize())
    brought_back(await person.sign_in())
    async with plane.control.services.database.reading() as connection:
        found = await users.find(connection, ADA)
    assert found is not None
    assert found.password_hash is not None
    assert not passwords.needs_rehash(found.password_hash)
    await person.open(authorize(prompt="login"))
    brought_back(await person.sign_in())


async def test_a_hash_that_was_changed_meanwhile_stays(
    plane: Plane, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody resets the password while a sign-in with the one before renews its hash."""
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)
    await change_user(plane, password_hash=weak)

    async def reset(_: str) -> str:
        await change_user(plane, password_hash="reset")
        return "renewed"

    monkeypatch.setattr(passwords, "hash_password", reset)
    await person.open(authorize())
    await person.sign_in()
    async with plane.control.services.database.reading() as connection:
        found = await users.find(connection, ADA)
    assert found is not None
    assert found.password_hash == "reset"


async def test_no_password_and_no_name_is_in_the_log(plane: Plane, person: Person) -> None:
    await add_user(plane, None, object_id="0b", name="bob@example.org")
    with capture_logs() as logs:
        await person.open(authorize())
        await person.sign_in(WRONG, PASSWORD)
        await person.sign_in(NAME, WRONG)
        await person.sign_in()
    text = str(logs)
    assert {log["reason"] for log in logs if "reason" in log} == {
        "no such account",
        "wrong password",
    }
    assert ADA in text
    for secret in (WRONG, PASSWORD, "form_token"):
        assert secret not in text


async def test_a_server_with_too_much_to_compare_says_so(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "WAITING_LIMIT", 0)
    await person.open(authorize())
    page = await person.sign_in()
    assert page.status_code == 503
    assert "try again soon" in page.text


async def test_a_session_has_an_id_that_nobody_knew_before(
    person: Person, stranger: Person
) -> None:
    """Session fixation: what was in the browser before signing in is worth nothing after it."""
    planted = "planted" * 6
    person.client.cookies.set("__Host-towrope-session", planted, domain="towrope.example.org")
    await person.open(authorize())
    answer = await person.sign_in()
    brought_back(answer)
    assert planted not in answer.headers["set-cookie"]
    stranger.client.cookies.set("__Host-towrope-session", planted)
    await stranger.open(authorize())
    assert stranger.title() == "Sign in"
