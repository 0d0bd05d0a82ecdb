from dataclasses import replace

import httpx2

from tests.control.conftest import TENANT, URL, Plane
from towrope.control.app import ControlPlane
from towrope.control.settings import Settings


async def test_the_metadata_say_where_everything_is(plane: Plane) -> None:
    answer = await plane.anonymous.get("/Metadata/Endpoints?api-version=2022-09-01")
    assert answer.json() == {
        "name": "towrope",
        "resourceManager": URL,
        "authentication": {
            "loginEndpoint": f"{URL}/adfs",
            "audiences": [URL, f"{URL}/"],
            "tenant": TENANT,
            "identityProvider": "AAD",
        },
        "microsoftGraphResourceId": URL,
        "graphEndpoint": URL,
        "galleryEndpoint": URL,
        "portalEndpoint": URL,
        "suffixes": {},
    }


async def test_the_metadata_are_a_list_in_some_versions(plane: Plane) -> None:
    one = (await plane.anonymous.get("/metadata/endpoints")).json()
    for version, expected in (("2015-01-01", one), ("2019-05-01", [one]), ("2022-09-01", one)):
        query = {"api-version": version}
        answer = await plane.anonymous.get("/metadata/endpoints", params=query)
        assert answer.json() == expected


async def test_the_authority_is_given_to_anybody(plane: Plane) -> None:
    answer = await plane.anonymous.get("/.well-known/towrope/ca.pem")
    assert answer.content == plane.settings.ca_certificate


async def test_an_authority_of_others_is_not_given(settings: Settings) -> None:
    control = ControlPlane(replace(settings, ca_certificate=None))
    transport = httpx2.ASGITransport(app=control.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as client:
        assert (await client.get("/.well-known/towrope/ca.pem")).status_code == 404
    await control.stop()


async def test_health_and_the_allowlist_are_public(plane: Plane) -> None:
    assert (await plane.anonymous.get("/healthz")).json() == {"status": "ok"}
    assert (await plane.anonymous.get("/urls/allowlist")).json() == ["towrope.example.org"]
