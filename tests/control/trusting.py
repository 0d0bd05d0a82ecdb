"""Trusted issuers of a control plane under test, put there as an administrator does."""

import dataclasses
from typing import Any

import httpx2

from tests.control.conftest import Plane
from tests.fixtures.entra import EntraServer, EntraTokens
from tests.fixtures.oidc_stub import OidcStub

ISSUERS = "/providers/Towrope.Identity/issuers"


async def put(plane: Plane, name: str, properties: dict[str, Any]) -> httpx2.Response:
    return await plane.api.put(f"{ISSUERS}/{name}", json={"properties": properties})


async def trust_oidc(plane: Plane, stub: OidcStub, name: str = "dex", **change: Any) -> None:
    stub.now = plane.now
    (await put(plane, name, stub.settings | change)).raise_for_status()


def entra_properties(server: EntraServer, **change: Any) -> dict[str, Any]:
    known = {
        "kind": "entra",
        "tenantId": server.tokens.tenant,
        "audiences": [server.tokens.audience],
        "issuerUrl": server.url,
        "caCertificate": server.ca,
    }
    return known | change


def graph(server: EntraServer, **change: Any) -> dict[str, Any]:
    known = {"clientId": server.client_id, "clientSecret": server.secret, "endpoint": server.url}
    return {name: value for name, value in (known | change).items() if value is not None}


async def trust_entra(
    plane: Plane, server: EntraServer, name: str = "contoso", **change: Any
) -> EntraTokens:
    """Its tokens, by the plane's clock."""
    (await put(plane, name, entra_properties(server, **change))).raise_for_status()
    return dataclasses.replace(server.tokens, now=lambda: plane.now)
