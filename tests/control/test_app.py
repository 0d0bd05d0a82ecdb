import re

import pytest
from starlette.routing import BaseRoute, Mount, Route

from tests.control.conftest import (
    GROUP,
    HYBRID_CONNECTIONS,
    SUBSCRIPTION,
    TENANT,
    OnboardingKey,
    Plane,
)
from towrope.control.store import clusters

PUBLIC = {
    "/metadata/endpoints",
    "/.well-known/towrope/ca.pem",
    "/healthz",
    "/urls/allowlist",
    "/openapi.json",
    "/{tenant}/oauth2/v2.0/token",
    "/adfs/oauth2/token",
    "/{tenant}/oauth2/v2.0/revoke",
    "/adfs/oauth2/revoke",
    "/{tenant}/oauth2/v2.0/devicecode",
    "/adfs/oauth2/devicecode",
    "/{tenant}/discovery/v2.0/keys",
    "/adfs/discovery/keys",
    "/{tenant}/v2.0/.well-known/openid-configuration",
    "/adfs/.well-known/openid-configuration",
    "/.well-known/towrope/issuers",
    "/{tenant}/oauth2/v2.0/authorize",
    "/adfs/oauth2/authorize",
    "/{tenant}/oauth2/v2.0/logout",
    "/adfs/oauth2/logout",
    "/device",
    "/web/style.css",
    "/web/icon.svg",
}


def all_routes(routes: list[BaseRoute]) -> list[Route]:
    found = []
    for route in routes:
        if isinstance(route, Mount):
            found += all_routes(list(route.routes))
        else:
            assert isinstance(route, Route)
            found.append(route)
    return found


def requests(plane: Plane) -> list[tuple[str, str, bool]]:
    """Method, path and whether it is public, of everything that the application answers."""
    names = {"subscription": SUBSCRIPTION, "group": "shops", "tenant": TENANT}
    return [
        (
            method,
            re.sub(r"{(\w+)}", lambda m: names.get(m[1], "example"), route.path),
            route.path in PUBLIC,
        )
        for route in all_routes(plane.control.asgi.routes)
        for method in sorted(route.methods or ())
    ]


async def test_every_route_but_the_public_ones_wants_a_token(plane: Plane) -> None:
    tried = requests(plane)
    assert len(tried) > 30
    for method, path, public in tried:
        for headers in ({}, {"authorization": "Bearer x.y.z"}):
            answer = await plane.anonymous.request(
                method, path, params={"api-version": "1"}, headers=headers, json={}
            )
            assert (answer.status_code == 401) is not public, (method, path, answer)
            assert answer.status_code != 500


async def test_every_public_route_exists(plane: Plane) -> None:
    assert {r.path for r in all_routes(plane.control.asgi.routes)} >= PUBLIC


@pytest.mark.parametrize("path", ["/", "/nothing", f"{GROUP}/nothing", "/healthz/more"])
async def test_what_does_not_exist_wants_a_token_too(plane: Plane, path: str) -> None:
    assert (await plane.anonymous.get(path)).status_code == 401


async def test_it_knows_the_hybrid_connections_of_clusters_and_others(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    await plane.make_hybrid_connection("label-printer")
    async with plane.control.services.database.reading() as connection:
        cluster = await clusters.find(connection, "shops", "shop-17")
    assert cluster is not None
    assert await plane.control.knows(cluster.hybrid_connection)
    assert await plane.control.knows(cluster.hybrid_connection.upper())
    assert await plane.control.knows("Label-Printer")
    assert not await plane.control.knows("label-printer/more")
    assert not await plane.control.knows(cluster.hybrid_connection + "0")
    assert not await plane.control.knows("")


async def test_a_deleted_hybrid_connection_is_not_known_and_is_told(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    await plane.make_hybrid_connection("label-printer")
    await plane.api.delete(GROUP)
    assert not await plane.control.knows("label-printer")
    assert len(plane.removed) == 2
    assert "label-printer" in plane.removed


async def test_it_knows_which_authorization_rules_there_are(plane: Plane) -> None:
    await plane.make_group()
    await plane.make_hybrid_connection("label-printer")
    rule = f"{HYBRID_CONNECTIONS}/label-printer/authorizationRules/sender"
    made = await plane.api.put(rule, json={"properties": {"rights": ["Send"]}})
    assert made.is_success
    assert await plane.control.has_rule("label-printer", "sender")
    assert not await plane.control.has_rule("label-printer", "other")
    await plane.api.delete(rule)
    assert not await plane.control.has_rule("label-printer", "sender")
