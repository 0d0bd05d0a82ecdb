import asyncio
import itertools
from typing import Any

import pytest

from tests.control.conftest import NOW, URL, error_of
from tests.control.graph.conftest import NOBODY, V1, Directory
from towrope.control import passwords
from towrope.control.store.groups import ADMINISTRATORS

PASSWORD = "correct horse battery"
BOB = {
    "accountEnabled": True,
    "displayName": "Bob",
    "userPrincipalName": "Bob@example.org",
    "mailNickname": "Bob",
    "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": False},
}
SHOWN = [
    "@odata.context",
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
]


async def test_life_of_a_user(directory: Directory) -> None:
    made = await directory.api.post(f"{V1}/users", json=BOB)
    assert made.status_code == 201
    bob = made.json()
    assert list(bob) == SHOWN
    assert (bob["displayName"], bob["userPrincipalName"]) == ("Bob", "Bob@example.org")
    assert bob["@odata.context"] == f"{URL}/v1.0/$metadata#users/$entity"
    assert made.headers["location"] == f"{URL}/v1.0/users/{bob['id']}"
    for name in (bob["id"], bob["id"].upper(), "bob@EXAMPLE.org"):
        assert await directory.get(f"/users/{name}") == bob
        assert await directory.get(f"/users('{name}')") == bob
    kept = await directory.user(bob["id"])
    assert await passwords.verify(PASSWORD, kept.password_hash)
    assert (kept.must_change_password, kept.created) == (False, int(NOW))
    assert (await directory.api.delete(f"{V1}/users/bob@example.org")).status_code == 204
    gone = await directory.api.get(f"{V1}/users/{bob['id']}")
    assert error_of(gone) == (404, "Request_ResourceNotFound")


async def test_the_password_is_nowhere_in_an_answer(directory: Directory) -> None:
    made = await directory.api.post(f"{V1}/users", json=BOB)
    name = made.json()["id"]
    every = await directory.api.get(f"{V1}/users", params={"$filter": f"id eq '{name}'"})
    for answer in (made, every, await directory.api.get(f"{V1}/users/{name}")):
        assert PASSWORD not in answer.text
        assert "argon2" not in answer.text
        assert "assword" not in answer.text
    sentence = await directory.refusal("GET", f"/users/{name}", **{"$select": "passwordHash"})
    assert "passwordHash" in sentence


async def test_a_password_of_somebody_else_is_good_once_unless_they_say_so(
    directory: Directory,
) -> None:
    body = BOB | {"passwordProfile": {"password": PASSWORD}}
    bob = (await directory.api.post(f"{V1}/users", json=body)).json()["id"]
    assert (await directory.user(bob)).must_change_password


BAD: list[dict[str, Any]] = [
    {"userPrincipalName": "system:masters"},
    {"userPrincipalName": "system:admin@example.org"},
    {"userPrincipalName": "bob"},
    {"displayName": ""},
    {"displayName": "a\nb"},
    {"displayName": None},
    {"accountEnabled": "yes"},
    {"mailNickname": "robert"},
    {"mail": "nowhere"},
    {"mail": "a b@c"},
    {"givenName": "x" * 65},
    {"passwordProfile": {}},
    {"passwordProfile": None},
    {"passwordProfile": {"password": "short"}},
    {"passwordProfile": {"password": "bob@example.ORG"}},
    {"onPremisesImmutableId": "x"},
    {"id": NOBODY},
]


async def test_a_bad_user_is_refused(directory: Directory) -> None:
    for change in BAD:
        await directory.refusal("POST", "/users", BOB | change)
    assert await directory.names("/users") == ["Ada"]


async def test_a_refused_password_is_not_repeated(directory: Directory) -> None:
    body = BOB | {"passwordProfile": {"password": "geheim"}}
    assert "geheim" not in await directory.refusal("POST", "/users", body)


async def test_what_is_no_json_object_is_refused(directory: Directory) -> None:
    for content in (b"", b"{", b"[]", b'"x"', b"[" * 100_000):
        answer = await directory.api.post(f"{V1}/users", content=content)
        assert error_of(answer) == (400, "Request_BadRequest")


async def test_a_name_is_one_users_alone(directory: Directory) -> None:
    taken = BOB | {"userPrincipalName": "ADA@example.org", "mailNickname": "ada"}
    answer = await directory.api.post(f"{V1}/users", json=taken)
    assert error_of(answer) == (409, "ObjectConflict")
    bob = await directory.add_user("bob@example.org")
    body = {"userPrincipalName": "Ada@Example.org"}
    answer = await directory.api.patch(f"{V1}/users/{bob}", json=body)
    assert error_of(answer) == (409, "ObjectConflict")
    assert not directory.took_notice()


async def test_lists_come_in_pages_and_by_filter(directory: Directory) -> None:
    for number in range(4):
        await directory.add_user(f"user-{number}@example.org", display_name=f"User {number}")
    first = await directory.get("/users", **{"$select": "displayName", "$count": "true"})
    assert first["value"] == [{"displayName": name} for name in ("Ada", "User 0", "User 1")]
    assert first["@odata.count"] == 5
    second = (await directory.ada.get(first["@odata.nextLink"])).json()
    assert second["value"] == [{"displayName": name} for name in ("User 2", "User 3")]
    assert "@odata.nextLink" not in second
    assert await directory.names("/users", **{"$top": "1"}) == ["Ada"]
    for text, found in {
        "userPrincipalName eq 'USER-1@example.org'": ["User 1"],
        "displayName eq 'user 2'": ["User 2"],
        "startswith(displayName,'USER')": ["User 0", "User 1", "User 2"],
        "startswith(userPrincipalName,'USER-3')": ["User 3"],
        f"id eq '{directory.ada_id.upper()}'": ["Ada"],
        "accountEnabled eq false": [],
        "displayName eq 'Ada' and accountEnabled eq true": ["Ada"],
        "startswith(displayName,'%')": [],
        "startswith(displayName,'User_')": [],
        "displayName eq 'O''Brien'": [],
    }.items():
        assert await directory.names("/users", **{"$filter": text}) == found, text


async def test_a_name_beyond_ascii_is_found_as_it_is_written(directory: Directory) -> None:
    await directory.add_user("eve@example.org", display_name="Ève O'Brien /%_")
    for text in ("displayName eq 'Ève O''Brien /%_'", "startswith(displayName,'Ève O''Brien /%_')"):
        assert await directory.names("/users", **{"$filter": text}) == ["Ève O'Brien /%_"]


async def test_what_is_not_named_stays(directory: Directory) -> None:
    body = {
        "givenName": "Ada",
        "surname": "Lovelace",
        "mail": "ada@mail.example",
        "displayName": "Ada",
        "mailNickname": "ADA",
        "userPrincipalName": "ada@example.org",
    }
    path = f"{V1}/users/{directory.ada_id}"
    assert (await directory.api.patch(path, json=body)).status_code == 204
    assert (await directory.api.patch(path, json={"mail": None})).status_code == 204
    assert (await directory.api.patch(path, json={})).status_code == 204
    ada = await directory.get(f"/users/{directory.ada_id}")
    assert [ada[n] for n in ("displayName", "givenName", "surname", "mail")] == [
        "Ada",
        "Ada",
        "Lovelace",
        None,
    ]
    assert not directory.took_notice()
    assert (await directory.user(directory.ada_id)).valid_from == 0


@pytest.mark.parametrize(
    "body",
    [
        {"accountEnabled": False},
        {"passwordProfile": {"password": "another good password"}},
        {"userPrincipalName": "augusta@example.org"},
    ],
)
async def test_who_loses_something_is_signed_out(
    directory: Directory, body: dict[str, Any]
) -> None:
    assert (await directory.ada.get(f"{V1}/me")).status_code == 200
    directory.plane.now += 60
    path = f"{V1}/users/{directory.ada_id}"
    assert (await directory.api.patch(path, json=body)).status_code == 204
    assert directory.took_notice()
    assert (await directory.user(directory.ada_id)).valid_from == int(NOW) + 61
    assert (await directory.ada.get(f"{V1}/me")).status_code == 401


async def test_a_reset_password_is_to_be_changed(directory: Directory) -> None:
    path = f"{V1}/users/{directory.ada_id}"
    body = {"passwordProfile": {"password": "another good password"}}
    assert (await directory.api.patch(path, json=body)).status_code == 204
    assert (await directory.user(directory.ada_id)).must_change_password
    body2 = {"passwordProfile": {"forceChangePasswordNextSignIn": False}}
    assert (await directory.api.patch(path, json=body2)).status_code == 204
    kept = await directory.user(directory.ada_id)
    assert not kept.must_change_password
    assert await passwords.verify("another good password", kept.password_hash)
    assert (await directory.api.patch(path, json={"passwordProfile": {}})).status_code == 204


async def test_two_changes_at_once_are_one_after_the_other(directory: Directory) -> None:
    path = f"{V1}/users/{directory.ada_id}"
    names = [f"ada-{number}@example.org" for number in range(4)]
    answers = await asyncio.gather(
        *(directory.api.patch(path, json={"userPrincipalName": name}) for name in names),
        *(directory.api.post(f"{V1}/users", json=BOB) for _ in range(2)),
        directory.api.delete(f"{V1}/users/ada-3@example.org"),
    )
    statuses = [answer.status_code for answer in answers]
    assert set(statuses[:4]) <= {204, 404}
    assert sorted(statuses[4:6]) == [201, 409]
    assert statuses[6] in (204, 404)


async def test_sign_ins_are_ended(directory: Directory) -> None:
    directory.plane.now += 60
    answer = await directory.api.post(f"{V1}/users/ada@example.org/revokeSignInSessions")
    assert answer.json()["value"] is True
    assert directory.took_notice()
    assert (await directory.ada.get(f"{V1}/me")).status_code == 401


async def test_a_deleted_user_is_nobody_and_in_no_group(directory: Directory) -> None:
    group = await directory.add_group("Readers", directory.ada_id)
    assert (await directory.api.delete(f"{V1}/users/{directory.ada_id}")).status_code == 204
    assert directory.took_notice()
    assert (await directory.ada.get(f"{V1}/me")).status_code == 401
    assert await directory.names(f"/groups/{group}/members") == []


async def test_there_is_no_such_user(directory: Directory) -> None:
    requests = (
        ("GET", "", None),
        ("PATCH", "", {"displayName": "x"}),
        ("DELETE", "", None),
        ("POST", "/revokeSignInSessions", None),
    )
    names = (NOBODY, "nobody@example.org", "x", "'", "(a)")
    for name, (method, path, body) in itertools.product(names, requests):
        answer = await directory.api.request(method, f"{V1}/users/{name}{path}", json=body)
        assert error_of(answer) == (404, "Request_ResourceNotFound")
    assert not directory.took_notice()


async def test_a_user_may_read_all_and_change_nobody(directory: Directory) -> None:
    bob = await directory.add_user("bob@example.org")
    assert (await directory.ada.get(f"{V1}/users/{bob}")).status_code == 200
    for method, path, body in (
        ("POST", "/users", BOB),
        ("PATCH", f"/users/{bob}", {"displayName": "x"}),
        ("PATCH", f"/users/{directory.ada_id}", {"displayName": "x"}),
        ("PATCH", f"/users('{bob}')", {"accountEnabled": False}),
        ("DELETE", f"/users/{bob}", None),
        ("DELETE", f"/users/{directory.ada_id}", None),
        ("POST", f"/users/{bob}/revokeSignInSessions", None),
    ):
        answer = await directory.ada.request(method, V1 + path, json=body)
        assert error_of(answer) == (403, "Authorization_RequestDenied")
    assert (await directory.user(bob)).account_enabled


async def test_the_last_administrator_stays(directory: Directory) -> None:
    await directory.add_member(ADMINISTRATORS, directory.ada_id)
    machine = await directory.administrator_id()
    path = f"{V1}/groups/{ADMINISTRATORS}/members/{machine}/$ref"
    assert (await directory.ada.delete(path)).status_code == 204
    directory.plane.notified.clear()
    for method, body in (("PATCH", {"accountEnabled": False}), ("DELETE", None)):
        path = f"{V1}/users/{directory.ada_id}"
        answer = await directory.ada.request(method, path, json=body)
        assert error_of(answer) == (403, "Authorization_RequestDenied")
        assert "administrator" in answer.json()["error"]["message"]
    assert (await directory.user(directory.ada_id)).account_enabled
    assert (await directory.user(directory.ada_id)).valid_from == 0
    assert not directory.plane.notified
