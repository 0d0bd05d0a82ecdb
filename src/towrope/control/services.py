"""What every resource of the control plane works with, in one parcel."""

from collections.abc import Callable
from dataclasses import dataclass

from towrope.control.issuer.tokens import Tokens
from towrope.control.issuer_keys import IssuerKeys
from towrope.control.memberships import Memberships
from towrope.control.presence import Presence
from towrope.control.settings import Settings
from towrope.control.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    settings: Settings
    database: Database
    presence: Presence
    tokens: Tokens
    issuer_keys: IssuerKeys
    memberships: Memberships
    clock: Callable[[], float]
    removed: Callable[[str], None]
    """Called with the path of a hybrid connection that is no more, once that is durable."""
    notify: Callable[[str | None, str], None]
    """Gives the agent that listens at a path, or every agent, a hint of a kind of
    `wire.agent_api`, once what changed is durable."""
