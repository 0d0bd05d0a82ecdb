"""The control plane's REST API, as the agent calls it: each request signed with a key of ours."""

import ssl
import time
from typing import TypeVar

import httpx2
import msgspec

from towrope.wire import agent_api, assertion
from towrope.wire.agent_api import (
    Configuration,
    Enroll,
    FetchConfiguration,
    FetchPolicy,
    Heartbeat,
    Listen,
    Policy,
    ResolvedPrincipal,
    ResolvePrincipal,
)
from towrope.wire.assertion import Key
from towrope.wire.errors import (
    Forbidden,
    Hop,
    Malformed,
    NotFound,
    Refused,
    TowropeError,
    Unauthenticated,
    Unreachable,
    foreign,
)

ANSWER_WITHIN = 4.0

Reply = TypeVar("Reply")

_BY_STATUS: dict[int, type[TowropeError]] = {401: Unauthenticated, 403: Forbidden, 404: NotFound}


class ServerApi:
    """Every call raises `Unreachable`, `Unauthenticated`, `Forbidden`, `NotFound`, `Refused` (any
    other status under 500) or `Malformed` (an answer that is none)."""

    def __init__(self, server: str, resource_id: str, *, tls: ssl.SSLContext) -> None:
        self._server = server.rstrip("/")
        self._resource_id = resource_id
        self._client = httpx2.AsyncClient(verify=tls, timeout=ANSWER_WITHIN, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def enroll(self, request: Enroll, *, key: Key) -> Configuration:
        """`key` is the onboarding key."""
        return await self._post("enroll", request, key=key, reply=Configuration)

    async def heartbeat(self, facts: Heartbeat, *, key: Key) -> Configuration:
        return await self._post("heartbeat", facts, key=key, reply=Configuration)

    async def configuration(self, request: FetchConfiguration, *, key: Key) -> Configuration:
        return await self._post("configuration", request, key=key, reply=Configuration)

    async def principal(self, question: ResolvePrincipal, *, key: Key) -> ResolvedPrincipal:
        return await self._post("principal", question, key=key, reply=ResolvedPrincipal)

    async def policy(self, request: FetchPolicy, *, key: Key) -> Policy | None:
        """None where the agent has the current one."""
        response = await self._send("policy", request, key=key)
        if response.status_code == httpx2.codes.NO_CONTENT:
            return None
        return _decoded("policy", response, Policy)

    async def listen(self, *, key: Key) -> Listen:
        return await self._post("listen", None, key=key, reply=Listen)

    async def _post(
        self, name: str, body: msgspec.Struct | None, *, key: Key, reply: type[Reply]
    ) -> Reply:
        return _decoded(name, await self._send(name, body, key=key), reply)

    async def _send(self, name: str, body: msgspec.Struct | None, *, key: Key) -> httpx2.Response:
        signed = assertion.mint(
            key, subject=self._resource_id, audience=self._server, now=time.time()
        )
        try:
            response = await self._client.post(
                f"{self._server}{agent_api.PREFIX}/{name}",
                content=b"{}" if body is None else msgspec.json.encode(body),
                headers={"Authorization": f"Bearer {signed}", "Content-Type": "application/json"},
            )
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            why = foreign(str(error)) or type(error).__name__
            raise Unreachable(
                f"The server {self._server} cannot be reached: {why}.", hop=Hop.SERVER
            ) from None
        if not response.is_success:
            raise self._refusal(response)
        return response

    def _refusal(self, response: httpx2.Response) -> TowropeError:
        status = response.status_code
        kind = _BY_STATUS.get(status, Unreachable if status >= 500 else Refused)
        text = _error_message(response.content) or response.reason_phrase
        return kind(f"The server {self._server} answered {status}: {text}", hop=Hop.SERVER)


def _decoded(name: str, response: httpx2.Response, reply: type[Reply]) -> Reply:
    try:
        return msgspec.json.decode(response.content, type=reply)
    except msgspec.DecodeError as error:
        raise Malformed(
            f"The server's answer to '{name}' is not valid: {foreign(str(error))}",
            hop=Hop.SERVER,
        ) from None


class _ErrorBody(msgspec.Struct):
    message: str = ""


class _Error(msgspec.Struct):
    error: _ErrorBody


def _error_message(content: bytes) -> str:
    """The sentence of an error in ARM's shape."""
    try:
        return foreign(msgspec.json.decode(content, type=_Error).error.message)
    except msgspec.DecodeError:
        return ""
