"""Requests to the directory: names in paths and filters, pages, and what it makes of answers."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.client.conftest import Answer, Scripted
from towrope.client.directory import Directory, equals, is_guid, starts_with
from towrope.client.rest import Conflict, Rest
from towrope.wire.errors import NotFound, Refused

GUID = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"


@pytest.fixture
def directory(scripted: Scripted, no_proxies: None) -> Iterator[Directory]:
    with Directory(Rest(scripted.url, tls=scripted.tls, token=lambda: "a-token")) as made:
        yield made


def filters(scripted: Scripted) -> list[str]:
    return [parse_qs(urlsplit(each.path).query)["$filter"][0] for each in scripted.asked]


def test_an_apostrophe_in_a_name_ends_no_text() -> None:
    assert equals("displayName", "O'Brien") == "displayName eq 'O''Brien'"
    assert starts_with("displayName", "' or 1 eq 1") == "startswith(displayName,''' or 1 eq 1')"


def test_a_name_is_one_segment(scripted: Scripted, directory: Directory) -> None:
    scripted.answers = [Answer(body={"id": GUID, "a": 1, "@odata.context": "x"})]
    assert list(directory.get_user("a/../b?c#d@e")) == ["@odata.context", "a", "id"]
    assert scripted.asked[0].path == "/v1.0/users/a%2F..%2Fb%3Fc%23d@e"
    for name in ("", ".", ".."):
        with pytest.raises(Refused):
            directory.delete_user(name)


def test_pages_are_followed_at_this_server_only(scripted: Scripted, directory: Directory) -> None:
    link = "https://elsewhere.example/v1.0/users?$skipToken=x&$filter=a%20eq%20'b'"
    scripted.answers = [
        Answer(body={"value": [{"id": "1"}], "@odata.nextLink": link}),
        Answer(body={"value": [{"id": "2"}]}),
    ]
    assert [each["id"] for each in directory.list_users([equals("a", "b")])] == ["1", "2"]
    assert filters(scripted) == ["a eq 'b'"] * 2
    assert "skipToken=x" in scripted.asked[1].path


def test_no_more_is_read_than_is_shown(scripted: Scripted, directory: Directory) -> None:
    many = [{"id": str(number)} for number in range(3)]
    scripted.answers = [Answer(body={"value": many, "@odata.nextLink": f"{scripted.url}/x"})]
    assert len(directory.list_service_principals([], limit=2)) == 2
    assert len(scripted.asked) == 1


def test_a_group_by_its_id_its_name_or_its_beginning(
    scripted: Scripted, directory: Directory
) -> None:
    assert directory.find_group(GUID) == GUID
    assert not scripted.asked
    none, one = Answer(body={"value": []}), Answer(body={"value": [{"id": GUID}]})
    scripted.answers = [none, one]
    assert directory.find_group("shop") == GUID
    assert filters(scripted) == ["displayName eq 'shop'", "startswith(displayName,'shop')"]
    scripted.answers = [none]
    with pytest.raises(NotFound, match="'shop'"):
        directory.find_group("shop")
    scripted.answers = [none, Answer(body={"value": [{"id": GUID}, {"id": GUID}]})]
    with pytest.raises(Conflict, match="More than one"):
        directory.find_group("shop")


def test_names_of_many_groups_are_asked_for_in_parts(
    scripted: Scripted, directory: Directory
) -> None:
    ids = [str(number) for number in range(1500)]
    names = [{"id": "0", "displayName": "Zero"}]
    scripted.answers = [Answer(body={"value": ids}), Answer(body={"value": names})]
    found = directory.list_member_groups("users", "ada@example.org")
    assert found[:2] == [{"displayName": "Zero", "id": "0"}, {"displayName": None, "id": "1"}]
    sizes = [len(json.loads(each.body)["ids"]) for each in scripted.asked[1:]]
    assert sizes == [1000, 500]


def test_what_is_a_guid() -> None:
    assert is_guid(GUID)
    assert is_guid(GUID.upper())
    assert not is_guid(f"{{{GUID}}}")
    assert not is_guid("shop")
