"""A person at a browser, without the browser: cookies are kept, forms are read from the page."""

import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from tests.control.conftest import TENANT, URL, Plane
from towrope.control.issuer.clients import AZURE_CLI
from towrope.control.store import users
from towrope.control.store.users import User

ADA = "0a0a0a0a-1111-2222-3333-444444444444"
NAME = "ada@example.org"
PASSWORD = "correct horse battery"
AUTHORIZE = f"/{TENANT}/oauth2/v2.0/authorize"
LOOPBACK = "http://localhost:8400"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ASKED = {
    "client_id": AZURE_CLI,
    "response_type": "code",
    "redirect_uri": LOOPBACK,
    "scope": f"{URL}/.default openid offline_access",
    "state": "a state",
    "nonce": "a nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def authorize(path: str = AUTHORIZE, /, **change: str | None) -> str:
    """The address that a program opens."""
    asked = {name: value for name, value in (ASKED | change).items() if value is not None}
    return f"{path}?{urlencode(asked)}"


async def add_user(
    plane: Plane, password_hash: str | None, *, object_id: str = ADA, name: str = NAME
) -> User:
    user = User(
        object_id=object_id,
        user_principal_name=name,
        display_name="Ada Lovelace",
        password_hash=password_hash,
        created=int(plane.now),
    )
    async with plane.control.services.database.writing() as connection:
        await users.add(connection, user)
    return user


async def change_user(plane: Plane, object_id: str = ADA, /, **values: object) -> None:
    async with plane.control.services.database.writing() as connection:
        await users.change(connection, object_id, **values)


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = found["action"]
        elif tag == "input":
            self.fields[found["name"]] = found.get("value", "")


class Person:
    """`page` is what the browser shows."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.page: httpx2.Response | None = None

    async def open(self, url: str) -> httpx2.Response:
        self.page = await self.client.get(url)
        return self.page

    async def send(
        self, headers: Mapping[str, str] | None = None, /, **typed: str
    ) -> httpx2.Response:
        """Sends the form of the page, with what was typed, as a browser would."""
        form = self.form()
        given = {"origin": URL, "sec-fetch-site": "same-origin"} if headers is None else headers
        self.page = await self.client.post(
            form.action, data=form.fields | typed, headers=dict(given)
        )
        return self.page

    def form(self) -> _Form:
        assert self.page is not None
        form = _Form()
        form.feed(self.page.text)
        assert form.action, self.page.text
        return form

    async def sign_in(self, name: str = NAME, password: str = PASSWORD) -> httpx2.Response:
        return await self.send(username=name, password=password)

    def title(self) -> str:
        assert self.page is not None
        found = re.search("<title>(.*?)</title>", self.page.text)
        assert found is not None
        return unescape(found[1]).removesuffix(" \u2013 Towrope")

    def problem(self) -> str:
        assert self.page is not None
        found = re.search('role="alert" id="problem"><p>(.*?)</p>', self.page.text)
        return unescape(found[1]) if found else ""


def brought_back(response: httpx2.Response) -> dict[str, str]:
    """What a redirect takes to the program that asked."""
    assert response.status_code == 303, response.text
    location = response.headers["location"]
    assert location.startswith(LOOPBACK)
    parts = urlsplit(location)
    return dict(parse_qsl(parts.query or parts.fragment))
