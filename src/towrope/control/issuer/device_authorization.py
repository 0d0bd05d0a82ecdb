"""Device authorization (RFC 8628): a program shows a code, and somebody enters it in a browser.

Here are the codes and what becomes of them; the page that asks for one is elsewhere.
"""

from dataclasses import dataclass

from towrope.control.issuer.clients import Client
from towrope.control.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """What a person is asked to approve."""

    client: Client
    scope: str
    expires_at: int


async def find(services: Services, user_code: str) -> PendingSignIn | None:
    """What waits under a code, as a person typed it: case, spaces and dashes do not matter."""
    raise NotImplementedError


async def approve(
    services: Services, user_code: str, *, object_id: str, authenticated_at: int
) -> bool:
    """Signs the waiting program in as a user. Whether it still waited."""
    raise NotImplementedError


async def deny(services: Services, user_code: str) -> bool:
    """Tells the waiting program that it is refused. Whether it still waited."""
    raise NotImplementedError
