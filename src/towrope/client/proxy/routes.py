"""The routing table: which TLS server name leads to which cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to a cluster's agent."""

    server_name: str
    dial: Callable[[], Awaitable[asyncio.Transport]]
    """Raises `TowropeError`. The transport reads nothing until it has a protocol."""


class Routes:
    """Of several routes for one name the youngest is taken; when it goes, the one before it."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(self, route: Route) -> None:
        self._routes.append(route)

    def remove(self, route: Route) -> None:
        self._routes.remove(route)

    def find(self, server_name: str) -> Route | None:
        matching = (r for r in reversed(self._routes) if r.server_name == server_name)
        return next(matching, None)

    def __len__(self) -> int:
        return len(self._routes)
