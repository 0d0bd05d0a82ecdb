"""`/openapi.json`: the resource API and the directory's, as OpenAPI 3.1 has it (json-schema.org's
2020-12 dialect), made of what the handlers declare (`operation`) and of the routes' own actions.

It needs no token: it tells what this program is, nothing of what it holds.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, get_args, get_origin

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from towrope.control.arm_error import Envelope
from towrope.control.graph.routes import PREFIX
from towrope.control.json_body import answer
from towrope.control.operation import Operation, Page, operation
from towrope.control.routing import CaselessRoute
from towrope.control.settings import PublicUrl

PATH = "/openapi.json"
JSON = "application/json"
REFERENCE = "#/components/schemas/"

Schema = dict[str, Any]


def route(described: Sequence[BaseRoute], url: PublicUrl) -> CaselessRoute:
    """The route that answers with the document about the routes `described`, and about itself."""

    @operation(None, {HTTPStatus.OK: dict[str, Any]})
    async def show(_: Request) -> Response:
        return answer(made())

    own = CaselessRoute(PATH, {"GET": show})
    made = cache(lambda: document([*described, own], url))
    return own


def document(routes: Iterable[BaseRoute], url: PublicUrl) -> Schema:
    found = list(_described(routes))
    schemas = _Schemas([operation for _, _, operation in found])
    paths: dict[str, Schema] = {}
    for each, method, declared in found:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", each.path)
        paths.setdefault(path, {})[method.lower()] = _operation(each, method, declared, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Towrope", "version": version("towrope")},
        "servers": [{"url": str(url)}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _described(
    routes: Iterable[BaseRoute],
) -> Iterable[tuple[CaselessRoute, str, Operation]]:
    for each in routes:
        if isinstance(each, Mount):
            yield from _described(each.routes)
        elif isinstance(each, CaselessRoute):
            for method, declared in each.operations.items():
                if declared is not None:
                    yield each, method, declared


def _operation(
    route: CaselessRoute, method: str, declared: Operation, schemas: "_Schemas"
) -> Schema:
    action = route.actions.get(method)
    described: Schema = {
        "parameters": [*_path_parameters(route), *_query_parameters(route, declared)],
        "responses": {
            **{
                str(int(status)): _response(HTTPStatus(status).phrase, schemas.of(shape))
                for status, shape in declared.answers.items()
            },
            "4XX": _response(
                "A refusal, or a fault of the request's",
                None if method == "HEAD" else schemas.of(Envelope),
            ),
        },
        "security": [{"bearer": []}] if action else [],
    }
    if action:
        described["description"] = f"Needs the action `{action}`."
    if declared.body is not None:
        content = {JSON: {"schema": schemas.of(declared.body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(route: CaselessRoute) -> list[Schema]:
    return [_parameter(name, "path") for name in route.param_convertors]


def _query_parameters(route: CaselessRoute, declared: Operation) -> list[Schema]:
    """`api-version` is ARM's alone; which one it is makes no difference."""
    known = [_parameter(name, "query", is_required=False) for name in declared.query]
    is_arm = any(route.actions.values()) and not route.path.startswith(PREFIX)
    return [*known, _parameter("api-version", "query")] if is_arm else known


def _parameter(name: str, place: str, *, is_required: bool = True) -> Schema:
    return {"name": name, "in": place, "required": is_required, "schema": {"type": "string"}}


def _response(description: str, schema: Schema | None) -> Schema:
    if schema is None:
        return {"description": description}
    return {"description": description, "content": {JSON: {"schema": schema}}}


class _Schemas:
    """JSON Schema of every type that operations name; structs are components."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        types: dict[Any, None] = {Envelope: None}
        for each in operations:
            named = [each.body, *each.answers.values()]
            types |= {_item(shape): None for shape in named if shape is not None}
        made, components = msgspec.json.schema_components(types, ref_template=REFERENCE + "{name}")
        schemas, self.components = _renamed(list(made), components)
        self._schemas: Mapping[Any, Schema] = dict(zip(types, schemas, strict=True))

    def of(self, shape: Any) -> Schema | None:
        if shape is None:
            return None
        schema = self._schemas[_item(shape)]
        return schema if get_origin(shape) is not Page else _page(schema)


def _renamed(schemas: list[Schema], components: Schema) -> tuple[list[Schema], Schema]:
    """The same schemas, and components, with the names of components fit for readers."""
    names: dict[str, str] = {}
    for old in sorted(components, key=lambda name: name.startswith("_")):
        new = _public(old)
        names[old] = old if new in names.values() else new
    text = msgspec.json.encode((schemas, {names[old]: each for old, each in components.items()}))
    for old, new in names.items():
        text = text.replace(f'"{REFERENCE}{old}"'.encode(), f'"{REFERENCE}{new}"'.encode())
    return msgspec.json.decode(text, type=tuple[list[Schema], Schema])


def _public(name: str) -> str:
    """`towrope.control.resource_groups._Body` is `ResourceGroupsBody`, and `_Keys` is `Keys`."""
    module, _, own = name.rpartition(".")
    return module.rpartition(".")[2].title().replace("_", "") + own.lstrip("_")


def _item(shape: Any) -> Any:
    """Of a page, what is listed: the library confuses generic structs of equally named ones."""
    return get_args(shape)[0] if get_origin(shape) is Page else shape


def _page(item: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {
            "value": {"type": "array", "items": item},
            "nextLink": {"type": "string"},
        },
        "required": ["value"],
    }
