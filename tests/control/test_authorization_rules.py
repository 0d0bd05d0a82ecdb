from typing import Any

import pytest

from tests.control.conftest import HYBRID_CONNECTIONS, Plane, error_of
from towrope.wire import sas

RULES = f"{HYBRID_CONNECTIONS}/label-printer/authorizationRules"


@pytest.fixture
async def plane_with_one(plane: Plane) -> Plane:
    await plane.make_group()
    await plane.make_hybrid_connection()
    return plane


async def put(plane: Plane, name: str, *rights: Any) -> Any:
    body = {"properties": {"rights": list(rights)}}
    return await plane.api.put(f"{RULES}/{name}", json=body)


async def test_a_rule_is_created_shown_listed_and_deleted(plane_with_one: Plane) -> None:
    plane = plane_with_one
    made = (await put(plane, "Sender", "Send")).json()
    assert made["name"] == "Sender"
    assert made["type"] == "Microsoft.Relay/Namespaces/HybridConnections/AuthorizationRules"
    assert made["id"].endswith("/hybridConnections/label-printer/authorizationRules/Sender")
    assert made["properties"] == {"rights": ["Send"]}
    assert (await plane.api.get(f"{RULES}/sender")).json() == made
    assert (await plane.api.get(RULES)).json() == {"value": [made]}
    changed = (await put(plane, "SENDER", "Send", "Listen")).json()
    assert (changed["name"], changed["properties"]["rights"]) == ("Sender", ["Listen", "Send"])
    assert (await plane.api.delete(f"{RULES}/sender")).status_code == 200
    assert (await plane.api.delete(f"{RULES}/sender")).status_code == 204
    assert error_of(await plane.api.get(f"{RULES}/sender")) == (404, "ResourceNotFound")


async def test_its_keys_are_what_the_relay_verifies(plane_with_one: Plane) -> None:
    plane = plane_with_one
    await put(plane, "both", "Listen", "Send")
    keys = (await plane.api.post(f"{RULES}/BOTH/listKeys")).json()
    assert keys["keyName"] == "both"
    for slot in ("primary", "secondary"):
        key = keys[f"{slot}Key"]
        assert keys[f"{slot}ConnectionString"] == (
            "Endpoint=sb://towrope.example.org:8443/;SharedAccessKeyName=both"
            f";SharedAccessKey={key};EntityPath=label-printer"
        )
        audience = "http://towrope.example.org:8443/label-printer"
        token = sas.mint(audience=audience, key=key, rule="both", expires_at=plane.now + 60)
        for right in (sas.Right.LISTEN, sas.Right.SEND):
            sas.verify(
                token,
                master=plane.settings.master,
                path="label-printer",
                right=right,
                now=plane.now,
            )
    assert keys["primaryKey"] != keys["secondaryKey"]


async def test_rules_of_other_rights_have_other_keys(plane_with_one: Plane) -> None:
    plane = plane_with_one
    await put(plane, "one", "Listen")
    before = (await plane.api.post(f"{RULES}/one/listKeys")).json()
    await put(plane, "one", "Send")
    after = (await plane.api.post(f"{RULES}/one/listKeys")).json()
    assert before["primaryKey"] != after["primaryKey"]


@pytest.mark.parametrize(
    "rights", [[], ["Manage"], ["Manage", "Send"], ["listen"], ["Admin"], [5]], ids=str
)
async def test_what_is_no_rules_rights_is_refused(plane_with_one: Plane, rights: list[Any]) -> None:
    answer = await put(plane_with_one, "one", *rights)
    assert error_of(answer) == (400, "InvalidRequestContent")


@pytest.mark.parametrize("name", ["-a", "a-", "a b", "a" * 51, "a%2Fb"])
async def test_a_bad_name_is_refused(plane_with_one: Plane, name: str) -> None:
    assert error_of(await put(plane_with_one, name, "Send")) == (400, "InvalidResourceName")


async def test_there_are_at_most_twelve(plane_with_one: Plane) -> None:
    for number in range(12):
        assert (await put(plane_with_one, f"rule-{number}", "Send")).status_code == 200
    assert error_of(await put(plane_with_one, "rule-12", "Send")) == (409, "QuotaExceeded")
    assert (await put(plane_with_one, "rule-3", "Listen")).status_code == 200


async def test_it_needs_its_hybrid_connection(plane: Plane) -> None:
    await plane.make_group()
    for answer in (
        await put(plane, "one", "Send"),
        await plane.api.get(RULES),
        await plane.api.get(f"{RULES}/one"),
        await plane.api.delete(f"{RULES}/one"),
        await plane.api.post(f"{RULES}/one/listKeys"),
    ):
        assert error_of(answer) == (404, "ResourceNotFound")
