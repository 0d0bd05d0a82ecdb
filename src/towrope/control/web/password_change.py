"""A new password in place of one that somebody else has set.

In between nobody is signed in: a ticket in the page says whose password was right. It is good for
minutes, for one browser, and until that password is changed.
"""

import hmac

from towrope.control import passwords
from towrope.control.graph.losing import losing
from towrope.control.services import Services
from towrope.control.store import users
from towrope.control.store.directory import from_next_second
from towrope.control.store.users import User
from towrope.control.web.signatures import Signatures

TICKET_LIFETIME = 600
USE = "new password"


class PasswordChange:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._signatures = Signatures(services.settings.master)

    def ticket(self, user: User, browser: str) -> str:
        expires = str(int(self._services.clock()) + TICKET_LIFETIME)
        return f"{user.object_id}.{expires}.{self._sign(user, browser, expires)}"

    async def holder(self, ticket: str, browser: str) -> User | None:
        """Whose ticket it is, if it is good and the account may still use it."""
        object_id, _, rest = ticket.partition(".")
        expires, _, signature = rest.partition(".")
        async with self._services.database.reading() as connection:
            user = await users.find(connection, object_id[:36])
        if user is None or not user.account_enabled or not user.must_change_password:
            return None
        if not self._signatures.is_good(signature, USE, *_content(user, browser, expires)):
            return None
        return user if int(expires) > self._services.clock() else None

    async def complaint(self, user: User, new: str, again: str) -> str | None:
        """Why this cannot be the new password: a sentence."""
        if not hmac.compare_digest(new.encode(), again.encode()):
            return "The two passwords are not the same."
        name = user.user_principal_name
        if (wrong := passwords.complaint(new, user_principal_name=name)) is not None:
            return wrong
        if await passwords.verify(new, user.password_hash):
            return "The new password must be another than the one before."
        return None

    async def change(self, user: User, new: str) -> User | None:
        """The user with the new password; None where the account has changed meanwhile."""
        hashed = await passwords.hash_password(new)
        async with losing(self._services) as connection:
            current = await users.find(connection, user.object_id)
            if current is None or current != user:
                return None
            await users.change(
                connection,
                user.object_id,
                password_hash=hashed,
                must_change_password=False,
                valid_from=from_next_second(self._services.clock()),
            )
            return await users.find(connection, user.object_id)

    def _sign(self, user: User, browser: str, expires: str) -> str:
        return self._signatures.sign(USE, *_content(user, browser, expires))


def _content(user: User, browser: str, expires: str) -> tuple[str, ...]:
    return (user.object_id, user.password_hash or "", browser, expires)
