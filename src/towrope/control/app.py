"""The control plane as one ASGI application, with its start and its stop."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount

from towrope.control import discovery, locations, openapi, permissions, subscriptions
from towrope.control.agents import Agents
from towrope.control.authentication import Authenticated
from towrope.control.authorization_rules import AuthorizationRules
from towrope.control.check_access import CheckAccess
from towrope.control.connected_clusters import ConnectedClusters
from towrope.control.credentials import Credentials
from towrope.control.envelope import Envelope, answer_to
from towrope.control.explain import Explain
from towrope.control.extended_locations import ExtendedLocations
from towrope.control.graph import directory
from towrope.control.hybrid_connections import HybridConnections
from towrope.control.issuer import (
    configuration,
    device_authorization,
    revocation,
    token_endpoint,
)
from towrope.control.issuer.signing_keys import SigningKeys
from towrope.control.issuer.tokens import Tokens
from towrope.control.issuer_keys import IssuerKeys
from towrope.control.memberships import Memberships
from towrope.control.operation_results import OperationResults
from towrope.control.presence import Presence
from towrope.control.providers import Providers
from towrope.control.resource_groups import ResourceGroups
from towrope.control.resources import Resources
from towrope.control.role_assignments import RoleAssignments
from towrope.control.role_definitions import RoleDefinitions
from towrope.control.services import Services
from towrope.control.settings import Settings
from towrope.control.store import clusters, hybrid_connections
from towrope.control.store.database import Database
from towrope.control.trusted_issuers import TrustedIssuers
from towrope.control.web import routes as web
from towrope.ops.tasks import cancel, spawn
from towrope.wire import agent_api


class ControlPlane:
    """`asgi` answers between `start()` and `stop()`."""

    def __init__(
        self,
        settings: Settings,
        *,
        removed: Callable[[str], None] = lambda _: None,
        notify: Callable[[str | None, str], None] = lambda _path, _kind: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        database = Database(settings.database_url)
        self.signing_keys = SigningKeys(settings.signing_keys, clock=clock)
        self.services = Services(
            settings=settings,
            database=database,
            presence=Presence(database, clock=clock),
            tokens=Tokens(settings, self.signing_keys, clock=clock),
            issuer_keys=IssuerKeys(database, clock=clock, notify=notify),
            memberships=Memberships(database, master=settings.master, clock=clock),
            clock=clock,
            removed=removed,
            notify=notify,
        )
        self.asgi = _application(self.services)
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Opens the database and the keys. Raises `TowropeError` where that cannot be done."""
        await asyncio.to_thread(self.signing_keys.refresh)
        await self.services.database.open()
        await self.services.presence.start()
        await self.services.issuer_keys.start()
        changed = partial(self.services.notify, None, agent_api.TRUST)
        self._following = spawn(self.signing_keys.follow(changed), name="signing keys")

    async def stop(self) -> None:
        await cancel(self._following)
        await self.services.issuer_keys.stop()
        await self.services.presence.stop()
        await self.services.database.close()

    async def knows(self, path: str) -> bool:
        """Whether there is a hybrid connection with this path."""
        async with self.services.database.reading() as connection:
            if await clusters.has_hybrid_connection(connection, path):
                return True
            return await hybrid_connections.find(connection, path) is not None

    async def has_rule(self, path: str, rule: str) -> bool:
        """Whether the hybrid connection has an authorization rule of this name."""
        async with self.services.database.reading() as connection:
            return await hybrid_connections.find_rule(connection, path, rule) is not None

    def presence(self, path: str, listeners: int) -> None:
        """The relay tells how many listeners a path has."""
        self.services.presence.changed(path, listeners)


def _application(services: Services) -> Starlette:
    issuers = TrustedIssuers(services)
    # What stands before the mount is public, or authenticates by itself as the agents' API does;
    # all else, routes that do not exist included, is behind `Authenticated`.
    guarded = [
        *subscriptions.routes(services.settings),
        *locations.routes(services.settings),
        *Providers(services.settings).routes(),
        *Resources(services).routes(),
        *ExtendedLocations(services).routes(),
        *OperationResults(services).routes(),
        *ResourceGroups(services).routes(),
        *ConnectedClusters(services).routes(),
        *Credentials(services).routes(),
        *HybridConnections(services).routes(),
        *AuthorizationRules(services).routes(),
        *Explain(services).routes(),
        *RoleDefinitions(services).routes(),
        *RoleAssignments(services).routes(),
        *permissions.routes(services),
        *CheckAccess(services).routes(),
        *issuers.routes(),
        *directory.routes(services),
    ]
    public = [*discovery.routes(services.settings), *issuers.public_routes()]
    return Starlette(
        routes=[
            *public,
            openapi.route([*public, *guarded], services.settings.url),
            *configuration.routes(services),
            *token_endpoint.routes(services),
            *revocation.routes(services),
            *device_authorization.routes(services),
            *web.routes(services),
            *Agents(services).routes(),
            Mount("", routes=guarded, middleware=[Middleware(Authenticated, services=services)]),
        ],
        middleware=[Middleware(Envelope)],
        exception_handlers={HTTPException: lambda _, error: answer_to(error)},
    )
