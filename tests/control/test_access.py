"""Every route of the guarded mount, as callers with little or nothing."""

import re
from collections.abc import Iterator, Mapping

import httpx2
import pytest
from starlette.routing import Mount

from tests.control.callers import Caller, Callers
from tests.control.callers import callers as callers
from tests.control.conftest import CLUSTERS, SUBSCRIPTION, OnboardingKey, Plane
from towrope.control.authority import OWN_ACCOUNT, READ_TENANTS
from towrope.control.routing import CaselessRoute

GUID = "11111111-1111-4111-8111-111111111111"
THERE = {"group": "shops", "cluster": "shop-17"}
MISSING = {"group": "other", "cluster": "none-1"}
CLUSTER_USER = "Azure Arc Enabled Kubernetes Cluster User Role"

_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUP = f"{_SUBSCRIPTION}/resourceGroups/{{group}}"
_LISTS = ("Microsoft.Kubernetes/connectedClusters", "Microsoft.ExtendedLocation/customLocations")
_AUTHORIZATION = "/providers/Microsoft.Authorization"
_OPERATIONS = f"{_SUBSCRIPTION}/providers/Microsoft.Kubernetes/locations/{{location}}"
OPEN = {
    "/subscriptions",
    "/tenants",
    "/providers",
    "/providers/{namespace}",
    "/providers/Microsoft.Kubernetes/operations",
    f"{_SUBSCRIPTION}/resourceGroups",
    *(f"{scope}/resources" for scope in (_SUBSCRIPTION, _GROUP)),
    *(f"{scope}/providers/{kind}" for scope in (_SUBSCRIPTION, _GROUP) for kind in _LISTS),
    *(
        f"{scope}{_AUTHORIZATION}/{kind}"
        for scope in ("", _SUBSCRIPTION)
        for kind in ("roleAssignments", "roleDefinitions", "roleDefinitions/{role}")
    ),
    f"{_OPERATIONS}/operationResults/{{name}}",
    f"{_OPERATIONS}/operationStatuses/{{name}}",
}
"""What everybody may GET, and is shown what the caller may read of."""


def requests(plane: Plane, names: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Method, route, path and action of all behind authentication but one's own account."""
    known = {"subscription": SUBSCRIPTION, "namespace": "web", **names}
    [guarded] = [route for route in plane.control.asgi.routes if isinstance(route, Mount)]
    for route in guarded.routes:
        assert isinstance(route, CaselessRoute)
        path = re.sub(r"{(\w+)(:\w+)?}", lambda found: known.get(found[1], GUID), route.path)
        for method in sorted(route.methods or ()):
            action = route.actions.get(method) or route.actions["GET"]
            assert action is not None
            if action.startswith(OWN_ACCOUNT):
                continue  # everybody's, and one of them ends the caller's tokens
            yield method, route.path, path, action


async def ask(caller: Caller, method: str, path: str) -> httpx2.Response:
    body: object = {} if method in ("PUT", "POST", "PATCH") else None
    answer = await caller.api.request(method, path, json=body)
    assert answer.status_code < 500, (method, path, answer.text)
    return answer


def is_open(method: str, route: str, action: str) -> bool:
    """Whether it takes no role to be answered."""
    return (
        (route in OPEN and method in ("GET", "HEAD"))
        or action in (READ_TENANTS, "Microsoft.Authorization/permissions/read")
        or (action.startswith("Towrope.Directory/") and action.endswith("/read"))
    )


@pytest.fixture
async def shop(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    await plane.make_hybrid_connection()


async def test_who_holds_nothing_is_refused(plane: Plane, callers: Callers, shop: None) -> None:
    nobody = await callers.user()
    tried = 0
    for method, route, path, action in requests(plane, THERE):
        is_refused = (await ask(nobody, method, path)).status_code == 403
        assert is_refused is not is_open(method, route, action), (method, path)
        tried += 1
    assert tried > 100


async def test_who_holds_nothing_cannot_tell_what_there_is(
    plane: Plane, callers: Callers, shop: None
) -> None:
    nobody = await callers.user()
    there, missing = requests(plane, THERE), requests(plane, MISSING)
    for (method, _, path, _), (_, _, other, _) in zip(there, missing, strict=True):
        seen, expected = await ask(nobody, method, path), await ask(nobody, method, other)
        text = expected.text
        for name, named in THERE.items():
            text = text.replace(f"/{MISSING[name]}", f"/{named}")
        assert (seen.status_code, seen.text) == (expected.status_code, text), (method, path)


@pytest.mark.parametrize("role", ["Reader", CLUSTER_USER, "Azure Arc Kubernetes Cluster Admin"])
async def test_who_may_read_one_cluster_changes_nothing_and_reads_no_other(
    plane: Plane, callers: Callers, shop: None, role: str
) -> None:
    ada, nobody = await callers.user(), await callers.user("nobody")
    await callers.hold(role, ada.object_id, f"{CLUSTERS}/shop-17")
    reaching = "listClusterUserCredential" if role == CLUSTER_USER else "nothing"
    for method, route, path, action in requests(plane, THERE):
        if action.endswith("/read") or is_open(method, route, action) or reaching in action:
            continue
        assert (await ask(ada, method, path)).status_code == 403, (method, path)
    for method, route, path, _ in requests(plane, {**THERE, "cluster": "shop-1"}):
        if "{cluster}" in route:
            seen, expected = await ask(ada, method, path), await ask(nobody, method, path)
            assert seen.status_code == expected.status_code, (method, path)


async def test_a_role_in_a_namespace_is_as_none(plane: Plane, callers: Callers, shop: None) -> None:
    ada, nobody = await callers.user(), await callers.user("nobody")
    await callers.hold("Owner", ada.object_id, f"{CLUSTERS}/shop-17/namespaces/web")
    for method, route, path, _ in requests(plane, THERE):
        if "{group}" in route:
            seen, expected = await ask(ada, method, path), await ask(nobody, method, path)
            assert seen.status_code == expected.status_code, (method, path)
