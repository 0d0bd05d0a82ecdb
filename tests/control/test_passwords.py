import asyncio
import threading
import time
from collections.abc import Callable

import argon2
import pytest

from towrope.control import passwords

NAME = "ada@example.org"
GOOD = "correct horse battery"


@pytest.fixture(scope="module")
def good_hash() -> str:
    return argon2.PasswordHasher().hash(GOOD)


async def test_a_hash_is_good_for_its_own_password_only(good_hash: str) -> None:
    assert await passwords.verify(GOOD, good_hash)
    assert not await passwords.verify(GOOD + " ", good_hash)
    assert not await passwords.verify("", good_hash)


async def test_a_hash_is_argon2id_and_salted() -> None:
    one, other = await passwords.hash_password(GOOD), await passwords.hash_password(GOOD)
    assert one != other
    assert one.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_nothing_is_the_password_of_no_account() -> None:
    assert not await passwords.verify("", None)
    assert not await passwords.verify(GOOD, None)


@pytest.mark.parametrize("damaged", ["", "plain", "$argon2id$v=19$m=1", "$2b$12$abc"])
async def test_a_damaged_hash_lets_nobody_in(damaged: str) -> None:
    assert not await passwords.verify(damaged, damaged)


async def test_an_unknown_account_costs_a_whole_comparison(
    good_hash: str, record_property: Callable[[str, object], None]
) -> None:
    """The hash that is compared with has the parameters of a real one; the times are reported."""
    parameters = argon2.extract_parameters(passwords._nobodys())
    assert parameters == argon2.extract_parameters(good_hash)
    took = []
    for known in (good_hash, None):
        started = time.perf_counter()
        await passwords.verify("wrong", known)
        took.append(time.perf_counter() - started)
    record_property("unknown account / wrong password", f"{took[1] / took[0]:.2f}")


async def test_a_password_typed_on_another_keyboard_is_the_same() -> None:
    composed, decomposed = "caf\u00e9 au lait bien", "cafe\u0301 au lait bien"
    assert await passwords.verify(decomposed, await passwords.hash_password(composed))


async def test_what_is_too_long_is_not_cut_to_what_fits() -> None:
    longest = "x" * passwords.LONGEST
    kept = await passwords.hash_password(longest)
    assert await passwords.verify(longest, kept)
    assert not await passwords.verify(longest + "x", kept)


async def test_text_that_is_no_unicode_is_merely_wrong(good_hash: str) -> None:
    assert not await passwords.verify("\ud800" * 12, good_hash)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("short", "at least 12"),
        ("x" * 11, "at least 12"),
        ("x" * 257, "at most 256"),
        (" " * 12, "blank"),
        ("ada@example.org", "name of the account"),
        ("ADA@Example.ORG", "name of the account"),
    ],
)
def test_the_rule_for_a_new_password(text: str, word: str) -> None:
    complaint = passwords.complaint(text, user_principal_name=NAME)
    assert complaint is not None
    assert word in complaint
    assert text.strip() == "" or text not in complaint


@pytest.mark.parametrize("text", ["x" * 12, "x" * 256, GOOD, "пароль-пароль"])
def test_what_the_rule_lets_pass(text: str) -> None:
    assert passwords.complaint(text, user_principal_name=NAME) is None


def test_the_first_part_of_a_long_name_is_no_password() -> None:
    name = "administrator@example.org"
    assert passwords.complaint("Administrator", user_principal_name=name) is not None


def test_a_hash_of_other_parameters_is_to_be_made_again(good_hash: str) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    assert passwords.needs_rehash(weak)
    assert not passwords.needs_rehash(good_hash)


async def test_few_are_compared_at_once_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, go = 0, 0, threading.Event()
    lock = threading.Lock()

    def slow(_text: str, _hash: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(20)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(passwords, "_is_right", slow)
    async with asyncio.TaskGroup() as group:
        for _ in range(passwords.WAITING_LIMIT):
            group.create_task(passwords.verify("x", None))
        await asyncio.sleep(0)
        with pytest.raises(passwords.Busy):
            await passwords.verify("x", None)
        go.set()
    assert most <= passwords.AT_ONCE
    assert await passwords.verify("x", None) is False
