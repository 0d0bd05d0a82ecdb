"""A copy of the control plane's database holds nothing that lets anybody in.

Everything that was a credential in some sign-in is looked for in the files, as it was and encoded;
and what the files do hold is tried as a credential.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.fixtures.database import rows
from tests.fixtures.installation import Installation
from tests.fixtures.oauth_client import DEVICE_GRANT, OAuthClient
from tests.fixtures.people import Application, People, Person
from tests.fixtures.workplace import Proxy


@dataclass(kw_only=True)
class Loot:
    """What the sign-ins had in hand, by what it is."""

    client: OAuthClient
    application: Application
    secrets: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def loot(people: People, installation: Installation) -> Iterator[Loot]:
    """After sign-ins of each kind, and a refresh."""
    person: Person = people.user("walter")
    application = people.application("walters-robot")
    client = OAuthClient(people=people, person=person)
    made = Loot(client=client, application=application)
    made.secrets = {
        "password": person.password,
        "application secret": application.secret,
        "administrator": json.loads((installation.folder / "administrator.json").read_text())[
            "password"
        ],
    }
    code = client.code()
    first = client.redeem(code).raise_for_status().json()
    second = client.refresh(first["refresh_token"]).raise_for_status().json()
    device = client.ask("devicecode", scope=client.scope).raise_for_status().json()
    approve = f"{person.server}/device"
    client.browser.typed |= {"user_code": device["user_code"], "answer": "continue"}
    client.browser.visit(approve)
    form = {"grant_type": DEVICE_GRANT, "device_code": device["device_code"]}
    third = client.ask("token", **form).raise_for_status().json()
    waiting = client.ask("devicecode", scope=client.scope).raise_for_status().json()
    fourth = (
        client.ask(
            "token",
            grant_type="client_credentials",
            client_id=application.app_id,
            client_secret=application.secret,
            scope=f"{person.server}/.default",
        )
        .raise_for_status()
        .json()
    )
    made.secrets |= {
        "authorization code": client.code(),  # not redeemed
        "used authorization code": code,
        "device code": waiting["device_code"],
        "user code": waiting["user_code"],
        "used device code": device["device_code"],
        "used user code": device["user_code"],
    }
    for name, answer in {"1": first, "2": second, "3": third, "4": fourth}.items():
        kinds = ("access_token", "refresh_token", "id_token")
        made.secrets |= {f"{kind} {name}": answer[kind] for kind in kinds if kind in answer}
    made.secrets |= {
        f"cookie {each.name}": each.value or "" for each in client.browser.client.cookies.jar
    }
    yield made
    client.close()


def files(installation: Installation) -> dict[str, bytes]:
    found = (installation.folder / "server").glob("towrope.db*")
    return {file.name: file.read_bytes() for file in found}


def shapes(secret: str) -> set[bytes]:
    raw = secret.encode()
    encoded = {base64.b64encode(raw), base64.urlsafe_b64encode(raw)}
    tails = {base64.b64encode(b"x" * pad + raw)[4:-4] for pad in (1, 2)}
    hexadecimal = {raw.hex().encode(), raw.hex().upper().encode()}
    pieces = {part.encode() for part in secret.split(".") if len(part) > 20}
    return {raw, *encoded, *tails, *hexadecimal, *pieces} - {b""}


def test_it_holds_no_credential_in_any_shape(loot: Loot, installation: Installation) -> None:
    stolen = files(installation)
    assert "towrope.db" in stolen
    kept = hashlib.sha256(loot.secrets["refresh_token 1"].encode()).hexdigest().encode()
    assert any(kept in content for content in stolen.values()), "the copy is not of this"
    assert len(loot.secrets) >= 16
    for what, secret in loot.secrets.items():
        # The header of a token is the same for all, and says nothing.
        for shape in shapes(secret) - {part.encode() for part in secret.split(".")[:1]}:
            for file, content in stolen.items():
                assert shape not in content, f"{what} is in {file}"


def test_it_holds_no_key(installation: Installation) -> None:
    state = installation.folder / "server"
    keys = [*(state / "signing-keys").glob("*.pem"), *(state / "tls").glob("*.key")]
    assert len(keys) >= 2
    bodies = [b"".join(key.read_bytes().splitlines()[1:-1])[:60] for key in keys]
    master = (state / "master.key").read_bytes()
    bodies += [master, master.hex().encode(), base64.b64encode(master)]
    for content in files(installation).values():
        assert b"PRIVATE KEY" not in content
        for body in bodies:
            assert body not in content


HASHES = {
    "refresh_token": "select token_hash from refresh_tokens",
    "code": "select code_hash from authorization_codes",
    "device_code": "select code_hash from device_codes",
    "client_secret": "select secret_hash from application_credentials",
    "password": "select password_hash from users",
    "session": "select id_hash from sign_in_sessions",
}


def test_what_it_holds_is_no_credential(
    loot: Loot, installation: Installation, people: People, proxy: Proxy
) -> None:
    found = {
        what: [value for (value,) in rows(installation, query) if value]
        for what, query in HASHES.items()
    }
    assert all(found.values()), "each kind was used by the sign-ins"
    client, scope = loot.client, loot.client.scope
    for value in found["refresh_token"]:
        assert client.refresh(value).status_code == 400
    for value in found["code"]:
        assert client.redeem(value).status_code == 400
    for value in found["device_code"]:
        answer = client.ask("token", grant_type=DEVICE_GRANT, device_code=value)
        assert answer.status_code == 400
    for value in found["client_secret"][-2:]:
        form = {"client_id": loot.application.app_id, "client_secret": value, "scope": scope}
        answer = client.ask("token", grant_type="client_credentials", **form)
        assert answer.status_code == 401
    every = [value for values in found.values() for value in values]
    for value in every[-12:]:
        assert client.get("/subscriptions", value).status_code == 401


def test_no_hash_opens_a_session_or_a_page(
    loot: Loot, installation: Installation, people: People
) -> None:
    (session, *_) = rows(installation, HASHES["session"])[-1]
    query = "select password_hash from users where object_id = ?"
    ((password,),) = rows(installation, query, (loot.client.person.object_id,))
    thief = OAuthClient(people=people, person=loot.client.person)
    thief.browser.typed["password"] = password
    try:
        for cookie in loot.client.browser.client.cookies.jar:
            thief.browser.client.cookies.set(cookie.name, session, domain="localhost")
        page = thief.browser.client.get(thief.authorize())
        assert page.status_code == 200
        assert 'name="password"' in page.text
        answer = thief.browser.submit(page)
        assert 'role="alert"' in answer.text
    finally:
        thief.close()


def test_no_log_holds_any_of_it(loot: Loot, installation: Installation) -> None:
    for log in installation.folder.glob("*.log"):
        text = log.read_bytes()
        for what, secret in loot.secrets.items():
            assert secret.encode() not in text, f"{what} is in {log.name}"
