"""Long-running operations, for clients that would rather poll (`Prefer: respond-async`, RFC 7240).

Whatever is asked for is done before it is answered. Who prefers to poll is answered in ARM's two
styles nonetheless: a creation with `Azure-AsyncOperation`, a change and a deletion with 202 and
`Location`. Nothing is kept of an operation: its name says when it was, signed for its caller.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.arm_error import ArmError
from towrope.control.authority import caller, listed
from towrope.control.json_body import answer
from towrope.control.operation import operation
from towrope.control.routing import SUBSCRIPTION, arm_route, parameter
from towrope.control.services import Services
from towrope.wire import names
from towrope.wire.errors import foreign

INFO = b"towrope operation names"
NAMESPACE = names.CLUSTER_TYPE.split("/")[0]
LOCATION = f"/providers/{NAMESPACE}/locations/{{location}}"
ASYNC = "respond-async"
_NAME = re.compile("(?P<started>[0-9a-f]{1,10})-[0-9a-f]{32}")


class _Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    name: str
    start_time: datetime
    end_time: datetime
    status: str = "Succeeded"


class OperationResults:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=INFO)
        self._key = derivation.derive(self._settings.master)

    def routes(self) -> list[Route]:
        action = f"{NAMESPACE}/locations"
        return [
            # Everybody's, as an operation is its caller's: who asked for it knows how it ended.
            arm_route(
                self._settings,
                f"{SUBSCRIPTION}{LOCATION}/operationStatuses/{{name}}",
                get=listed(f"{action}/operationStatuses/read", self._status),
            ),
            arm_route(
                self._settings,
                f"{SUBSCRIPTION}{LOCATION}/operationResults/{{name}}",
                get=listed(f"{action}/operationResults/read", self._result),
            ),
        ]

    def created(self, request: Request, made: Response, *, location: str) -> Response:
        """`made`, the answer of a creation, with where its caller may poll, if that is wanted."""
        if _prefers_async(request):
            link = self._link(request, "operationStatuses", location)
            made.headers.update({"azure-asyncoperation": link, **_POLLING})
        return made

    def changed(self, request: Request, answered: Response) -> Response:
        """`answered`, the answer of a change, or where it will be found."""
        if not _prefers_async(request):
            return answered
        path = quote(request.scope["path"], safe="/%")
        return _accepted(f"{self._settings.url}{path}?{_version(request)}")

    def deleted(self, request: Request, *, location: str) -> Response:
        if not _prefers_async(request):
            return Response(status_code=HTTPStatus.OK)
        return _accepted(self._link(request, "operationResults", location))

    @operation(None, {HTTPStatus.OK: _Status})
    async def _status(self, request: Request) -> Response:
        at = datetime.fromtimestamp(self._started(request), UTC)
        name = request.path_params["name"]
        return answer(_Status(id=request.scope["path"], name=name, start_time=at, end_time=at))

    @operation(None, {HTTPStatus.NO_CONTENT: None})
    async def _result(self, request: Request) -> Response:
        self._started(request)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _link(self, request: Request, kind: str, location: str) -> str:
        path = LOCATION.format(location=location)
        name = self._name(request, int(self._services.clock()))
        base = f"{self._settings.url}/subscriptions/{self._settings.subscription}{path}"
        return f"{base}/{kind}/{name}?{_version(request)}"

    def _name(self, request: Request, started: int) -> str:
        content = f"{started:x} {caller(request).object_id}".encode()
        return f"{started:x}-{hmac.new(self._key, content, hashlib.sha256).hexdigest()[:32]}"

    def _started(self, request: Request) -> int:
        """When the operation that a path names was, in Unix seconds. Raises `ArmError` (404)."""
        given = request.path_params["name"]
        named = _NAME.fullmatch(given)
        started = int(named["started"], 16) if named else 0
        if not hmac.compare_digest(given.encode(), self._name(request, started).encode()):
            raise ArmError(
                HTTPStatus.NOT_FOUND,
                "OperationNotFound",
                f"You have no operation '{foreign(given)}' here. Follow the link of its answer.",
            )
        return started


_POLLING = {"retry-after": "0", "preference-applied": ASYNC}


def _accepted(link: str) -> Response:
    headers = {"location": link, **_POLLING}
    return Response(status_code=HTTPStatus.ACCEPTED, headers=headers)


def _prefers_async(request: Request) -> bool:
    given = ",".join(request.headers.getlist("prefer"))
    return any(each.partition(";")[0].strip().lower() == ASYNC for each in given.split(","))


def _version(request: Request) -> str:
    return f"api-version={quote(parameter(request, 'api-version') or '')}"
