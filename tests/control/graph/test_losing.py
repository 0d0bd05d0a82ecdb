import asyncio

import pytest

from tests.control.graph.conftest import V1, Directory
from towrope.control.arm_error import ArmError
from towrope.control.graph.losing import losing
from towrope.control.store import directory as store
from towrope.control.store import groups, users
from towrope.control.store.groups import ADMINISTRATORS


async def changed_at(directory: Directory) -> int:
    async with directory.database.reading() as connection:
        return await store.changed_at(connection)


async def test_agents_are_told_once_it_is_durable(directory: Directory) -> None:
    services = directory.plane.control.services
    async with losing(services) as connection:
        await users.change(connection, directory.ada_id, account_enabled=False)
        assert not directory.plane.notified
    assert directory.took_notice()
    assert await changed_at(directory) == int(directory.plane.now)


async def test_what_is_undone_is_not_told(directory: Directory) -> None:
    services = directory.plane.control.services
    with pytest.raises(ArmError, match="administrator"):
        async with losing(services) as connection:
            everybody = await directory.administrator_id()
            await groups.remove_member(connection, ADMINISTRATORS, everybody)
    assert not directory.plane.notified
    assert await changed_at(directory) == 0


async def test_two_administrators_do_not_remove_each_other(directory: Directory) -> None:
    await directory.add_member(ADMINISTRATORS, directory.ada_id)
    members = f"{V1}/groups/{ADMINISTRATORS}/members"
    machine = await directory.administrator_id()
    answers = await asyncio.gather(
        directory.api.delete(f"{members}/{directory.ada_id}/$ref"),
        directory.ada.delete(f"{members}/{machine}/$ref"),
    )
    done, undone = sorted(answer.status_code for answer in answers)
    assert done == 204
    # 401 or 403: whoever was removed first is no administrator any more, or is the last one.
    assert undone in (401, 403)
