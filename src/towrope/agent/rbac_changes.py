"""Watches the cluster's RBAC: roles and bindings of both scopes.

Keeps `Bindings` current, and tells whenever somebody may have lost a right. What is only added
takes nothing from anybody, for RBAC denies nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import httpx2
from lightkube.config.kubeconfig import SingleConfig

from towrope.agent.bindings import Binding, Bindings
from towrope.agent.informer import (
    METADATA_ONLY,
    Informer,
    Keeper,
    PartialObject,
    client_of,
)

API = "/apis/rbac.authorization.k8s.io/v1"
ADDED = "ADDED"

Item = TypeVar("Item")


class RbacChanges:
    """`await run()` until cancelled; `close()` after it. `lost` is called for each change by which
    somebody may have lost a right, and where one may have been missed."""

    def __init__(
        self,
        config: SingleConfig,
        bindings: Bindings,
        *,
        lost: Callable[[], None],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = client_of(config, transport=transport)
        self._bindings = [
            self._informer_of_bindings("clusterrolebindings", _Told(lost, bindings.cluster)),
            self._informer_of_bindings("rolebindings", _Told(lost, bindings.namespaced)),
        ]
        self._roles = [self._informer_of_roles(name, lost) for name in ("clusterroles", "roles")]

    async def close(self) -> None:
        await self._client.aclose()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for bindings in self._bindings:
                group.create_task(bindings.run())
            for roles in self._roles:
                group.create_task(roles.run())

    def _informer_of_bindings(self, name: str, keeper: Keeper[Binding]) -> Informer[Binding]:
        return Informer(self._client, f"{API}/{name}", Binding, keeper)

    def _informer_of_roles(self, name: str, lost: Callable[[], None]) -> Informer[PartialObject]:
        told: _Told[PartialObject] = _Told(lost)
        return Informer(self._client, f"{API}/{name}", PartialObject, told, accept=METADATA_ONLY)


class _Told(Generic[Item]):
    """Passes on what an informer says, and then calls `lost`."""

    def __init__(self, lost: Callable[[], None], keeper: Keeper[Item] | None = None) -> None:
        self._lost = lost
        self._keeper = keeper

    def listed(self, items: list[Item]) -> None:
        if self._keeper is not None:
            self._keeper.listed(items)
        self._lost()

    def changed(self, event: str, item: Item) -> None:
        if self._keeper is not None:
            self._keeper.changed(event, item)
        if event != ADDED:
            self._lost()

    def failed(self, reason: str) -> None:
        if self._keeper is not None:
            self._keeper.failed(reason)
