from typing import Any

import pytest

from tests.control.conftest import CLUSTERS, GROUPS, SUBSCRIPTION, OnboardingKey, Plane
from towrope.control.cluster_selection import MANY
from towrope.control.policy_changes import announce
from towrope.control.roles.scope import Scope
from towrope.control.store import clusters
from towrope.wire import agent_api

pytestmark = pytest.mark.both_databases

ON: dict[str, Any] = {"aadProfile": {"enableAzureRBAC": True}}
SUBSCRIBED = f"/subscriptions/{SUBSCRIPTION}"


async def make(plane: Plane, key: OnboardingKey, name: str, **properties: Any) -> str:
    """A cluster of the group in `shops`; its hybrid connection."""
    await plane.make_cluster(key, name)
    async with plane.control.services.database.writing() as connection:
        cluster = await clusters.find(connection, "shops", name)
        assert cluster is not None
        await clusters.change(connection, cluster, properties=properties)
    return cluster.hybrid_connection


@pytest.fixture
async def names(plane: Plane, onboarding_key: OnboardingKey) -> dict[str, str]:
    """By hybrid connection: two clusters in mode rbac, and some that are not."""
    await plane.make_group()
    made = {
        await make(plane, onboarding_key, "one", **ON): "one",
        await make(plane, onboarding_key, "One-2", **ON): "one-2",
        await make(plane, onboarding_key, "off"): "off",
        await make(plane, onboarding_key, "odd", aadProfile="x"): "odd",
        await make(plane, onboarding_key, "no", aadProfile={"enableAzureRBAC": False}): "no",
    }
    plane.notified.clear()
    return made


@pytest.mark.parametrize(
    ("scopes", "told"),
    [
        ([], set()),
        (["/"], {"one", "one-2"}),
        ([SUBSCRIBED.upper()], {"one", "one-2"}),
        (["/subscriptions/another"], set()),
        ([f"{GROUPS}/SHOPS"], {"one", "one-2"}),
        ([f"{GROUPS}/shop"], set()),
        (["/subscriptions/another/resourceGroups/shops"], set()),
        ([f"{CLUSTERS}/one"], {"one"}),
        ([f"{CLUSTERS}/ONE/namespaces/web"], {"one"}),
        ([f"{CLUSTERS}/one-2/providers/Microsoft.KubernetesConfiguration/namespaces/x"], {"one-2"}),
        ([f"{CLUSTERS}/off"], {"off"}),
        (["/", f"{CLUSTERS}/off"], {"one", "one-2", "off"}),
        ([f"{GROUPS}/shops", f"{CLUSTERS}/one", f"{CLUSTERS}/gone"], {"one", "one-2"}),
        ([f"{GROUPS}/shops/providers/Microsoft.Relay/namespaces/one"], set()),
        ([f"{CLUSTERS}/none-{n}" for n in range(MANY + 1)], {"one", "one-2"}),
    ],
)
async def test_who_is_told(
    plane: Plane, names: dict[str, str], scopes: list[str], told: set[str]
) -> None:
    await announce(plane.control.services, *(Scope(path=path) for path in scopes))
    assert {kind for _, kind in plane.notified} <= {agent_api.POLICY}
    assert len(plane.notified) == len(told)
    assert {names[path or ""] for path, _ in plane.notified} == told
