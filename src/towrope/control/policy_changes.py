"""Tells agents that what is assigned at their clusters changed: a hint, upon which they fetch."""

from towrope.control.roles.scope import Scope
from towrope.control.services import Services
from towrope.wire import agent_api


async def announce(services: Services, *scopes: Scope) -> None:
    """To each cluster that lies in one of `scopes`, or that one of them lies in. Called once the
    change is durable."""
    if scopes:
        services.notify(None, agent_api.POLICY)
