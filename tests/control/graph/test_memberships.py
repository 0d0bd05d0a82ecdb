import itertools
import time

from sqlalchemy import insert

from tests.control.conftest import NOW, error_of
from tests.control.graph.conftest import NOBODY, V1, Directory
from towrope.control.graph import memberships
from towrope.control.store import tables
from towrope.control.store.groups import ADMINISTRATORS


async def ask(directory: Directory, path: str, body: object) -> list[str]:
    answer = await directory.api.post(V1 + path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["@odata.context"].endswith("#Collection(Edm.String)")
    found: list[str] = answer.json()["value"]
    return found


async def test_a_users_groups_nested_ones_too(directory: Directory) -> None:
    inner = await directory.add_group("Inner", directory.ada_id)
    outer = await directory.add_group("Outer", inner)
    other = await directory.add_group("Other")
    both = sorted([inner, outer])
    for path in (
        f"/users/{directory.ada_id}",
        "/users/ada@example.org",
        f"/users('{directory.ada_id}')",
        f"/directoryObjects/{directory.ada_id}",
    ):
        for name in ("getMemberGroups", "getMemberObjects"):
            assert await ask(directory, f"{path}/{name}", {"securityEnabledOnly": True}) == both
        groups = {"groupIds": [other, outer.upper(), outer, NOBODY]}
        assert await ask(directory, f"{path}/checkMemberGroups", groups) == [outer]
        ids = {"ids": [inner]}
        assert await ask(directory, f"{path}/checkMemberObjects", ids) == [inner]
        assert await directory.names(f"{path}/memberOf") == ["Inner"]
        assert sorted(await directory.names(f"{path}/transitiveMemberOf")) == ["Inner", "Outer"]
    assert await ask(directory, f"/groups/{inner}/getMemberGroups", {}) == [outer]
    mine = await directory.ada.post(f"{V1}/me/getMemberObjects", json={})
    assert mine.json()["value"] == both
    mine = await directory.ada.get(f"{V1}/me/memberOf", params={"$select": "id"})
    group = {"@odata.type": "#microsoft.graph.group", "id": inner}
    assert mine.json()["value"] == [group]


async def test_an_applications_groups(directory: Directory) -> None:
    machine = await directory.administrator_id()
    app_id = directory.plane.administrator.app_id
    for path in (
        f"/servicePrincipals/{machine}",
        f"/servicePrincipals(appId='{app_id}')",
        f"/directoryObjects/{machine}",
    ):
        assert await ask(directory, f"{path}/getMemberObjects", {}) == [ADMINISTRATORS]
        assert await directory.names(f"{path}/memberOf", "id") == [ADMINISTRATORS]


async def test_lists_come_in_pages(directory: Directory) -> None:
    ids = [await directory.add_group(f"Group {n}", directory.ada_id) for n in range(4)]
    first = await directory.get("/users/ada@example.org/memberOf")
    rest = (await directory.ada.get(first["@odata.nextLink"])).json()
    assert [each["id"] for each in first["value"] + rest["value"]] == sorted(ids)


async def test_what_cannot_be_asked(directory: Directory) -> None:
    path = f"/users/{directory.ada_id}"
    await directory.refusal("POST", f"{path}/getMemberGroups", {"securityEnabledOnly": 1})
    for ids in ([], [NOBODY] * 21, ["x"], [f"urn:uuid:{NOBODY}"], [5], None):
        await directory.refusal("POST", f"{path}/checkMemberGroups", {"groupIds": ids})
        await directory.refusal("POST", f"{path}/checkMemberObjects", {"ids": ids})
    for path in (
        f"/users/{NOBODY}",
        f"/groups/{NOBODY}",
        f"/servicePrincipals/{NOBODY}",
        f"/directoryObjects/{NOBODY}",
    ):
        answer = await directory.api.post(f"{V1}{path}/getMemberGroups", json={})
        assert error_of(answer) == (404, "Request_ResourceNotFound")


async def test_ten_thousand_groups_take_no_long_time(directory: Directory) -> None:
    """Half of them are nested, each in the one before it."""
    ids = [
        f"{number:08x}-0000-4000-8000-000000000000" for number in range(memberships.RESULT_LIMIT)
    ]
    values = {"display_name": "g", "key": "g", "mail_nickname": "g", "created": int(NOW)}
    rows = [{"object_id": each, **values} for each in ids]
    flat = [{"group_id": each, "member_id": directory.ada_id} for each in ids[5000:]]
    nested = [
        {"group_id": outer, "member_id": inner} for outer, inner in itertools.pairwise(ids[:5001])
    ]
    async with directory.database.writing() as connection:
        await connection.execute(insert(tables.groups), rows)
        members = [{**each, "member_kind": "Group"} for each in flat + nested]
        await connection.execute(insert(tables.group_members), members)
    path = f"/users/{directory.ada_id}"
    started = time.monotonic()
    assert await ask(directory, f"{path}/getMemberObjects", {}) == ids
    found = await ask(directory, f"{path}/checkMemberGroups", {"groupIds": [ids[0], ids[-1]]})
    assert found == [ids[0], ids[-1]]
    # Far more than it takes; it is there so that a search that grows with the square is seen.
    assert time.monotonic() - started < 20
    await directory.add_group("One more", directory.ada_id)
    answer = await directory.api.post(f"{V1}{path}/getMemberGroups", json={})
    assert error_of(answer) == (400, "Directory_ResultSizeLimitExceeded")
