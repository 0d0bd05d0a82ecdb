"""What anybody may ask, without a token: the cloud's metadata, the server's authority, health."""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import locations
from towrope.control.arm_error import envelope
from towrope.control.json_body import answer
from towrope.control.operation import operation
from towrope.control.routing import CaselessRoute, parameter
from towrope.control.settings import Settings

ALL_CLOUDS = frozenset({"2018-05-01", "2019-05-01", "2020-06-01"})
"""The api-versions of the metadata that are a list of clouds, not the one that is asked."""


class _Authentication(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    login_endpoint: str
    audiences: list[str]
    tenant: str
    identity_provider: str = "AAD"


class _Endpoints(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """ARM's cloud metadata, api-version 2022-09-01; the last three are of 2015-01-01."""

    resource_manager: str
    authentication: _Authentication
    microsoft_graph_resource_id: str
    graph_endpoint: str
    gallery_endpoint: str
    portal_endpoint: str
    name: str = "towrope"
    suffixes: dict[str, str] = {}


class _Health(msgspec.Struct, frozen=True, kw_only=True):
    status: str = "ok"


def routes(settings: Settings) -> list[Route]:
    base = str(settings.url)
    metadata = _Endpoints(
        resource_manager=base,
        authentication=_Authentication(
            # Azure's clients look nothing up at Microsoft for an address that ends so.
            login_endpoint=f"{base}/adfs",
            audiences=[base, f"{base}/"],
            tenant=settings.tenant,
        ),
        microsoft_graph_resource_id=base,
        graph_endpoint=base,
        gallery_endpoint=base,
        portal_endpoint=base,
    )

    @operation(None, {HTTPStatus.OK: _Endpoints | list[_Endpoints]})
    async def endpoints(request: Request) -> Response:
        is_list = parameter(request, "api-version") in ALL_CLOUDS
        return answer([metadata] if is_list else metadata)

    async def authority(_: Request) -> Response:
        if settings.ca_certificate is None:
            message = "This server's certificate comes from an authority that it does not own."
            return envelope(HTTPStatus.NOT_FOUND, "NotFound", message)
        return Response(settings.ca_certificate, media_type="application/x-pem-file")

    @operation(None, {HTTPStatus.OK: _Health})
    async def health(_: Request) -> Response:
        return answer(_Health())

    @operation(None, {HTTPStatus.OK: list[str]}, query=("location",))
    async def allowlist(request: Request) -> Response:
        return answer(locations.hosts(settings, parameter(request, "location") or None))

    return [
        CaselessRoute("/metadata/endpoints", {"GET": endpoints}),
        CaselessRoute("/.well-known/towrope/ca.pem", {"GET": authority}),
        CaselessRoute("/healthz", {"GET": health}),
        CaselessRoute("/urls/allowlist", {"GET": allowlist}),
    ]
