import base64
from typing import Any

import pytest
from joserfc.jwk import ECKey

from tests.control.conftest import (
    CLUSTERS,
    GROUP,
    SUBSCRIPTION,
    TENANT,
    OnboardingKey,
    Plane,
    error_of,
    new_onboarding_key,
)
from towrope.control.store import clusters
from towrope.wire import agent_api


def body(key: OnboardingKey, **properties: Any) -> dict[str, Any]:
    known = {"agentPublicKeyCertificate": key.public, **properties}
    return {"location": "local", "properties": known}


async def test_a_cluster_is_created_once_and_replaced_after(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    first = await plane.api.put(f"{CLUSTERS}/shop-17", json=body(onboarding_key))
    second = await plane.api.put(
        f"{CLUSTERS}/SHOP-17", json=body(onboarding_key, distribution="k3s")
    )
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["name"] == "shop-17"
    assert second.json()["properties"]["distribution"] == "k3s"
    assert second.json()["identity"] == first.json()["identity"]
    assert plane.removed == []


async def test_its_shape_is_arms(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group("Shops")
    request = body(onboarding_key, infrastructure="generic", connectivityStatus="Connected")
    request |= {"location": "Local ", "tags": {"owner": "me"}, "unknown": 1}
    made = (await plane.api.put(f"{CLUSTERS}/Shop-17", json=request)).json()
    principal = made["identity"].pop("principalId")
    assert len(principal) == 36
    assert made == {
        "id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Shops"
        "/providers/Microsoft.Kubernetes/connectedClusters/Shop-17",
        "name": "Shop-17",
        "type": "Microsoft.Kubernetes/connectedClusters",
        "location": "local",
        "tags": {"owner": "me"},
        "identity": {"type": "SystemAssigned", "tenantId": TENANT},
        "properties": {
            "agentPublicKeyCertificate": onboarding_key.public,
            "azureHybridBenefit": "NotApplicable",
            "connectivityStatus": "Connecting",
            "infrastructure": "generic",
            "privateLinkState": "Disabled",
            "provisioningState": "Succeeded",
        },
    }
    shown = (await plane.api.get(f"{CLUSTERS}/shop-17")).json()
    assert shown["id"] == made["id"]
    assert shown["identity"]["principalId"] == principal


@pytest.mark.parametrize("name", ["a" * 64, "a.b", "a b", "é", "a+b"])
async def test_a_bad_name_is_refused(
    plane: Plane, onboarding_key: OnboardingKey, name: str
) -> None:
    await plane.make_group()
    answer = await plane.api.put(f"{CLUSTERS}/{name}", json=body(onboarding_key))
    assert error_of(answer) == (400, "InvalidResourceName")


@pytest.mark.parametrize(
    "key",
    [
        "",
        None,
        7,
        "not base64!",
        base64.b64encode(b"not a key").decode(),
        new_onboarding_key(1024).public,
        base64.b64encode(ECKey.generate_key("P-256").as_der(private=False)).decode(),
    ],
    ids=["empty", "null", "number", "text", "other bytes", "short", "elliptic"],
)
async def test_a_bad_onboarding_key_is_refused(plane: Plane, key: Any) -> None:
    await plane.make_group()
    request = {"location": "local", "properties": {"agentPublicKeyCertificate": key}}
    answer = await plane.api.put(f"{CLUSTERS}/shop-17", json=request)
    assert error_of(answer) == (400, "InvalidRequestContent")
    assert "agentPublicKeyCertificate" in answer.text


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"location": ""}, "LocationRequired"),
        ({"location": "a/b"}, "InvalidRequestContent"),
        ({"tags": {"a": 5}}, "InvalidRequestContent"),
        ({"tags": {str(n): "x" for n in range(51)}}, "InvalidRequestContent"),
        ({"properties": []}, "InvalidRequestContent"),
        ({"kind": "Cluster"}, "InvalidRequestContent"),
        ({"identity": {"type": "UserAssigned"}}, "InvalidRequestContent"),
    ],
)
async def test_a_bad_body_is_refused(
    plane: Plane, onboarding_key: OnboardingKey, change: dict[str, Any], code: str
) -> None:
    await plane.make_group()
    answer = await plane.api.put(f"{CLUSTERS}/shop-17", json=body(onboarding_key) | change)
    assert error_of(answer) == (400, code)


async def test_it_cannot_move(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    answer = await plane.api.put(
        f"{CLUSTERS}/shop-17", json=body(onboarding_key) | {"location": "elsewhere"}
    )
    assert error_of(answer) == (409, "InvalidResourceLocation")


async def test_it_needs_its_resource_group(plane: Plane, onboarding_key: OnboardingKey) -> None:
    put = await plane.api.put(f"{CLUSTERS}/shop-17", json=body(onboarding_key))
    assert error_of(put) == (404, "ResourceGroupNotFound")
    for request in (plane.api.get, plane.api.delete):
        assert error_of(await request(f"{CLUSTERS}/shop-17")) == (404, "ResourceGroupNotFound")
    assert error_of(await plane.api.get(CLUSTERS)) == (404, "ResourceGroupNotFound")


async def test_what_is_not_there_is_not_found(plane: Plane) -> None:
    await plane.make_group()
    answer = await plane.api.get(f"{CLUSTERS}/shop-17")
    assert error_of(answer) == (404, "ResourceNotFound")
    assert "'Microsoft.Kubernetes/connectedClusters/shop-17'" in answer.text
    patch = await plane.api.patch(f"{CLUSTERS}/shop-17", json={"tags": {}})
    assert error_of(patch) == (404, "ResourceNotFound")
    assert (await plane.api.delete(f"{CLUSTERS}/shop-17")).status_code == 204


async def test_another_onboarding_key_connects_it_anew(
    plane: Plane, onboarding_key: OnboardingKey, another_key: OnboardingKey
) -> None:
    await plane.make_group()
    before = await plane.make_cluster(onboarding_key)
    plane.now += 1
    after = await plane.make_cluster(another_key)
    assert after["identity"] == before["identity"]
    assert after["properties"]["agentPublicKeyCertificate"] == another_key.public
    [old] = plane.removed
    assert not await plane.control.knows(old)


async def test_delete_removes_it(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    assert (await plane.api.delete(f"{CLUSTERS}/Shop-17")).status_code == 200
    assert (await plane.api.delete(f"{CLUSTERS}/shop-17")).status_code == 204
    assert len(plane.removed) == 1


async def test_patch_changes_tags_and_what_may_change(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    change = {
        "tags": {"a": "b"},
        "properties": {"azureHybridBenefit": "True", "agentPublicKeyCertificate": "x"},
    }
    patched = (await plane.api.patch(f"{CLUSTERS}/shop-17", json=change)).json()
    assert patched["tags"] == {"a": "b"}
    assert patched["properties"]["azureHybridBenefit"] == "True"
    assert patched["properties"]["agentPublicKeyCertificate"] == onboarding_key.public
    assert patched["properties"]["distribution"] == "k3s"
    kept = (await plane.api.patch(f"{CLUSTERS}/shop-17", json={"tags": None})).json()
    assert kept["tags"] == {"a": "b"}
    assert (await plane.api.get(f"{CLUSTERS}/shop-17")).json() == kept


async def test_a_patch_is_merged(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    profile = {"enableAzureRBAC": False, "tenantID": TENANT}
    steps: list[tuple[dict[str, Any], Any]] = [
        ({"aadProfile": profile}, profile),
        ({"aadProfile": {"enableAzureRBAC": True}}, {**profile, "enableAzureRBAC": True}),
        ({"aadProfile": {"tenantID": None}}, {"enableAzureRBAC": True}),
        ({"distribution": "aks"}, {"enableAzureRBAC": True}),
        ({"aadProfile": None}, None),
    ]
    for change, expected in steps:
        answer = await plane.api.patch(f"{CLUSTERS}/shop-17", json={"properties": change})
        assert answer.status_code == 200
        assert answer.json()["properties"].get("aadProfile") == expected
    assert answer.json()["properties"]["distribution"] == "aks"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_its_agent_is_told_when_role_assignments_begin_and_cease_to_decide(
    plane: Plane, onboarding_key: OnboardingKey, method: str
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    path = await hybrid_connection(plane)
    for is_enabled, hints in ((True, 1), (True, 1), (False, 2), (False, 2)):
        changed = body(onboarding_key, aadProfile={"enableAzureRBAC": is_enabled})
        answer = await plane.api.request(method, f"{CLUSTERS}/shop-17", json=changed)
        assert answer.status_code == 200
        assert plane.notified == [(path, agent_api.POLICY)] * hints


async def hybrid_connection(plane: Plane) -> str:
    async with plane.control.services.database.reading() as connection:
        cluster = await clusters.find(connection, "shops", "shop-17")
    assert cluster is not None
    return cluster.hybrid_connection


async def test_head_tells_whether_it_is_there(plane: Plane, onboarding_key: OnboardingKey) -> None:
    assert (await plane.api.head(f"{CLUSTERS}/shop-17")).status_code == 404
    await plane.make_group()
    assert (await plane.api.head(f"{CLUSTERS}/shop-17")).status_code == 404
    await plane.make_cluster(onboarding_key)
    assert (await plane.api.head(f"{CLUSTERS}/SHOP-17")).status_code == 204


async def test_delete_may_be_forced(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    forced = await plane.api.delete(f"{CLUSTERS}/shop-17", params={"force": "true"})
    assert forced.status_code == 200


async def test_lists_come_in_pages(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group("Shops")
    for number in range(7):
        await plane.make_cluster(onboarding_key, f"shop-{number}")
    for start in (CLUSTERS, CLUSTERS.replace(f"{GROUP}/", f"/subscriptions/{SUBSCRIPTION}/")):
        pages = await plane.pages(start)
        assert [len(page) for page in pages] == [3, 3, 1]
        assert [c["name"] for page in pages for c in page] == [f"shop-{n}" for n in range(7)]


async def test_an_empty_list_has_no_next_link(plane: Plane) -> None:
    await plane.make_group()
    assert (await plane.api.get(CLUSTERS)).json() == {"value": []}
