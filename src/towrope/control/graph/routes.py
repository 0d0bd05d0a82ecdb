"""Routes of the directory's API: their prefix, and every refusal with Graph's own code."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from towrope.control.arm_error import CODES, ArmError
from towrope.control.authority import Handler, action_of
from towrope.control.graph.errors import bad_request, denied
from towrope.control.json_body import NotDecodable
from towrope.control.operation import operation_of
from towrope.control.routing import CaselessRoute
from towrope.wire.errors import foreign

PREFIX = "/v1.0"
_FORBIDDEN = CODES[HTTPStatus.FORBIDDEN]


def graph_route(path: str, **handlers: Handler) -> CaselessRoute:
    """A route below `/v1.0`; `handlers` are named for their methods, in lower case."""
    methods = {name.upper(): _as_graph(handler) for name, handler in handlers.items()}
    route = CaselessRoute(PREFIX + path, methods)
    route.actions = {name.upper(): action_of(handler) for name, handler in handlers.items()}
    route.operations = {name.upper(): operation_of(handler) for name, handler in handlers.items()}
    return route


def _as_graph(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except NotDecodable as error:
            raise bad_request(f"The request content is invalid: {foreign(str(error))}") from None
        except ArmError as error:
            raise denied() if error.code == _FORBIDDEN else error from None

    return handle
