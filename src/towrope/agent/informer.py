"""All objects of one kind, listed and then watched, for whoever keeps an account of them.

What a watch missed, the list after it tells. Items are decoded to as much as the keeper wants of
them; of kinds with large objects the apiserver sends the metadata alone (`METADATA_ONLY`).
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import httpx2
import msgspec
import structlog
from lightkube import ApiError
from lightkube.config.client_adapter import AsyncClient as raw_client
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import SingleConfig

from towrope.agent.cluster import mapped
from towrope.ops.backoff import Backoff
from towrope.wire.errors import Hop, Refused, TowropeError, Unreachable, foreign

ANSWER_WITHIN = 10.0
LIST_WITHIN = 30.0
WATCH_FOR = 300.0
"""Seconds after which all are listed again: a watch may be a connection that died unnoticed."""
CHUNK = 500
LONGEST_DELAY = 15.0
DELETED = "DELETED"
STABLE_AFTER = 5.0
"""Seconds that a watch must last for the next one to begin at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """What the apiserver is asked to send; a watch that is asked for a list ends at its event."""

    list: str
    watch: str


WHOLE = Accept(list="application/json", watch="application/json")
METADATA_ONLY = Accept(
    list="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    watch="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
)

_log = structlog.get_logger()

Item = TypeVar("Item")


class Keeper(Protocol[Item]):
    """Is told of all items, and then of each change."""

    def listed(self, items: list[Item]) -> None: ...

    def changed(self, event: str, item: Item) -> None:
        """`event` is ADDED, MODIFIED or DELETED."""
        ...

    def failed(self, reason: str) -> None:
        """They are not watched just now; it is tried again."""
        ...


def client_of(
    config: SingleConfig, *, transport: httpx2.AsyncBaseTransport | None = None
) -> httpx2.AsyncClient:
    """Requests with the agent's own credential."""
    with mapped("read the kubeconfig"):
        # The library declares the transport of its other client.
        parameters = ConnectionParams(
            timeout=httpx2.Timeout(ANSWER_WITHIN),
            trust_env=False,
            transport=transport,  # type: ignore[arg-type]
        )
        return raw_client(config, parameters)


class Informer(Generic[Item]):
    """`await run()` until cancelled."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        path: str,
        item: type[Item],
        keeper: Keeper[Item],
        *,
        labels: str = "",
        accept: Accept = WHOLE,
    ) -> None:
        self._client = client
        self._path = path
        self._item = item
        self._keeper = keeper
        self._selection = {"labelSelector": labels} if labels else {}
        self._accept = accept

    async def run(self) -> None:
        backoff = Backoff(cap=LONGEST_DELAY)
        while True:
            started = time.monotonic()
            try:
                await self._watch(await self._list())
            except TowropeError as error:
                self._keeper.failed(error.message)
                _log.warning("not watched", path=self._path, reason=error.message, hop=error.hop)
            if time.monotonic() - started < STABLE_AFTER:
                await asyncio.sleep(backoff.next_delay())
            else:
                backoff.reset()

    async def _list(self) -> str:
        """The version that the list is of."""
        items: list[Item] = []
        params = {**self._selection, "limit": str(CHUNK)}
        try:
            async with asyncio.timeout(LIST_WITHIN):
                while True:
                    page = await self._page(params)
                    items += [self._decoded(raw) for raw in page.items or ()]
                    if not page.metadata.next:
                        break
                    params["continue"] = page.metadata.next
        except TimeoutError:
            raise Unreachable(
                f"The apiserver did not list {self._path} within {LIST_WITHIN:g} s.",
                hop=Hop.APISERVER,
            ) from None
        self._keeper.listed(items)
        return page.metadata.resource_version

    async def _page(self, params: dict[str, str]) -> "_List":
        with mapped(f"list {self._path}"):
            headers = {"Accept": self._accept.list}
            response = await self._client.get(self._path, params=params, headers=headers)
            check(response)
            with understood(self._path):
                return msgspec.json.decode(response.content, type=_List)

    async def _watch(self, version: str) -> None:
        params = {**self._selection, "watch": "true", "resourceVersion": version}
        headers = {"Accept": self._accept.watch}
        timeout = httpx2.Timeout(ANSWER_WITHIN, read=None)
        try:
            async with asyncio.timeout(WATCH_FOR):
                with mapped(f"watch {self._path}"):
                    async with self._client.stream(
                        "GET", self._path, params=params, headers=headers, timeout=timeout
                    ) as response:
                        if not response.is_success:
                            await response.aread()
                            check(response)
                        async for line in response.aiter_lines():
                            self._take(line)
        except TimeoutError:
            return

    def _take(self, line: str) -> None:
        with understood(self._path):
            event = msgspec.json.decode(line, type=_Event)
        if event.type == "ERROR":
            # 410 as a rule: the version is too old, and all are listed again.
            raise Refused(f"The watch of {self._path} ended: {foreign(line)}", hop=Hop.APISERVER)
        self._keeper.changed(event.type, self._decoded(event.object))

    def _decoded(self, raw: msgspec.Raw) -> Item:
        with understood(self._path):
            return msgspec.json.decode(raw, type=self._item)


def check(response: httpx2.Response) -> None:
    """Raises the library's error where the answer is a refusal; for use within `mapped`."""
    if response.is_error and response.headers.get("content-type") == "application/json":
        raise ApiError(request=response.request, response=response)
    response.raise_for_status()


@contextmanager
def understood(path: str) -> Iterator[None]:
    """The decoder's errors, as refusals that say what was not understood."""
    try:
        yield
    except msgspec.DecodeError as error:
        why = foreign(str(error))
        raise Refused(
            f"What the apiserver says of {path} is not understood: {why}", hop=Hop.APISERVER
        ) from None


class _Name(msgspec.Struct):
    name: str


class PartialObject(msgspec.Struct):
    """What is decoded of an object of which only the name matters."""

    metadata: _Name


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    next: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[msgspec.Raw] | None = None
    """Null where there are none, in lists of metadata."""


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw
