"""Device authorization (RFC 8628): a program shows a code, and somebody enters it in a browser.

Here are the codes and what becomes of them; the page that asks for one is elsewhere, and so is the
limit on how often somebody may guess.
"""

import hmac
import secrets
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.issuer import clients, scopes
from towrope.control.issuer.client_authentication import client_form, identify
from towrope.control.issuer.clients import Client
from towrope.control.issuer.endpoints import oauth2_routes, tenant_of
from towrope.control.issuer.forms import read_form
from towrope.control.issuer.oauth_error import NO_STORE, OAuthError, told
from towrope.control.json_body import answer
from towrope.control.services import Services
from towrope.control.store import device_codes
from towrope.control.store.device_codes import DeviceCode, DeviceState, code_hash

LIFETIME = 900
INTERVAL = 5
"""Seconds between two questions of a waiting program."""
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""RFC 8628 §6.1: no two look alike, and no words."""
HALF = 4
DEVICE_CODE_BYTES = 32
PENDING_LIMIT = 2000
"""Codes that may wait at a time: one in ten million guesses would find one."""
ADDRESS_LIMIT = 60
"""Codes that one address may have waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """What a person is asked to approve."""

    client: Client
    scope: str
    asked_from: str
    """The address of the program that waits."""
    expires_at: int


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    user_code: str
    device_code: str
    verification_uri: str
    expires_in: int
    interval: int
    message: str


class _Addresses:
    """How many codes wait for each address. What has ended is forgotten."""

    def __init__(self) -> None:
        self._given: deque[tuple[int, str]] = deque(maxlen=PENDING_LIMIT)

    def has_room(self, address: str, now: int) -> bool:
        while self._given and self._given[0][0] <= now - LIFETIME:
            self._given.popleft()
        return sum(each == address for _, each in self._given) < ADDRESS_LIMIT

    def add(self, address: str, now: int) -> None:
        self._given.append((now, address))


def routes(services: Services) -> list[Route]:
    addresses = _Addresses()

    async def device_code(request: Request) -> Response:
        tenant_of(request, services.settings)
        form = client_form(request, await read_form(request))
        client_id = await identify(services, form)
        now = int(services.clock())
        address = request.client.host if request.client else ""
        if not addresses.has_room(address, now):
            raise _too_many()
        shown = await _start(
            services, client_id, form.fields.get("scope", ""), address=address, now=now
        )
        addresses.add(address, now)
        return answer(shown, headers=NO_STORE)

    return oauth2_routes("devicecode", {"POST": told(device_code, services.clock)})


async def _start(
    services: Services, client_id: str, scope: str, *, address: str, now: int
) -> _Answer:
    device_code = secrets.token_urlsafe(DEVICE_CODE_BYTES)
    letters = "".join(secrets.choice(ALPHABET) for _ in range(2 * HALF))
    user_code = f"{letters[:HALF]}-{letters[HALF:]}"
    kept = DeviceCode(
        code_hash=code_hash(device_code),
        user_code_hash=_user_code_hash(services, user_code),
        client_id=client_id,
        scope=scope,
        asked_from=address,
        expires_at=now + LIFETIME,
    )
    async with services.database.writing() as connection:
        await scopes.audience(connection, services.settings, scopes.parse(scope))
        if await device_codes.count(connection, now=now) >= PENDING_LIMIT:
            raise _too_many()
        await device_codes.add(connection, kept, now=now)
    page = f"{services.settings.url}/device"
    return _Answer(
        user_code=user_code,
        device_code=device_code,
        verification_uri=page,
        expires_in=LIFETIME,
        interval=INTERVAL,
        message=(
            f"To sign in, use a web browser to open the page {page} and enter the code"
            f" {user_code} to authenticate."
        ),
    )


def is_too_soon(code: DeviceCode, now: int) -> bool:
    """Whether a program asks again before its time. Times are whole seconds, so one is given."""
    return now - code.polled_at < INTERVAL - 1


async def find(services: Services, user_code: str) -> PendingSignIn | None:
    """What waits under a code, as a person typed it: case, spaces and dashes do not matter."""
    async with services.database.reading() as connection:
        found = await device_codes.find_pending(
            connection, _user_code_hash(services, user_code), now=int(services.clock())
        )
        client = await clients.find(connection, found.client_id) if found is not None else None
    if found is None or client is None:
        return None
    return PendingSignIn(
        client=client,
        scope=found.scope,
        asked_from=found.asked_from,
        expires_at=found.expires_at,
    )


async def approve(
    services: Services, user_code: str, *, object_id: str, authenticated_at: int
) -> bool:
    """Signs the waiting program in as a user. Whether it still waited."""
    return await _settle(
        services,
        user_code,
        state=DeviceState.APPROVED,
        object_id=object_id,
        authenticated_at=authenticated_at,
    )


async def deny(services: Services, user_code: str) -> bool:
    """Tells the waiting program that it is refused. Whether it still waited."""
    return await _settle(services, user_code, state=DeviceState.DENIED)


async def _settle(
    services: Services,
    user_code: str,
    *,
    state: DeviceState,
    object_id: str | None = None,
    authenticated_at: int | None = None,
) -> bool:
    async with services.database.writing() as connection:
        found = await device_codes.find_pending(
            connection, _user_code_hash(services, user_code), now=int(services.clock())
        )
        return found is not None and await device_codes.settle(
            connection,
            found,
            state=state.value,
            object_id=object_id,
            authenticated_at=authenticated_at,
        )


def _user_code_hash(services: Services, user_code: str) -> str:
    """Keyed, for a code that a person can type is one that can be guessed from its plain hash."""
    letters = "".join(user_code.upper().replace("-", "").split())
    return hmac.digest(services.settings.master, b"user code " + letters.encode(), "sha256").hex()


def _too_many() -> OAuthError:
    return OAuthError(
        "temporarily_unavailable",
        90055,
        "Too many sign-ins wait for their code to be entered. Try again in some minutes.",
        status=HTTPStatus.TOO_MANY_REQUESTS,
    )
