import pytest

from tests.control.conftest import Plane
from tests.control.web.person import (
    ADA,
    NAME,
    PASSWORD,
    Person,
    authorize,
    brought_back,
    change_user,
)
from towrope.control import passwords
from towrope.control.store import directory, users
from towrope.control.store.users import User
from towrope.wire import agent_api

NEW = "a staple that is new"


@pytest.fixture(autouse=True)
async def must_change(plane: Plane, ada: User) -> None:
    del ada
    await change_user(plane, must_change_password=True)


async def ask(person: Person) -> None:
    await person.open(authorize())
    page = await person.sign_in()
    assert person.title() == "Choose a new password"
    assert "__Host-towrope-session" not in page.headers["set-cookie"]


async def found(plane: Plane) -> User:
    async with plane.control.services.database.reading() as connection:
        user = await users.find(connection, ADA)
    assert user is not None
    return user


async def test_a_password_that_somebody_else_set_is_changed_first(
    plane: Plane, person: Person
) -> None:
    await ask(person)
    plane.now += 30
    answer = await person.send(new_password=NEW, new_password_again=NEW)
    assert "code" in brought_back(answer)
    user = await found(plane)
    assert not user.must_change_password
    assert await passwords.verify(NEW, user.password_hash)
    assert user.valid_from == int(plane.now) + 1
    async with plane.control.services.database.reading() as connection:
        assert await directory.changed_at(connection) == int(plane.now)
    assert (None, agent_api.TRUST) in plane.notified
    assert "code" in brought_back(await person.open(authorize(prompt="none")))


async def test_until_then_nobody_is_signed_in(person: Person) -> None:
    await ask(person)
    assert brought_back(await person.open(authorize(prompt="none")))["error"] == "login_required"


@pytest.mark.parametrize(
    ("new", "again", "word"),
    [
        (NEW, NEW + "x", "not the same"),
        ("short", "short", "at least 12"),
        (PASSWORD, PASSWORD, "another than the one before"),
        (NAME, NAME, "name of the account"),
        ("é" * 12, "e" * 12, "not the same"),
    ],
)
async def test_the_new_one_has_to_be_good(
    plane: Plane, person: Person, new: str, again: str, word: str
) -> None:
    await ask(person)
    page = await person.send(new_password=new, new_password_again=again)
    assert word in person.problem()
    assert person.title() == "Error: Choose a new password"
    assert f'value="{new}"' not in page.text.replace(f'name="username" value="{NAME}"', "")
    assert (await found(plane)).must_change_password
    assert "code" in brought_back(await person.send(new_password=NEW, new_password_again=NEW))


async def test_a_ticket_is_good_for_ten_minutes(plane: Plane, person: Person) -> None:
    await ask(person)
    plane.now += 600
    page = await person.send(new_password=NEW, new_password_again=NEW)
    assert page.status_code == 403
    assert person.title() == "That took too long"
    assert (await found(plane)).must_change_password


async def test_a_ticket_is_good_once(person: Person) -> None:
    await ask(person)
    shown = person.page
    await person.send(new_password=NEW, new_password_again=NEW)
    person.page = shown
    page = await person.send(new_password=NEW + "er", new_password_again=NEW + "er")
    assert page.status_code == 403


async def test_a_ticket_is_good_until_the_password_is_reset(plane: Plane, person: Person) -> None:
    await ask(person)
    await change_user(plane, password_hash=await passwords.hash_password("somebody's choice"))
    page = await person.send(new_password=NEW, new_password_again=NEW)
    assert page.status_code == 403


@pytest.mark.parametrize("change", [{"account_enabled": False}, {"must_change_password": False}])
async def test_a_ticket_is_nothing_for_an_account_that_may_not_use_it(
    plane: Plane, person: Person, change: dict[str, bool]
) -> None:
    await ask(person)
    await change_user(plane, **change)
    page = await person.send(new_password=NEW, new_password_again=NEW)
    assert page.status_code == 403


async def test_a_ticket_is_good_in_its_own_browser(person: Person, stranger: Person) -> None:
    await ask(person)
    stolen = person.form().fields["ticket"]
    await ask(stranger)
    page = await stranger.send(ticket=stolen, new_password=NEW, new_password_again=NEW)
    assert page.status_code == 403


@pytest.mark.parametrize("ticket", ["", ".", "..", f"{ADA}.9999999999.00", f"{ADA}.x.y", "x" * 200])
async def test_a_made_up_ticket_is_nothing(plane: Plane, person: Person, ticket: str) -> None:
    await ask(person)
    page = await person.send(ticket=ticket, new_password=NEW, new_password_again=NEW)
    assert page.status_code == 403
    assert (await found(plane)).must_change_password


async def test_the_form_for_a_name_does_not_change_a_password(person: Person) -> None:
    """A token of one form is not one of the other, though they go to the same address."""
    await ask(person)
    ticket = person.form().fields["ticket"]
    await person.open(authorize())
    page = await person.send(ticket=ticket, new_password=NEW, new_password_again=NEW)
    assert page.status_code == 403


async def test_what_changed_while_the_password_was_hashed_wins(
    plane: Plane, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(person)

    async def disabled(_: str) -> str:
        await change_user(plane, account_enabled=False)
        return "hash"

    monkeypatch.setattr(passwords, "hash_password", disabled)
    page = await person.send(new_password=NEW, new_password_again=NEW)
    assert page.status_code == 403
    assert (await found(plane)).password_hash != "hash"


async def test_a_sign_in_of_the_second_of_the_change_ends_with_it(
    plane: Plane, person: Person
) -> None:
    """And the sign-in by the change itself does not."""
    await ask(person)
    answer = await person.send(new_password=NEW, new_password_again=NEW)
    assert "code" in brought_back(answer)
    user = await found(plane)
    assert user.valid_from > plane.now
