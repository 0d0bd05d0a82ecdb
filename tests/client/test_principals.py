"""Who is meant by an `--assignee`."""

from collections.abc import Iterator

import pytest

from tests.client.conftest import Answer, Scripted
from towrope.client.directory import Directory
from towrope.client.principals import Principal, find_principal, principal_names
from towrope.client.rest import Rest
from towrope.wire.errors import NotFound

GUID = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"
NOBODY = Answer(body={"value": []})
UNKNOWN = Answer(status=404, body={"error": {"code": "x", "message": "No such user."}})


@pytest.fixture
def directory(scripted: Scripted) -> Iterator[Directory]:
    with Directory(Rest(scripted.url, tls=scripted.tls, token=lambda: "t")) as made:
        yield made


def test_a_users_name(directory: Directory, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"id": GUID})]
    found = find_principal(directory, "ada@example.com")
    assert found == Principal(object_id=GUID, kind="User")
    assert scripted.asked[0].path == "/v1.0/users/ada@example.com"


def test_an_application_id(directory: Directory, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"value": [{"id": GUID}]})]
    found = find_principal(directory, "11111111-1bf0-4dda-aec3-cb9272f09590")
    assert found == Principal(object_id=GUID, kind="ServicePrincipal")


@pytest.mark.parametrize(("kind", "called"), [("group", "Group"), ("user", "User"), ("device", "")])
def test_an_object_id(kind: str, called: str, directory: Directory, scripted: Scripted) -> None:
    found = {"id": GUID, "@odata.type": f"#microsoft.graph.{kind}"}
    scripted.answers = [NOBODY, Answer(body={"value": [found]})]
    assert find_principal(directory, GUID) == Principal(object_id=GUID, kind=called)


def test_nobody(directory: Directory, scripted: Scripted) -> None:
    scripted.answers = [UNKNOWN]
    with pytest.raises(NotFound, match=r"no user 'eve@example.com'.*--assignee-object-id"):
        find_principal(directory, "eve@example.com")
    scripted.answers = [NOBODY]
    with pytest.raises(NotFound, match=GUID):
        find_principal(directory, GUID)
    with pytest.raises(NotFound, match=r"'Shop Operators' is no.*ad group list"):
        find_principal(directory, "Shop Operators")


def test_what_people_know_them_by(directory: Directory, scripted: Scripted) -> None:
    found = [
        {"id": "1", "displayName": "Ada", "userPrincipalName": "ada@example.com"},
        {"id": "2", "displayName": "deployer", "appId": "app"},
        {"id": "3", "displayName": "Shops"},
    ]
    scripted.answers = [Answer(body={"value": found})]
    names = principal_names(directory, ["1", "2", "3", "4"])
    assert names == {"1": "ada@example.com", "2": "app", "3": "Shops"}


def test_who_may_not_read_the_directory_sees_ids(directory: Directory, scripted: Scripted) -> None:
    refusal = {"error": {"code": "Authorization_RequestDenied", "message": "No."}}
    scripted.answers = [Answer(status=403, body=refusal)]
    assert principal_names(directory, ["1"]) == {}
