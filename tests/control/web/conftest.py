from collections.abc import AsyncIterator

import argon2
import httpx2
import pytest

from tests.control.conftest import URL, Plane
from tests.control.web.person import PASSWORD, Person, add_user
from towrope.control import passwords
from towrope.control.store.users import User

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried here is not how long a comparison takes."""
    monkeypatch.setattr(passwords, "_hasher", CHEAP)


@pytest.fixture(scope="session")
def password_hash() -> str:
    return CHEAP.hash(PASSWORD)


@pytest.fixture
async def ada(plane: Plane, password_hash: str) -> User:
    return await add_user(plane, password_hash)


@pytest.fixture
async def person(plane: Plane) -> AsyncIterator[Person]:
    async with new_browser(plane) as client:
        yield Person(client)


@pytest.fixture
async def stranger(plane: Plane) -> AsyncIterator[Person]:
    """Somebody else, at another browser."""
    async with new_browser(plane) as client:
        yield Person(client)


def new_browser(plane: Plane) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=plane.control.asgi)
    return httpx2.AsyncClient(transport=transport, base_url=URL)
