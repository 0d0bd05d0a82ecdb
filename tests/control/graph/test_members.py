from tests.control.conftest import error_of
from tests.control.graph.conftest import NOBODY, V1, Directory
from tests.control.graph.test_groups import reference
from towrope.control.store.groups import ADMINISTRATORS


async def add(directory: Directory, group: str, member: str) -> tuple[int, str]:
    body = {"@odata.id": reference(member)}
    answer = await directory.api.post(f"{V1}/groups/{group}/members/$ref", json=body)
    return (204, "") if answer.status_code == 204 else error_of(answer)


async def remove(directory: Directory, group: str, member: str) -> tuple[int, str]:
    answer = await directory.api.delete(f"{V1}/groups/{group}/members/{member}/$ref")
    return (204, "") if answer.status_code == 204 else error_of(answer)


async def test_members_of_every_kind_come_and_go(directory: Directory) -> None:
    group, inner = await directory.add_group("Outer"), await directory.add_group("Inner")
    application = await directory.add_application("deployer")
    members = {
        directory.ada_id: "#microsoft.graph.user",
        inner: "#microsoft.graph.group",
        application.object_id: "#microsoft.graph.servicePrincipal",
    }
    for member in members:
        assert await add(directory, group, member.upper()) == (204, "")
        assert await add(directory, group, member) == (400, "Request_BadRequest")
    shown = (await directory.get(f"/groups/{group}/members"))["value"]
    assert {each["id"]: each["@odata.type"] for each in shown} == members
    assert not directory.plane.notified
    for member in members:
        assert await remove(directory, group, member.upper()) == (204, "")
        assert directory.took_notice()
        assert await remove(directory, group, member) == (404, "Request_ResourceNotFound")
    assert (await directory.get(f"/groups/{group}/members"))["value"] == []


async def test_they_come_in_pages(directory: Directory) -> None:
    ids = [await directory.add_user(f"user-{number}@example.org") for number in range(4)]
    group = await directory.add_group("Readers", *ids)
    first = await directory.get(f"/groups/{group}/members")
    rest = (await directory.ada.get(first["@odata.nextLink"])).json()
    assert [each["id"] for each in first["value"] + rest["value"]] == sorted(ids)
    for option in ("$select", "$count", "$filter"):
        value = {"$select": "id", "$count": "true", "$filter": "id eq 'x'"}[option]
        await directory.refusal("GET", f"/groups/{group}/members", **{option: value})


async def test_what_cannot_be_a_member(directory: Directory) -> None:
    group = await directory.add_group("Readers")
    application = await directory.add_application("deployer")
    for member in (NOBODY, application.application_object_id, application.app_id):
        assert await add(directory, group, member) == (404, "Request_ResourceNotFound")
    assert await add(directory, group, group) == (400, "Request_BadRequest")
    assert await add(directory, NOBODY, directory.ada_id) == (404, "Request_ResourceNotFound")
    for body in (
        {},
        {"@odata.id": "x"},
        {"@odata.id": f"file:///v1.0/users/{directory.ada_id}"},
        {"@odata.id": f"https://x/v1.0/users/{directory.ada_id}/manager"},
        {"@odata.id": "https://x/v1.0/users/ada@example.org"},
        {"@odata.id": reference(directory.ada_id), "more": 1},
    ):
        await directory.refusal("POST", f"/groups/{group}/members/$ref", body)
    assert (await directory.get(f"/groups/{group}/members"))["value"] == []


async def test_groups_in_a_circle_are_harmless(directory: Directory) -> None:
    a = await directory.add_group("A")
    b = await directory.add_group("B", a)
    assert await add(directory, a, b) == (204, "")
    assert await add(directory, a, directory.ada_id) == (204, "")
    found = await directory.names(f"/users/{directory.ada_id}/transitiveMemberOf")
    assert sorted(found) == ["A", "B"]
    found = await directory.names(f"/groups/{a}/transitiveMemberOf")
    assert sorted(found) == ["A", "B"]


async def test_the_last_administrator_stays_a_member(directory: Directory) -> None:
    machine = await directory.administrator_id()
    denied = (403, "Authorization_RequestDenied")
    assert await remove(directory, ADMINISTRATORS, machine) == denied
    group = await directory.add_group("Empty")
    await add(directory, ADMINISTRATORS, group)
    disabled = await directory.add_user("off@example.org", account_enabled=False)
    await add(directory, ADMINISTRATORS, disabled)
    assert await remove(directory, ADMINISTRATORS, machine) == denied
    assert not directory.plane.notified
    await add(directory, group, directory.ada_id)
    assert await remove(directory, ADMINISTRATORS, machine) == (204, "")
    assert directory.took_notice()
    assert await remove(directory, ADMINISTRATORS, group) == denied


async def test_an_ordinary_user_makes_nobody_a_member(directory: Directory) -> None:
    path = f"{V1}/groups/{ADMINISTRATORS}/members"
    machine = await directory.administrator_id()
    body = {"@odata.id": reference(directory.ada_id)}
    for answer in (
        await directory.ada.post(f"{path}/$ref", json=body),
        await directory.ada.delete(f"{path}/{machine}/$ref"),
    ):
        assert error_of(answer) == (403, "Authorization_RequestDenied")
    assert await directory.names(f"/groups/{ADMINISTRATORS}/members", "id") == [machine]


async def test_an_object_is_not_deleted_as_a_member(directory: Directory) -> None:
    """In Graph, without `$ref` this is another request, and no member is meant by it."""
    group = await directory.add_group("Readers", directory.ada_id)
    answer = await directory.api.delete(f"{V1}/groups/{group}/members/{directory.ada_id}")
    assert answer.status_code == 404
    assert (await directory.user(directory.ada_id)).account_enabled
