"""Who sits at a browser: a random cookie, of which the database has the hash, for twelve hours.

A session is nothing once its account is disabled, must change its password, or was told that what
it was issued before is not good any more.
"""

import hashlib
import secrets
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from towrope.control.services import Services
from towrope.control.store import sessions, users
from towrope.control.store.sessions import Session
from towrope.control.store.users import User

COOKIE = "__Host-towrope-session"
ID_BYTES = 32
LIFETIME = 12 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    user: User
    authenticated_at: int
    id_hash: str = field(repr=False)


class Sessions:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def current(self, request: Request) -> SignedIn | None:
        """Who is signed in, as the directory has it at this moment."""
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return None
        now = int(self._services.clock())
        async with self._services.database.reading() as connection:
            session = await sessions.find(connection, _hash(cookie), now=now)
            user = await users.find(connection, session.object_id) if session else None
        if session is None or user is None or not _is_good(session, user):
            return None
        return SignedIn(
            user=user, authenticated_at=session.authenticated_at, id_hash=session.id_hash
        )

    async def begin(self, request: Request, user: User) -> tuple[SignedIn, str]:
        """A session under an id that nobody can know before; what the browser had ends.

        The text is for `set_cookie`.
        """
        cookie = secrets.token_urlsafe(ID_BYTES)
        now = int(self._services.clock())
        # What ended the sign-ins before this one was good to the end of its second.
        authenticated_at = max(now, user.valid_from)
        session = Session(
            id_hash=_hash(cookie),
            object_id=user.object_id,
            authenticated_at=authenticated_at,
            expires_at=now + LIFETIME,
        )
        async with self._services.database.writing() as connection:
            await sessions.remove_expired(connection, now=now)
            await sessions.remove(connection, _hash(request.cookies.get(COOKIE, "")))
            await sessions.add(connection, session)
        signed_in = SignedIn(user=user, authenticated_at=authenticated_at, id_hash=session.id_hash)
        return signed_in, cookie

    async def end(self, request: Request, response: Response) -> None:
        cookie = request.cookies.get(COOKIE)
        if cookie:
            async with self._services.database.writing() as connection:
                await sessions.remove(connection, _hash(cookie))
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def set_cookie(response: Response, cookie: str) -> Response:
    response.set_cookie(
        COOKIE, cookie, max_age=LIFETIME, secure=True, httponly=True, samesite="lax", path="/"
    )
    return response


def _is_good(session: Session, user: User) -> bool:
    return (
        user.account_enabled
        and not user.must_change_password
        and user.valid_from <= session.authenticated_at
    )


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()
