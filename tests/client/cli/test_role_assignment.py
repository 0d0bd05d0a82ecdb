"""`towrope role assignment`: who has which role where."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.client.conftest import Shell
from tests.client.people import User, make_user
from tests.fixtures.server import Server
from towrope.client.rest import Json

VIEWER = "Azure Arc Kubernetes Viewer"
CREATE = ("role", "assignment", "create", "--role")
LIST = ("role", "assignment", "list")
DELETE = ("role", "assignment", "delete")
WHERE = ("-g", "tills")


@dataclass(frozen=True, kw_only=True)
class Group:
    name: str
    id: str


@pytest.fixture(scope="module")
def user(live_server: Server) -> User:
    return make_user(live_server, "assigned", reaches=False)


@pytest.fixture
def tills(inside: Shell) -> Iterator[Group]:
    """A resource group of one test alone."""
    made = inside.json("group", "create", "-n", "tills")
    yield Group(name="tills", id=made["id"])
    inside.ok("group", "delete", "-n", "tills", "--yes")


def test_life_of_an_assignment(inside: Shell, user: User, tills: Group) -> None:
    words = (*CREATE, VIEWER, "--assignee", user.name, "--scope", tills.id, "--description", "x")
    made = inside.json(*words)
    assert made["principalId"] == user.object_id
    assert made["principalName"] == user.name
    assert made["principalType"] == "User"
    assert made["roleDefinitionName"] == VIEWER
    assert made["description"] == "x"
    assert made["scope"] == tills.id
    assert made["resourceGroup"] == "tills"
    assert inside.json(*words)["id"] == made["id"], "the one that is there is shown"
    (listed,) = inside.json(*LIST, "-g", "tills")
    assert listed == made
    inside.ok(*DELETE, "--assignee", user.object_id, "--role", VIEWER, "-g", "tills")
    assert inside.json(*LIST, "-g", "tills") == []


def names(assignments: list[Json]) -> list[str]:
    return sorted(each["roleDefinitionName"] for each in assignments)


def test_where_is_looked(inside: Shell, user: User, tills: Group) -> None:
    subscription = tills.id.partition("/resourceGroups")[0]
    inside.ok(*CREATE, VIEWER, "--assignee", user.name, "-g", "tills")
    inside.ok(*CREATE, "Reader", "--assignee", user.name, "--scope", subscription)
    who = ("--assignee", user.name)
    assert names(inside.json(*LIST, *who)) == ["Reader"], "az looks at the subscription"
    assert names(inside.json(*LIST, *who, "--all")) == [VIEWER, "Reader"]
    assert names(inside.json(*LIST, *who, "-g", "tills")) == [VIEWER]
    inherited = inside.json(*LIST, *who, "--scope", tills.id, "--include-inherited")
    assert names(inherited) == [VIEWER, "Reader"]
    assert names(inside.json(*LIST, *who, "--all", "--role", "reader")) == ["Reader"]
    ids = [each["id"] for each in inside.json(*LIST, *who, "--all")]
    inside.ok(*DELETE, "--ids", *ids)
    assert inside.json(*LIST, *who, "--all") == []


def test_those_of_groups_on_request(inside: Shell, user: User, tills: Group) -> None:
    names = ("--display-name", "Assigned", "--mail-nickname", "assigned-group")
    group = inside.json("ad", "group", "create", *names)["id"]
    inside.ok("ad", "group", "member", "add", "-g", group, "--member-id", user.object_id)
    by_id = ("--assignee-object-id", group, "--assignee-principal-type", "group")
    made = inside.json(*CREATE, VIEWER, *by_id, "-g", "tills")
    assert (made["principalName"], made["principalType"]) == ("Assigned", "Group")
    where = ("--assignee", user.name, "-g", "tills")
    assert inside.json(*LIST, *where) == []
    (found,) = inside.json(*LIST, *where, "--include-groups")
    assert found["id"] == made["id"]
    inside.ok("ad", "group", "delete", "-g", group)


def test_a_table_fits(inside: Shell, user: User, tills: Group) -> None:
    inside.ok(*CREATE, VIEWER, "--assignee", user.name, "--scope", tills.id)
    head, line, row = inside.ok(*LIST, "-g", "tills", "-o", "table").splitlines()
    assert head.split() == ["Principal", "Role", "Scope"]
    assert row.split() == [user.name, *VIEWER.split(), "tills"]
    assert len(line) <= 80


def test_what_is_wrong_is_told_with_what_to_do(inside: Shell, user: User, tills: Group) -> None:
    who, where = ("--assignee", user.name), ("-g", "tills")
    said = inside.error(3, *CREATE, "Kubernetes Viewr", *who, *where)
    assert f"Did you mean '{VIEWER}'?" in said
    said = inside.error(3, *CREATE, VIEWER, "--assignee", "eve@example.com", *where)
    assert "no user 'eve@example.com'" in said
    assert "--scope" in inside.error(2, *CREATE, VIEWER, *who)
    assert "--assignee" in inside.error(2, *CREATE, VIEWER, *where)
    assert "not both" in inside.error(2, *CREATE, VIEWER, *who, *where, "--scope", "/")
    both = (*who, "--assignee-object-id", user.object_id)
    assert "not both" in inside.error(2, *CREATE, VIEWER, *both, *where)
    assert "GUID" in inside.error(2, *CREATE, VIEWER, "--assignee-object-id", "ada", *where)
    assert "no scope" in inside.error(2, *CREATE, VIEWER, *who, "--scope", "tills")
    assert inside.json(*LIST, "-g", "tills") == []


def test_nothing_is_deleted_by_mistake(inside: Shell, user: User, tills: Group) -> None:
    inside.ok(*CREATE, VIEWER, "--assignee", user.name, "--scope", tills.id)
    assert "--ids" in inside.error(2, *DELETE)
    assert "not both" in inside.error(2, *DELETE, "--ids", "/x", "--role", VIEWER)
    assert "No role assignment matches" in inside.error(3, *DELETE, "--role", "Owner", *WHERE)
    assert "not both" in inside.error(2, *LIST, "--all", *WHERE)
    assert len(inside.json(*LIST, *WHERE)) == 1


def test_a_default_group_is_no_scope(inside: Shell, user: User, tills: Group) -> None:
    """Where a role holds, and which are deleted, is never left to a setting."""
    environment = {"TOWROPE_DEFAULTS_GROUP": "tills"}
    said = inside.error(2, *CREATE, VIEWER, "--assignee", user.name, **environment)
    assert "--scope" in said
    assert "--ids" in inside.error(2, *DELETE, **environment)


def test_an_application_gets_a_role_as_it_is_made(inside: Shell, tills: Group) -> None:
    words = ("ad", "sp", "create-for-rbac", "-n", "till-robot")
    made = json.loads(inside.ok(*words, "--role", "Contributor", "--scopes", tills.id))
    (held,) = inside.json(*LIST, *WHERE)
    assert (held["principalName"], held["roleDefinitionName"]) == (made["appId"], "Contributor")
    inside.ok("ad", "sp", "delete", "--id", made["appId"])
