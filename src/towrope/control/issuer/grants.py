"""What each kind of grant takes, and what it gives (RFC 6749, 7636, 8628).

A refusal is a value until its transaction has ended: a code that was tried stays used, and a family
of refresh tokens that was ended stays ended.
"""

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.issuer import device_authorization, scopes, subjects
from towrope.control.issuer.client_authentication import ClientForm, authenticate, identify
from towrope.control.issuer.forms import required
from towrope.control.issuer.oauth_error import OAuthError, invalid_grant
from towrope.control.issuer.scopes import Scope
from towrope.control.issuer.tokens import Issuance, Subject
from towrope.control.services import Services
from towrope.control.store import authorization_codes, device_codes, refresh_tokens
from towrope.control.store.authorization_codes import AuthorizationCode
from towrope.control.store.device_codes import DeviceCode, DeviceState
from towrope.control.store.refresh_tokens import RefreshToken, token_hash

REFRESH_TOKEN_BYTES = 32
IDLE_LIMIT = 30 * 24 * 3600
"""Seconds after which a refresh token that nobody used has ended."""
SIGN_IN_LIMIT = 90 * 24 * 3600
"""Seconds after which somebody has to sign in again, however often a token was refreshed."""
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    subject: Subject
    issued: Issuance
    scope: Scope
    audience: str
    nonce: str | None = None
    refresh_token: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SignIn:
    """What the tokens of one sign-in have in common."""

    family: str
    object_id: str
    client_id: str
    scope: str
    authenticated_at: int


Grant = Callable[[Services, ClientForm], Awaitable[Granted]]


async def by_client_credentials(services: Services, form: ClientForm) -> Granted:
    """RFC 6749 §4.4, for the application itself. It never gives a refresh token (§4.4.3)."""
    scope = scopes.parse(form.fields.get("scope", ""))
    if not scope.is_default:
        raise OAuthError(
            "invalid_scope", 1002012, "The scope of an application must be 'RESOURCE/.default'."
        )
    principal = await authenticate(services, form)
    async with services.database.reading() as connection:
        return Granted(
            subject=await subjects.application(connection, principal),
            issued=Issuance(client_id=principal.app_id, authenticated_at=principal.valid_from),
            scope=scope,
            audience=await scopes.audience(connection, services.settings, scope),
        )


async def by_authorization_code(services: Services, form: ClientForm) -> Granted:
    """RFC 6749 §4.1.3, with RFC 7636."""
    code = required(form.fields, "code")
    required(form.fields, "redirect_uri")
    required(form.fields, "code_verifier")
    client_id = await identify(services, form)
    async with services.database.writing() as connection:
        outcome = await _settled(_redeemed(services, connection, form, client_id, code))
    return _granted(outcome)


async def _redeemed(
    services: Services, connection: AsyncConnection, form: ClientForm, client_id: str, code: str
) -> Granted:
    """Whatever is wrong beside a code, it is used up: somebody else has seen it."""
    now = int(services.clock())
    family = str(uuid.uuid4())
    found = await authorization_codes.find(connection, code)
    if found is None:
        raise _no_such_code()
    first = await authorization_codes.redeem(connection, found, family=family)
    if first != family:
        await refresh_tokens.end_family(connection, first)
        raise invalid_grant(
            "The authorization code was already redeemed. Sign in again.", code=54005
        )
    if found.expires_at <= now:
        raise _no_such_code()
    _check_binding(found, form, client_id)
    sign_in = _SignIn(
        family=family,
        object_id=found.object_id,
        client_id=client_id,
        scope=found.scope,
        authenticated_at=found.authenticated_at,
    )
    return await _for_user(
        services, connection, sign_in, scopes.parse(found.scope), nonce=found.nonce
    )


def _check_binding(code: AuthorizationCode, form: ClientForm, client_id: str) -> None:
    verifier = form.fields["code_verifier"]
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(challenge, code.code_challenge):
        raise invalid_grant(
            "The code_verifier does not match the code_challenge of the sign-in.", code=501481
        )
    if (code.client_id, code.redirect_uri) != (client_id, form.fields["redirect_uri"]):
        raise invalid_grant(
            "The authorization code was given to another client or redirect URI.", code=700005
        )


def _no_such_code() -> OAuthError:
    return invalid_grant(
        "The authorization code is unknown or has expired. Sign in again.", code=70008
    )


async def by_refresh_token(services: Services, form: ClientForm) -> Granted:
    """RFC 6749 §6, for the resource of the scope; the token is replaced (RFC 9700 §4.14)."""
    token = required(form.fields, "refresh_token")
    client_id = await identify(services, form)
    async with services.database.writing() as connection:
        outcome = await _settled(_refreshed(services, connection, form, client_id, token))
    return _granted(outcome)


async def _refreshed(
    services: Services, connection: AsyncConnection, form: ClientForm, client_id: str, token: str
) -> Granted:
    now = int(services.clock())
    found = await refresh_tokens.find(connection, token)
    if found is None or found.client_id != client_id:
        raise _no_such_token()
    scope = scopes.parse(form.fields.get("scope") or found.scope)
    await scopes.audience(connection, services.settings, scope)
    if not await refresh_tokens.use(connection, found, now=now):
        await refresh_tokens.end_family(connection, found.family)
        raise invalid_grant(
            "The refresh token was used before, so somebody else may have it. The whole sign-in"
            " has ended. Sign in again.",
            code=50173,
        )
    if found.expires_at <= now:
        raise _no_such_token()
    sign_in = _SignIn(
        family=found.family,
        object_id=found.object_id,
        client_id=client_id,
        scope=found.scope,
        authenticated_at=found.authenticated_at,
    )
    return await _for_user(services, connection, sign_in, scope, is_refresh=True)


def _no_such_token() -> OAuthError:
    return invalid_grant("The refresh token is unknown or has expired. Sign in again.", code=700082)


async def by_device_code(services: Services, form: ClientForm) -> Granted:
    """RFC 8628 §3.4."""
    device_code = required(form.fields, "device_code")
    client_id = await identify(services, form)
    async with services.database.writing() as connection:
        outcome = await _settled(_polled(services, connection, client_id, device_code))
    return _granted(outcome)


async def _polled(
    services: Services, connection: AsyncConnection, client_id: str, device_code: str
) -> Granted:
    now = int(services.clock())
    found = await device_codes.find(connection, device_code)
    if (
        found is None
        or found.client_id != client_id
        or not await device_codes.set_polled(connection, found, now)
    ):
        raise invalid_grant("The device code is unknown, or was used.", code=70019)
    _check_waiting(found, now)
    await device_codes.remove(connection, found)
    assert found.object_id is not None
    assert found.authenticated_at is not None
    sign_in = _SignIn(
        family=str(uuid.uuid4()),
        object_id=found.object_id,
        client_id=client_id,
        scope=found.scope,
        authenticated_at=found.authenticated_at,
    )
    return await _for_user(services, connection, sign_in, scopes.parse(found.scope))


def _check_waiting(code: DeviceCode, now: int) -> None:
    """RFC 8628 §3.5. Raises `OAuthError` unless somebody approved."""
    if code.expires_at <= now:
        raise OAuthError("expired_token", 70020, "The device code has expired. Start again.")
    if code.state is DeviceState.DENIED:
        raise OAuthError("access_denied", 65004, "The sign-in was refused in the browser.")
    if device_authorization.is_too_soon(code, now):
        raise OAuthError("slow_down", 70016, "The client asks more often than it was told to.")
    if code.state is DeviceState.PENDING:
        raise OAuthError(
            "authorization_pending", 70016, "The sign-in in the browser is not done yet."
        )


async def _for_user(
    services: Services,
    connection: AsyncConnection,
    sign_in: _SignIn,
    scope: Scope,
    *,
    nonce: str | None = None,
    is_refresh: bool = False,
) -> Granted:
    """Tokens of a sign-in; with a refresh token, where it was asked for or is replaced."""
    subject = await subjects.user(
        connection, sign_in.object_id, authenticated_at=sign_in.authenticated_at
    )
    audience = await scopes.audience(connection, services.settings, scope)
    refresh_token = None
    if is_refresh or scope.offline_access:
        refresh_token = await _refresh_token(connection, sign_in, int(services.clock()))
    return Granted(
        subject=subject,
        issued=Issuance(client_id=sign_in.client_id, authenticated_at=sign_in.authenticated_at),
        scope=scope,
        audience=audience,
        nonce=nonce,
        refresh_token=refresh_token,
    )


async def _refresh_token(connection: AsyncConnection, sign_in: _SignIn, now: int) -> str:
    token = secrets.token_urlsafe(REFRESH_TOKEN_BYTES)
    kept = RefreshToken(
        token_hash=token_hash(token),
        family=sign_in.family,
        object_id=sign_in.object_id,
        client_id=sign_in.client_id,
        scope=sign_in.scope,
        authenticated_at=sign_in.authenticated_at,
        expires_at=min(now + IDLE_LIMIT, sign_in.authenticated_at + SIGN_IN_LIMIT),
    )
    await refresh_tokens.add(connection, kept, now=now)
    return token


async def _settled(work: Awaitable[Granted]) -> Granted | OAuthError:
    try:
        return await work
    except OAuthError as refusal:
        return refusal


def _granted(outcome: Granted | OAuthError) -> Granted:
    if isinstance(outcome, OAuthError):
        raise outcome
    return outcome


GRANTS: dict[str, Grant] = {
    "authorization_code": by_authorization_code,
    "refresh_token": by_refresh_token,
    "client_credentials": by_client_credentials,
    DEVICE_CODE: by_device_code,
}
