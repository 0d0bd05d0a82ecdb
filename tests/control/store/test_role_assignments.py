from collections.abc import AsyncIterator, Sequence

import pytest

from tests.control.conftest import CLUSTERS, GROUPS, SUBSCRIPTION
from towrope.control.roles.scope import Scope
from towrope.control.store import role_assignments as store
from towrope.control.store.database import Database
from towrope.control.store.groups import MemberKind
from towrope.control.store.role_assignments import RoleAssignment
from towrope.control.store.role_definitions import Authorship

pytestmark = pytest.mark.both_databases

NOBODY = Authorship(created_on=0, created_by="", updated_on=0, updated_by="")
SUBSCRIBED = f"/subscriptions/{SUBSCRIPTION}"
CLUSTER = f"{CLUSTERS}/shop-1"
HERE = [f"{CLUSTER}/namespaces/web", f"{CLUSTERS}/SHOP-1"]
ABOVE = ["/", SUBSCRIBED, f"{GROUPS}/shops"]
BESIDE = [
    f"{CLUSTERS}/shop",
    f"{CLUSTERS}/shop-10",
    f"{CLUSTERS}/shop-10/namespaces/web",
    f"{CLUSTERS}/shop-1.x/namespaces/web",
    f"{CLUSTERS}/shop-1_",
    f"{CLUSTERS}/shop%",
    f"{GROUPS}/shops-2",
    f"{GROUPS}/shop",
    "/subscriptions/another",
]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """With one assignment at each scope."""
    database = Database(database_url)
    await database.open()
    async with database.writing() as connection:
        for number, path in enumerate((*HERE, *ABOVE, *BESIDE)):
            made = RoleAssignment(
                id=f"00000000-0000-4000-8000-{number:012}",
                scope=Scope(path=path),
                role_id="role",
                principal_id="ann",
                principal_kind=MemberKind.USER,
                authorship=NOBODY,
            )
            await store.add(connection, made)
    yield database
    await database.close()


def paths(found: Sequence[RoleAssignment]) -> list[str]:
    return sorted(each.scope.path for each in found)


async def test_what_touches_a_cluster_is_of_it_and_of_what_it_lies_in(database: Database) -> None:
    scope = Scope(path=CLUSTER)
    async with database.reading() as connection:
        assert paths(await store.touching(connection, scope)) == sorted([*HERE, *ABOVE])
        assert paths(await store.below(connection, scope)) == sorted(HERE)
        assert paths(await store.above(connection, scope)) == sorted([*ABOVE, HERE[1]])
        everything = await store.below(connection, Scope(path="/"))
    assert paths(everything) == sorted([*HERE, *ABOVE, *BESIDE])


async def test_what_is_deleted_takes_nothing_of_its_neighbours_along(database: Database) -> None:
    async with database.writing() as connection:
        await store.remove_below(connection, Scope(path=CLUSTER.upper() + "/"))
        left = await store.below(connection, Scope(path="/"))
    assert paths(left) == sorted([*ABOVE, *BESIDE])
