"""Routes as ARM's are: paths compared without case, `api-version` required but none pinned."""

import re
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.arm_error import ArmError
from towrope.control.authority import Handler, action_of
from towrope.control.operation import operation_of
from towrope.control.settings import Settings
from towrope.wire.errors import foreign

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = SUBSCRIPTION + "/resourceGroups/{group}"


class CaselessRoute(Route):
    """One path, a handler for each method."""

    def __init__(self, path: str, handlers: dict[str, Handler]) -> None:
        self.actions: dict[str, str | None] = {}
        """By method, where the resource API's rules guard it: what a caller must be allowed."""
        self.operations = {method: operation_of(each) for method, each in handlers.items()}
        """By method: what it takes and answers."""

        async def dispatch(request: Request) -> Response:
            # HEAD is GET without the body, which the HTTP server leaves out.
            return await (handlers.get(request.method) or handlers["GET"])(request)

        super().__init__(path, dispatch, methods=list(handlers))
        self.path_regex = re.compile(self.path_regex.pattern, re.IGNORECASE)


def arm_route(settings: Settings, path: str, **handlers: Handler) -> CaselessRoute:
    """A route of the resource API; `handlers` are named for their methods, in lower case."""

    def checked(handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            _check_api_version(request)
            _check_subscription(request, settings.subscription)
            return await handler(request)

        return handle

    methods = {name.upper(): checked(handler) for name, handler in handlers.items()}
    route = CaselessRoute(path, methods)
    route.actions = {name.upper(): action_of(handler) for name, handler in handlers.items()}
    route.operations = {name.upper(): operation_of(handler) for name, handler in handlers.items()}
    return route


def parameter(request: Request, name: str) -> str | None:
    """A query parameter; ARM compares their names without case."""
    found = (v for k, v in request.query_params.multi_items() if k.lower() == name.lower())
    return next(found, None)


def _check_api_version(request: Request) -> None:
    if not parameter(request, "api-version"):
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )


def _check_subscription(request: Request, ours: str) -> None:
    given = request.path_params.get("subscription", ours)
    if given.lower() != ours.lower():
        raise ArmError(
            HTTPStatus.NOT_FOUND,
            "SubscriptionNotFound",
            f"The subscription '{foreign(given)}' could not be found.",
        )
