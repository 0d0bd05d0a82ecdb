from tests.control.callers import SUBSCRIPTION_SCOPE, Callers
from tests.control.callers import callers as callers
from tests.control.conftest import GROUP, NOW, Plane
from towrope.control.held_roles import ADMINISTRATION, held_by
from towrope.control.roles.definition import RoleDefinition
from towrope.control.store import role_definitions
from towrope.control.store.groups import ADMINISTRATORS
from towrope.control.store.role_definitions import Authorship, CustomRole

GUID = "11111111-1111-4111-8111-111111111111"


async def test_what_is_assigned_to_a_principal_and_its_groups(
    plane: Plane, callers: Callers
) -> None:
    await plane.make_group()
    ada = await callers.user()
    devs = await callers.group("devs", ada.object_id)
    await callers.assign("Reader", ada.object_id, GROUP)
    await callers.assign("Contributor", devs, SUBSCRIPTION_SCOPE)
    async with plane.control.services.database.reading() as connection:
        both = await held_by(connection, {ada.object_id.upper(), devs})
        alone = await held_by(connection, {ada.object_id})
        nobody = await held_by(connection, set())
    found = {(each.role.name, each.scope.path) for each in both}
    assert found == {("Reader", GROUP), ("Contributor", SUBSCRIPTION_SCOPE)}
    assert [each.role.name for each in alone] == ["Reader"]
    assert nobody == ()


async def test_administrators_are_owners(plane: Plane) -> None:
    async with plane.control.services.database.reading() as connection:
        assert await held_by(connection, {ADMINISTRATORS}) == (ADMINISTRATION,)
        assert await held_by(connection, {ADMINISTRATORS}, is_external=True) == ()


async def test_what_another_issuer_says_is_nobody_of_the_directory(
    plane: Plane, callers: Callers
) -> None:
    """Not even of a group that was deleted, whose assignments are still there."""
    devs = await callers.group("devs")
    await callers.assign("Reader", devs, SUBSCRIPTION_SCOPE)
    await callers.assign("Contributor", GUID, SUBSCRIPTION_SCOPE, principalType="Group")
    deleted = await plane.api.delete(f"/v1.0/groups/{devs}")
    assert deleted.status_code == 204
    async with plane.control.services.database.reading() as connection:
        said = await held_by(connection, {devs, GUID}, is_external=True)
        own = await held_by(connection, {devs, GUID})
    assert [each.role.name for each in said] == ["Contributor"]
    assert [each.role.name for each in own] == ["Reader"]


async def test_an_assignment_of_a_role_that_is_no_more_gives_nothing(
    plane: Plane, callers: Callers
) -> None:
    ada = await callers.user()
    by = Authorship(created_on=int(NOW), created_by="", updated_on=int(NOW), updated_by="")
    async with plane.control.services.database.writing() as connection:
        role = RoleDefinition(id=GUID, name="Passing")
        await role_definitions.add(connection, CustomRole(role=role, authorship=by))
    path = f"/providers/Microsoft.Authorization/roleDefinitions/{GUID}"
    assert (await callers.assign(path, ada.object_id, "/")).status_code == 201
    async with plane.control.services.database.writing() as connection:
        assert len(await held_by(connection, {ada.object_id})) == 1
        await role_definitions.remove(connection, GUID)
        assert await held_by(connection, {ada.object_id}) == ()
