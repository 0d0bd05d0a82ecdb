import pytest

from tests.control.conftest import SUBSCRIPTION, Plane, error_of

PROVIDERS = f"/subscriptions/{SUBSCRIPTION}/providers"


async def test_each_is_registered_from_the_start(plane: Plane) -> None:
    listed = (await plane.api.get(PROVIDERS)).json()["value"]
    assert {each["namespace"] for each in listed} >= {
        "Microsoft.Authorization",
        "Microsoft.ExtendedLocation",
        "Microsoft.Kubernetes",
        "Microsoft.KubernetesConfiguration",
        "Microsoft.Relay",
        "Microsoft.Resources",
    }
    assert {each["registrationState"] for each in listed} == {"Registered"}
    for each in listed:
        assert (await plane.api.get(each["id"].upper())).json() == each


async def test_one_says_where_and_in_which_versions_its_types_are(plane: Plane) -> None:
    shown = (await plane.api.get(f"{PROVIDERS}/microsoft.kubernetes")).json()
    assert shown["id"] == f"{PROVIDERS}/Microsoft.Kubernetes"
    assert shown["resourceTypes"][0] == {
        "resourceType": "connectedClusters",
        "locations": ["Local"],
        "apiVersions": ["2026-05-01", "2025-08-01-preview", "2024-01-01", "2021-10-01"],
        "defaultApiVersion": "2026-05-01",
        "capabilities": "SupportsTags, SupportsLocation",
    }


async def test_it_is_registered_again_and_never_unregistered(plane: Plane) -> None:
    path = f"{PROVIDERS}/Microsoft.Kubernetes"
    again = await plane.api.post(f"{path}/register")
    assert (again.status_code, again.json()) == (200, (await plane.api.get(path)).json())
    refused = await plane.api.post(f"{path}/unregister")
    assert error_of(refused) == (409, "CannotUnregisterResourceNamespace")


@pytest.mark.parametrize("namespace", ["Microsoft.Compute", "Microsoft", "x"])
async def test_one_that_is_not_here_is_not_found(plane: Plane, namespace: str) -> None:
    shown = await plane.api.get(f"{PROVIDERS}/{namespace}")
    assert error_of(shown) == (404, "InvalidResourceNamespace")
    assert (await plane.api.post(f"{PROVIDERS}/{namespace}/register")).status_code == 404


async def test_the_operations_are_those_that_the_routes_ask_for(plane: Plane) -> None:
    answer = await plane.api.get("/providers/Microsoft.Kubernetes/operations")
    listed = {each["name"]: each for each in answer.json()["value"]}
    assert listed["Microsoft.Kubernetes/connectedClusters/read"] == {
        "name": "Microsoft.Kubernetes/connectedClusters/read",
        "isDataAction": False,
        "origin": "user,system",
        "display": {
            "provider": "Microsoft.Kubernetes",
            "resource": "Connected Cluster",
            "operation": "Reads connected clusters",
            "description": "Reads connected clusters",
        },
    }
    assert "Microsoft.Kubernetes/connectedClusters/listClusterUserCredential/action" in listed
