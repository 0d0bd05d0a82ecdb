"""A change by which somebody may lose something that a token still says.

Agents are told at once that such tokens have to be resolved; and nobody, by whatever change, leaves
the server without an administrator.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from towrope.control.graph.errors import refused
from towrope.control.services import Services
from towrope.control.store import directory, groups, service_principals
from towrope.control.store.service_principals import ServicePrincipal
from towrope.wire import agent_api


@asynccontextmanager
async def losing(services: Services) -> AsyncIterator[AsyncConnection]:
    """A writing transaction. Raises `ArmError` (403), undone, where no administrator is left."""
    async with services.database.writing() as connection:
        yield connection
        await directory.set_changed(connection, int(services.clock()))
        if not await groups.has_administrator(connection):
            raise refused(
                "This would leave no administrator whose account is enabled. Make somebody else one"
                " first: a member of the group of administrators."
            )
    services.notify(None, agent_api.TRUST)


async def end_tokens(
    connection: AsyncConnection, of: ServicePrincipal, request: Request, services: Services
) -> None:
    """What an application was given before is not good any more, for one of its credentials was
    taken away. An application that changes its own goes on with the token that it does it with.
    """
    if request.scope["towrope.principal"].object_id != of.object_id:
        valid_from = directory.from_next_second(services.clock())
        await service_principals.change(connection, of.app_id, valid_from=valid_from)
