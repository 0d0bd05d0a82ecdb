"""What a handler takes and answers, said beside it; `/openapi.json` is made of it.

    @operation(_Body, {HTTPStatus.OK: _Shape, HTTPStatus.CREATED: _Shape})
    async def _put(self, request: Request) -> Response: ...

The first is the struct of the request's body, None where there is none; a status without a body has
None. A list is a `Page[_Shape]`, and in the directory `graph.answers` has the types. Refusals (4xx)
are every operation's, and are not said. A test fails for a route without it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

T = TypeVar("T")
Handle = TypeVar("Handle", bound=Callable[..., Awaitable[Response]])

PAGED = ("$skipToken",)
"""The query of a list of the resource API that may have more than one page."""


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True, rename="camel"):
    """A list of the resource API."""

    value: list[T]
    next_link: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    body: Any
    """A type that msgspec decodes, or None."""
    answers: Mapping[int, Any]
    """By status, the type of what is answered, or None."""
    query: Sequence[str]
    """The names of the parameters that it knows, beside `api-version`."""


def operation(
    body: Any, answers: Mapping[int, Any], *, query: Sequence[str] = ()
) -> Callable[[Handle], Handle]:
    """Declares what the decorated handler takes and answers."""
    declared = Operation(body=body, answers=answers, query=query)

    def declare(handler: Handle) -> Handle:
        handler.operation = declared  # type: ignore[attr-defined] # read by `operation_of` alone
        return handler

    return declare


def operation_of(handler: Callable[..., Awaitable[Response]]) -> Operation | None:
    """What was declared for a handler, or for the one that it guards."""
    return getattr(handler, "operation", None)
