"""The document, and that it is about everything."""

import re
from types import GenericAlias
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tests.control.conftest import URL, Plane
from tests.control.test_app import all_routes
from towrope.control.openapi import document
from towrope.control.operation import Page, operation
from towrope.control.routing import CaselessRoute
from towrope.control.settings import parse_public_url

REFERENCE = re.compile(r'"\$ref":"#/components/schemas/([^"]+)"')


async def fetched(plane: Plane) -> dict[str, Any]:
    answer = await plane.anonymous.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_every_guarded_handler_says_what_it_takes_and_answers(plane: Plane) -> None:
    silent = [
        (method, route.path)
        for route in all_routes(plane.control.asgi.routes)
        if isinstance(route, CaselessRoute)
        for method, action in route.actions.items()
        if action and route.operations[method] is None
    ]
    assert silent == []


async def test_every_guarded_route_is_in_the_document(plane: Plane) -> None:
    paths = (await fetched(plane))["paths"]
    for route in all_routes(plane.control.asgi.routes):
        if isinstance(route, CaselessRoute):
            for method in route.actions:
                assert method.lower() in paths[re.sub(r":\w+}", "}", route.path)], route.path


async def test_it_says_which_operations_need_a_token(plane: Plane) -> None:
    paths = (await fetched(plane))["paths"]
    open_ones = {
        path for path, each in paths.items() if any(not o["security"] for o in each.values())
    }
    assert open_ones == {
        "/openapi.json",
        "/metadata/endpoints",
        "/healthz",
        "/urls/allowlist",
        "/.well-known/towrope/issuers",
    }


async def test_it_names_every_parameter_of_a_path(plane: Plane) -> None:
    for path, each in (await fetched(plane))["paths"].items():
        for described in each.values():
            named = [p["name"] for p in described["parameters"] if p["in"] == "path"]
            assert sorted(named) == sorted(re.findall(r"{(\w+)}", path))


async def test_every_reference_is_to_a_component_with_a_plain_name(plane: Plane) -> None:
    text = (await plane.anonymous.get("/openapi.json")).text
    there = set((await fetched(plane))["components"]["schemas"])
    assert set(REFERENCE.findall(text)) == there
    assert [name for name in there if not re.fullmatch(r"\w+", name)] == []


async def test_an_operation_of_the_resource_api_has_a_version_and_arms_refusals(
    plane: Plane,
) -> None:
    paths = (await fetched(plane))["paths"]
    put = paths["/subscriptions/{subscription}/resourceGroups/{group}"]["put"]
    assert "api-version" in [p["name"] for p in put["parameters"] if p["required"]]
    assert sorted(put["responses"]) == ["200", "201", "4XX"]
    refusal = put["responses"]["4XX"]["content"]["application/json"]["schema"]
    assert refusal == {"$ref": "#/components/schemas/Envelope"}
    show = paths["/v1.0/users/{id}"]["get"]
    assert [p["name"] for p in show["parameters"]] == ["id", "$select"]


def described(method: str, *declared: Any) -> CaselessRoute:
    async def handle(_: Request) -> Response:
        return Response()

    return CaselessRoute("/x", {method: operation(*declared)(handle) if declared else handle})


def test_pages_of_types_with_one_name_are_told_apart() -> None:
    one, other = (
        msgspec.defstruct("Shape", [("x", kind)], module=f"a.{kind.__name__}")
        for kind in (int, str)
    )
    of_one, of_other = (GenericAlias(Page, each) for each in (one, other))
    routes = [
        described("GET", None, {200: of_one, 204: None}),
        described("PUT", other, {200: of_other}),
    ]
    made = document(routes, parse_public_url(URL))
    assert set(made["components"]["schemas"]) == {"IntShape", "StrShape", "Envelope", "Error"}
    answers = made["paths"]["/x"]["get"]["responses"]
    assert "content" not in answers["204"]
    listed = answers["200"]["content"]["application/json"]["schema"]["properties"]["value"]
    assert listed["items"] == {"$ref": "#/components/schemas/IntShape"}


def test_what_declares_nothing_is_not_described() -> None:
    assert document([described("GET")], parse_public_url(URL))["paths"] == {}
