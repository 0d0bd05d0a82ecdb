from typing import Any

from tests.control.conftest import URL, error_of
from tests.control.graph.conftest import NOBODY, V1, Directory
from towrope.control.store.groups import ADMINISTRATORS

SHOPS: dict[str, Any] = {
    "displayName": "Shop Operators",
    "mailNickname": "shops",
    "mailEnabled": False,
    "securityEnabled": True,
}


def reference(object_id: str) -> str:
    return f"https://graph.example/v1.0/directoryObjects/{object_id}"


async def test_life_of_a_group(directory: Directory) -> None:
    made = await directory.api.post(f"{V1}/groups", json=SHOPS | {"description": "a\nb"})
    assert made.status_code == 201
    group = made.json()
    assert group["@odata.context"] == f"{URL}/v1.0/$metadata#groups/$entity"
    assert {k: group[k] for k in SHOPS} == SHOPS
    assert (group["description"], group["groupTypes"]) == ("a\nb", [])
    path = f"/groups/{group['id']}"
    assert await directory.get(path) == group
    assert await directory.get(f"/groups('{group['id'].upper()}')") == group
    change = {"displayName": "Shops", "mailNickname": "s", "description": None}
    assert (await directory.api.patch(V1 + path, json=change)).status_code == 204
    assert (await directory.api.patch(V1 + path, json={})).status_code == 204
    shown = await directory.get(path, **{"$select": "displayName,MAILNICKNAME,description"})
    assert shown == {"@odata.context": group["@odata.context"], **change}
    assert not directory.plane.notified
    assert (await directory.api.delete(V1 + path)).status_code == 204
    assert directory.took_notice()
    assert error_of(await directory.api.get(V1 + path)) == (404, "Request_ResourceNotFound")


async def test_members_come_with_it(directory: Directory) -> None:
    body = SHOPS | {"members@odata.bind": [reference(directory.ada_id)] * 2}
    made = await directory.api.post(f"{V1}/groups", json=body)
    assert await directory.names(f"/groups/{made.json()['id']}/members") == ["Ada"]


async def test_a_bad_group_is_refused_whole(directory: Directory) -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"displayName": ""},
        {"displayName": "x" * 257},
        {"displayName": "\u202e"},
        {"mailNickname": "a b"},
        {"mailNickname": None},
        {"mailEnabled": True},
        {"securityEnabled": False},
        {"groupTypes": ["Unified"]},
        {"description": ""},
        {"description": "a\x00"},
        {"visibility": "Public"},
        {"members@odata.bind": ["x"]},
        {"members@odata.bind": [reference(directory.ada_id)] * 21},
    )
    for change in changes:
        await directory.refusal("POST", "/groups", SHOPS | change)
    body = SHOPS | {"members@odata.bind": [reference(directory.ada_id), reference(NOBODY)]}
    answer = await directory.api.post(f"{V1}/groups", json=body)
    assert error_of(answer) == (404, "Request_ResourceNotFound")
    assert await directory.names("/groups") == ["Towrope Administrators"]
    for change in ({"displayName": None}, {"securityEnabled": False}):
        await directory.refusal("PATCH", f"/groups/{ADMINISTRATORS}", change)


async def test_lists_come_in_pages_and_by_filter(directory: Directory) -> None:
    for name in ("Same", "same", "Other", "Zero"):
        await directory.add_group(name)
    first = await directory.get("/groups", **{"$count": "true"})
    assert first["@odata.count"] == 5
    rest = (await directory.ada.get(first["@odata.nextLink"])).json()
    names = [each["displayName"].lower() for each in first["value"] + rest["value"]]
    assert names == ["other", "same", "same", "towrope administrators", "zero"]
    for text, count in {
        "displayName eq 'SAME'": 2,
        "startswith(displayName,'S') and mailNickname eq 'NICK'": 2,
        f"id eq '{ADMINISTRATORS}'": 1,
        "displayName eq 'Same' and displayName eq 'Other'": 0,
    }.items():
        assert len(await directory.names("/groups", **{"$filter": text})) == count


async def test_administrators_cannot_be_deleted(directory: Directory) -> None:
    answer = await directory.api.delete(f"{V1}/groups/{ADMINISTRATORS.upper()}")
    assert error_of(answer) == (403, "Authorization_RequestDenied")
    assert not directory.plane.notified


async def test_a_group_through_which_the_last_administrator_is_one_stays(
    directory: Directory,
) -> None:
    inner = await directory.add_group("Inner", directory.ada_id)
    await directory.add_member(ADMINISTRATORS, inner)
    machine = await directory.administrator_id()
    path = f"{V1}/groups/{ADMINISTRATORS}/members/{machine}/$ref"
    assert (await directory.ada.delete(path)).status_code == 204
    answer = await directory.ada.delete(f"{V1}/groups/{inner}")
    assert error_of(answer) == (403, "Authorization_RequestDenied")
    assert await directory.names(f"/groups/{inner}/members", "id") == [directory.ada_id]


async def test_an_ordinary_user_may_read_and_change_nothing(directory: Directory) -> None:
    group = await directory.add_group("Shops")
    assert (await directory.ada.get(f"{V1}/groups/{group}")).status_code == 200
    for method, path, body in (
        ("POST", "/groups", SHOPS),
        ("PATCH", f"/groups/{group}", {"displayName": "x"}),
        ("DELETE", f"/groups/{group}", None),
        ("DELETE", f"/groups('{group}')", None),
    ):
        answer = await directory.ada.request(method, V1 + path, json=body)
        assert error_of(answer) == (403, "Authorization_RequestDenied")


async def test_there_is_no_such_group(directory: Directory) -> None:
    for name in (NOBODY, "Towrope Administrators", f"{{{ADMINISTRATORS}}}"):
        for method, body in (("GET", None), ("PATCH", {"description": None}), ("DELETE", None)):
            answer = await directory.api.request(method, f"{V1}/groups/{name}", json=body)
            assert error_of(answer) == (404, "Request_ResourceNotFound")
    assert not directory.plane.notified
