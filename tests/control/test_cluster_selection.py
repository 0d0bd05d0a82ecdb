import pytest

from tests.control.callers import Callers
from tests.control.callers import callers as callers
from tests.control.conftest import CLUSTERS, GROUPS, SUBSCRIPTION, OnboardingKey, Plane
from towrope.control.cluster_selection import MANY, selected
from towrope.control.roles.scope import Scope
from towrope.control.store.clusters import ALL, Selection

NOTHING = Selection(groups=frozenset())


def of(*paths: str) -> Selection:
    return selected([Scope(path=path) for path in paths], subscription=SUBSCRIPTION)


def named(*keys: tuple[str, str], groups: tuple[str, ...] | None = ()) -> Selection:
    return Selection(groups=None if groups is None else frozenset(groups), named=frozenset(keys))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ((), NOTHING),
        (("/subscriptions/another",), NOTHING),
        (("/subscriptions/another/resourceGroups/shops",), NOTHING),
        ((f"{GROUPS}/shops/providers/Microsoft.Relay/namespaces/one",), NOTHING),
        (("/",), ALL),
        ((f"/subscriptions/{SUBSCRIPTION.upper()}", f"{GROUPS}/shops"), ALL),
        ((f"{GROUPS}/SHOPS",), named(groups=("shops",))),
        ((f"{CLUSTERS}/One",), named(("shops", "one"))),
        ((f"{CLUSTERS}/one/namespaces/web", f"{CLUSTERS}/one"), named(("shops", "one"))),
        (("/", f"{CLUSTERS}/one"), named(("shops", "one"), groups=None)),
        ([f"{CLUSTERS}/none-{n}" for n in range(MANY + 1)], ALL),
    ],
)
def test_which_clusters_scopes_select(paths: tuple[str, ...], expected: Selection) -> None:
    assert of(*paths) == expected
    assert of(*paths).is_empty is (expected == NOTHING)


@pytest.fixture
async def many(plane: Plane, onboarding_key: OnboardingKey) -> Plane:
    """Eight clusters in two groups."""
    for group in ("shops", "Depots"):
        await plane.make_group(group)
    for number in range(4):
        await plane.make_cluster(onboarding_key, f"shop-{number}")
        body = {
            "location": "local",
            "properties": {"agentPublicKeyCertificate": onboarding_key.public},
        }
        path = f"{CLUSTERS.replace('/shops/', '/Depots/')}/depot-{number}"
        (await plane.api.put(path, json=body)).raise_for_status()
    return plane


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("scopes", "shown"),
    [
        ([], []),
        ([f"{CLUSTERS}/shop-2/namespaces/web"], []),
        ([f"{CLUSTERS}/SHOP-2"], ["shop-2"]),
        (
            [f"{CLUSTERS}/shop-2", f"{CLUSTERS}/shop-0", f"{GROUPS}/depots"],
            ["depot-0", "depot-1", "depot-2", "depot-3", "shop-0", "shop-2"],
        ),
        (
            [f"{CLUSTERS}/shop-2", *(f"{CLUSTERS}/none-{n}" for n in range(MANY))],
            ["shop-2"],
        ),
    ],
)
async def test_a_list_shows_what_is_readable_and_nothing_else(
    many: Plane, callers: Callers, scopes: list[str], shown: list[str]
) -> None:
    ada = await callers.user()
    for scope in scopes:
        await callers.hold("Reader", ada.object_id, scope)
    subscription = f"/subscriptions/{SUBSCRIPTION}"
    for path in ("providers/Microsoft.Kubernetes/connectedClusters", "resources"):
        found: list[str] = []
        answer = await ada.api.get(f"{subscription}/{path}")
        while True:
            page = answer.json()
            found += [each["name"] for each in page["value"]]
            if "nextLink" not in page:
                break
            answer = await many.anonymous.get(page["nextLink"], headers=ada.api.headers)
        assert found == shown
