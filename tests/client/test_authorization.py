"""Role definitions and role assignments, as the client asks for them."""

import json
from collections.abc import Iterator

import pytest

from tests.client.conftest import Answer, Scripted
from tests.client.test_profile import account
from towrope.client.authorization import Authorization, covers, role_id
from towrope.client.principals import Principal
from towrope.client.rest import Conflict, Json, Rest
from towrope.wire.errors import Malformed, NotFound

GUID = "63f0a09d-1495-4db4-a681-037d84835eb4"
GROUP = "/subscriptions/id-one/resourceGroups/shops"
ADA = Principal(object_id="ada", kind="User")
TAKEN = Answer(status=409, body={"error": {"code": "RoleAssignmentExists", "message": "There."}})


def role(name: str, guid: str = GUID) -> Json:
    path = f"/subscriptions/id-one/providers/Microsoft.Authorization/roleDefinitions/{guid}"
    return {"id": path, "name": guid, "properties": {"roleName": name, "type": "BuiltInRole"}}


VIEWER = role("Azure Arc Kubernetes Viewer")
ROLES = Answer(
    body={"value": [VIEWER, role("Azure Arc Kubernetes Writer", "w"), role("Owner", "o")]}
)


@pytest.fixture
def authorization(scripted: Scripted) -> Iterator[Authorization]:
    rest = Rest(scripted.url, tls=scripted.tls, token=lambda: "t")
    with Authorization(rest, account()) as made:
        yield made


@pytest.mark.parametrize("name", ["azure arc kubernetes VIEWER", GUID.upper(), VIEWER["id"]])
def test_a_role_by_its_name_or_its_id(
    name: str, authorization: Authorization, scripted: Scripted
) -> None:
    scripted.answers = [ROLES]
    assert authorization.find_role(name, GROUP) == VIEWER
    assert scripted.asked[0].path.startswith(
        f"{GROUP}/providers/Microsoft.Authorization/roleDefinitions?"
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("kubernetes viewer", "Did you mean 'Azure Arc Kubernetes Viewer'[?]"),
        ("Viewr", "Did you mean 'Azure Arc Kubernetes Viewer'[?]"),
        ("kubernetes", "'Azure Arc Kubernetes Viewer' or 'Azure Arc Kubernetes Writer'[?]"),
        ("banana", "there[.] 'towrope role definition list"),
        ("", "there[.] 'towrope role definition list"),
        ("0b1f6471-1bf0-4dda-aec3-cb9272f09590", "No role has the id 0b1f6471"),
    ],
)
def test_an_unknown_role_names_the_nearest(
    name: str, nearest: str, authorization: Authorization, scripted: Scripted
) -> None:
    scripted.answers = [ROLES]
    with pytest.raises(NotFound, match=nearest):
        authorization.find_role(name, GROUP)


def test_an_assignment_is_put_at_its_scope(
    authorization: Authorization, scripted: Scripted
) -> None:
    authorization.create_assignment(
        role=VIEWER, principal=ADA, scope=GROUP, name="n", description="why"
    )
    (asked,) = scripted.asked
    path = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/n"
    assert asked.path.partition("?")[0] == path
    assert json.loads(asked.body)["properties"] == {
        "roleDefinitionId": VIEWER["id"],
        "principalId": "ada",
        "principalType": "User",
        "description": "why",
    }


def test_each_new_assignment_has_a_name_of_its_own(
    authorization: Authorization, scripted: Scripted
) -> None:
    for _ in range(2):
        nobody_knows = Principal(object_id="ada", kind="")
        authorization.create_assignment(role=VIEWER, principal=nobody_knows, scope="/")
    first, second = (each.path for each in scripted.asked)
    assert first != second
    assert "principalType" not in json.loads(scripted.asked[0].body)["properties"]


def assignment(**properties: str) -> Json:
    named = {"scope": GROUP, "roleDefinitionId": VIEWER["id"], **properties}
    return {"id": f"{named['scope']}/x", "properties": named}


def test_one_that_is_there_is_found(authorization: Authorization, scripted: Scripted) -> None:
    others = [assignment(scope="/"), assignment(roleDefinitionId="/x/other")]
    scripted.answers = [TAKEN, Answer(body={"value": [*others, assignment(scope=GROUP.upper())]})]
    found = authorization.create_assignment(role=VIEWER, principal=ADA, scope=f"{GROUP}/")
    assert found["properties"]["scope"] == GROUP.upper()
    assert "principalId+eq+%27ada%27" in scripted.asked[1].path


def test_another_conflict_stays_one(authorization: Authorization, scripted: Scripted) -> None:
    scripted.answers = [TAKEN, Answer(body={"value": [assignment(scope="/")]})]
    with pytest.raises(Conflict):
        authorization.create_assignment(role=VIEWER, principal=ADA, scope=GROUP)


@pytest.mark.parametrize("scope", ["", "shops", "/a//b", "/a/../b", "/./a"])
def test_what_is_no_scope_is_not_asked(
    scope: str, authorization: Authorization, scripted: Scripted
) -> None:
    with pytest.raises(Malformed, match="no scope"):
        authorization.list_assignments(scope)
    assert scripted.asked == []


def test_names_in_a_scope_stay_one_segment(
    authorization: Authorization, scripted: Scripted
) -> None:
    authorization.list_assignments("/subscriptions/a?b#c/")
    assert scripted.asked[0].path.startswith("/subscriptions/a%3Fb%23c/providers/")
    authorization.list_assignments("/")
    assert scripted.asked[1].path.startswith("/providers/Microsoft.Authorization/roleAssignments")


def test_what_a_scope_covers() -> None:
    assert covers("/", GROUP)
    assert covers(GROUP.upper(), f"{GROUP}/providers/x")
    assert covers(GROUP, GROUP)
    assert not covers(GROUP, "/subscriptions/id-one")
    assert not covers(GROUP, f"{GROUP}-two")


def test_the_guid_of_an_assigned_role() -> None:
    assert role_id(assignment(roleDefinitionId=f"/x/{GUID.upper()}")) == GUID
