"""Judges a name and a password. Whatever is wrong, the caller is told the same, after as much work.

A person who has to change the password first is told apart, and is not signed in.
"""

from dataclasses import dataclass

import structlog
from starlette.requests import Request

from towrope.control import passwords, throttle
from towrope.control.services import Services
from towrope.control.store import users
from towrope.control.store.users import User
from towrope.control.throttle import Throttle

_log = structlog.get_logger()

REFUSAL = (
    "The user name or the password is wrong, or too many wrong ones were tried. Check both; if they"
    " are right, wait some minutes and try again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognized:
    """The password was right."""

    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It was not, or nobody may know whether it was."""


class SignIn:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._throttle = Throttle(services.database, clock=services.clock)

    async def judge(self, request: Request, name: str, password: str) -> Recognized | Refused:
        """Raises `passwords.Busy`."""
        name = name.strip()
        address = throttle.address(address_of(request))
        is_admitted = await self._throttle.admit(throttle.account(name), address)
        async with self._services.database.reading() as connection:
            user = await users.find_by_name(connection, name)
        may = is_admitted and user is not None and user.account_enabled
        # An account that may not sign in is compared too, with what is nobody's password.
        kept = user.password_hash if may and user is not None else None
        is_right = await passwords.verify(password, kept)
        if not is_right or user is None:
            _log.warning(
                "sign-in refused",
                reason=_reason(user, is_admitted=is_admitted),
                object_id=user.object_id if user else "",
                address=address_of(request),
            )
            return Refused()
        await self._throttle.succeeded(address, cleared=throttle.account(name))
        await self._renew_hash(user, password)
        _log.info("password accepted", object_id=user.object_id, address=address_of(request))
        return Recognized(user=user)

    async def _renew_hash(self, user: User, password: str) -> None:
        """With the parameters in use, while the password is at hand."""
        if user.password_hash is None or not passwords.needs_rehash(user.password_hash):
            return
        renewed = await passwords.hash_password(password)
        async with self._services.database.writing() as connection:
            current = await users.find(connection, user.object_id)
            if current is not None and current.password_hash == user.password_hash:
                await users.change(connection, user.object_id, password_hash=renewed)


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _reason(user: User | None, *, is_admitted: bool) -> str:
    """For the log alone. What was typed is not in it: people mistake one field for the other."""
    if not is_admitted:
        return "locked"
    if user is None:
        return "no such account"
    return "wrong password" if user.account_enabled else "disabled"
