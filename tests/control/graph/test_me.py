import asyncio

from tests.control.conftest import NOW, error_of
from tests.control.graph.conftest import NOBODY, V1, Directory
from towrope.control import passwords
from towrope.control.principal import Principal
from towrope.control.store import groups, users
from towrope.control.store.groups import ADMINISTRATORS, MemberKind

OLD, NEW = "the old good password", "another good password"


async def give_password(directory: Directory) -> None:
    values = {"password_hash": await passwords.hash_password(OLD), "must_change_password": True}
    async with directory.database.writing() as connection:
        await users.change(connection, directory.ada_id, **values)


async def change(directory: Directory, current: str, new: str) -> tuple[int, str]:
    body = {"currentPassword": current, "newPassword": new}
    answer = await directory.ada.post(f"{V1}/me/changePassword", json=body)
    assert current not in answer.text
    assert new not in answer.text
    return (204, "") if answer.status_code == 204 else error_of(answer)


async def test_a_user_sees_itself(directory: Directory) -> None:
    me = (await directory.ada.get(f"{V1}/me")).json()
    assert me == await directory.get(f"/users/{directory.ada_id}")
    selected = await directory.ada.get(f"{V1}/me", params={"$select": "userType,id"})
    assert selected.json()["userType"] == "Member"
    assert len(selected.json()) == 3


async def test_an_application_is_no_user(directory: Directory) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/changePassword", {"currentPassword": OLD, "newPassword": NEW}),
        ("POST", "/revokeSignInSessions", None),
        ("POST", "/getMemberObjects", {"securityEnabledOnly": False}),
        ("GET", "/memberOf", None),
    ):
        assert "delegated" in await directory.refusal(method, f"/me{path}", body)


async def test_a_user_changes_its_own_password(directory: Directory) -> None:
    await give_password(directory)
    directory.plane.now += 60
    assert await change(directory, OLD, NEW) == (204, "")
    assert directory.took_notice()
    kept = await directory.user(directory.ada_id)
    assert await passwords.verify(NEW, kept.password_hash)
    assert (kept.must_change_password, kept.valid_from) == (False, int(NOW) + 61)
    assert (await directory.ada.get(f"{V1}/me")).status_code == 401


async def test_a_password_that_cannot_be_is_refused(directory: Directory) -> None:
    await give_password(directory)
    for current, new in ((NEW, NEW), (OLD, OLD), (OLD, "short"), (OLD, "ada@example.org")):
        assert await change(directory, current, new) == (400, "Request_BadRequest")
    kept = await directory.user(directory.ada_id)
    assert await passwords.verify(OLD, kept.password_hash)
    assert not directory.plane.notified


async def test_of_two_changes_at_once_one_is_done(directory: Directory) -> None:
    await give_password(directory)
    done = await asyncio.gather(*(change(directory, OLD, f"{NEW} {n}") for n in range(2)))
    first, second = sorted(status for status, _ in done)
    assert first == 204
    assert second in (400, 401)


async def test_a_stolen_token_cannot_guess_the_password(directory: Directory) -> None:
    """Hashing is what takes the time here, so the account has no password to compare with."""
    tries = [await change(directory, f"{OLD} {number}", NEW) for number in range(6)]
    assert tries[:5] == [(400, "Request_BadRequest")] * 5
    assert tries[5] == (429, "TooManyRequests")
    await give_password(directory)
    assert await change(directory, OLD, NEW) == (429, "TooManyRequests")
    directory.plane.now += 120
    assert await change(directory, OLD, NEW) == (204, "")


async def test_a_user_ends_its_own_sign_ins_and_nobody_elses(directory: Directory) -> None:
    bob = await directory.add_user("bob@example.org")
    directory.plane.now += 60
    assert (await directory.ada.post(f"{V1}/me/revokeSignInSessions")).status_code == 200
    assert directory.took_notice()
    assert (await directory.user(bob)).valid_from == 0
    assert (await directory.ada.get(f"{V1}/me")).status_code == 401


async def test_the_last_administrator_may_change_its_password(directory: Directory) -> None:
    await give_password(directory)
    await directory.add_member(ADMINISTRATORS, directory.ada_id)
    async with directory.database.writing() as connection:
        await groups.remove_member(connection, ADMINISTRATORS, await directory.administrator_id())
    assert await change(directory, OLD, NEW) == (204, "")


async def test_somebody_of_another_provider(directory: Directory) -> None:
    guest = Principal(
        object_id=NOBODY, kind=MemberKind.USER, name="eve@elsewhere.example", issuer="elsewhere"
    )
    client = await directory.act_as_principal(guest)
    me = (await client.get(f"{V1}/me")).json()
    assert (me["id"], me["userPrincipalName"]) == (NOBODY, "eve@elsewhere.example")
    for path, body in (
        ("changePassword", {"currentPassword": OLD, "newPassword": NEW}),
        ("revokeSignInSessions", None),
        ("getMemberGroups", {}),
    ):
        answer = await client.post(f"{V1}/me/{path}", json=body)
        assert error_of(answer) == (400, "Request_BadRequest")
        assert "another provider" in answer.text
