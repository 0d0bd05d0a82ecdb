"""The resource API: paths, pages, operations that take time, credentials."""

import base64
from collections.abc import Iterator

import pytest

from tests.client.conftest import Answer, Scripted
from tests.client.test_profile import account
from towrope.client import api as module
from towrope.client.api import Api
from towrope.client.rest import Rest
from towrope.wire.errors import Forbidden, NotFound, Refused, Unreachable

CREDENTIAL = {
    "hybridConnectionConfig": {
        "relay": "wss://relay",
        "hybridConnectionName": "a/b",
        "token": "SharedAccessSignature secret",
        "expirationTime": 7,
        "relayTid": None,
    },
    "kubeconfigs": [{"name": "k", "value": base64.b64encode(b"kind: Config").decode()}],
}
ONE, TWO, THREE = ({"name": name} for name in ("one", "two", "three"))


@pytest.fixture
def api(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(module, "POLL_EVERY", 0.0)
    with Api(Rest(scripted.url, tls=scripted.tls, token=lambda: "t"), account()) as made:
        yield made


def test_names_stay_one_segment(api: Api, scripted: Scripted) -> None:
    api.get_cluster("a/../b", "c?d#e%2f")
    path = scripted.asked[0].path.partition("?")[0]
    assert path == (
        "/subscriptions/id-one/resourceGroups/a%2F..%2Fb/providers/Microsoft.Kubernetes"
        "/connectedClusters/c%3Fd%23e%252f"
    )


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_would_climb_are_refused(name: str, api: Api, scripted: Scripted) -> None:
    with pytest.raises(Refused):
        api.get_resource_group(name)
    assert scripted.asked == []


def test_pages_are_followed(api: Api, scripted: Scripted) -> None:
    scripted.answers = [
        Answer(
            body={"value": [ONE, TWO], "nextLink": f"{scripted.url}/next?api-version=1&$skip=a%20b"}
        ),
        Answer(body={"value": [THREE]}),
    ]
    assert api.list_resource_groups() == [ONE, TWO, THREE]
    assert scripted.asked[1].path == "/next?api-version=1&%24skip=a+b"


def test_next_page_is_asked_of_the_same_server(api: Api, scripted: Scripted) -> None:
    """A link to another host would hand it the token."""
    scripted.answers = [
        Answer(body={"value": [ONE], "nextLink": "https://evil.example/next?a=b"}),
        Answer(body={"value": [TWO]}),
    ]
    assert api.list_clusters() == [ONE, TWO]
    assert scripted.asked[1].path == "/next?a=b"


def test_made_when_the_operation_has_ended(api: Api, scripted: Scripted) -> None:
    scripted.answers = [
        Answer(status=201, body={"properties": {"provisioningState": "Provisioning"}}),
        Answer(body={"properties": {"provisioningState": "Updating"}}),
        Answer(body={"name": "a", "properties": {"provisioningState": "Succeeded"}}),
    ]
    assert api.put_cluster("g", "a", {})["name"] == "a"
    assert [asked.method for asked in scripted.asked] == ["PUT", "GET", "GET"]


def test_operation_that_fails(api: Api, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"properties": {"provisioningState": "Failed"}})]
    with pytest.raises(Refused, match="its state is Failed"):
        api.put_cluster("g", "a", {})


def test_operation_without_end(
    api: Api, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPERATION_WITHIN", 0.0)
    scripted.answers = [Answer(body={"properties": {"provisioningState": "Accepted"}})]
    with pytest.raises(Unreachable, match="not done"):
        api.put_cluster("g", "a", {})


def test_deleted_when_it_is_gone(api: Api, scripted: Scripted) -> None:
    scripted.answers = [
        Answer(status=202),
        Answer(),
        Answer(status=404, body={"error": {"message": "gone"}}),
    ]
    api.delete_cluster("g", "a")
    assert [asked.method for asked in scripted.asked] == ["DELETE", "GET", "GET"]


def test_deletion_is_not_awaited(api: Api, scripted: Scripted) -> None:
    scripted.answers = [Answer(status=202)]
    api.delete_cluster("g", "a", wait=False)
    assert len(scripted.asked) == 1


def test_credential(api: Api, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=CREDENTIAL)]
    found = api.list_cluster_user_credential("g", "a")
    assert found.kubeconfig == b"kind: Config"
    assert (found.relay, found.hybrid_connection_name) == ("wss://relay", "a/b")
    assert (found.token, found.expiration_time) == ("SharedAccessSignature secret", 7)
    assert "secret" not in repr(found)
    asked = scripted.asked[0]
    assert asked.body == b'{"authenticationMethod":"Token","clientProxy":true}'
    assert asked.path.partition("?")[0].endswith("/connectedClusters/a/listClusterUserCredential")


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {**CREDENTIAL, "kubeconfigs": []},
        {**CREDENTIAL, "kubeconfigs": [{"value": "no base64!"}]},
        {**CREDENTIAL, "hybridConnectionConfig": {"relay": 1}},
    ],
)
def test_unusable_credential_is_a_sentence(broken: object, api: Api, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=broken)]
    with pytest.raises(Refused, match="no usable credential"):
        api.list_cluster_user_credential("g", "a")


def test_not_found_says_where_to_look(api: Api, scripted: Scripted) -> None:
    scripted.answers = [Answer(status=404, body={"error": {"message": "No 'a'."}})]
    with pytest.raises(NotFound, match=r"No 'a'\. Check the name"):
        api.get_cluster("g", "a")


def test_who_may_not_reach_a_cluster_is_told_what_to_ask_for(api: Api, scripted: Scripted) -> None:
    refusal = {"error": {"code": "AuthorizationFailed", "message": "No."}}
    scripted.answers = [Answer(status=403, body=refusal)]
    role = "Azure Arc Enabled Kubernetes Cluster User Role"
    said = f'--role "{role}" --assignee App .*/connectedClusters/c$'
    with pytest.raises(Forbidden, match=said):
        api.list_cluster_user_credential("g", "c")
