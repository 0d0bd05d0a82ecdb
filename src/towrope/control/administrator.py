"""The first service principal: made at the first start, its secret shown once and never kept."""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from towrope.control.store import service_principals
from towrope.control.store.database import Database
from towrope.control.store.service_principals import ServicePrincipal
from towrope.control.token_endpoint import secret_hash

DISPLAY_NAME = "administrator"
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    app_id: str
    secret: str = field(repr=False)


async def ensure(database: Database, *, deliver: Callable[[Credential], None]) -> None:
    """Makes the administrator where there is none.

    `deliver` gives the credential to whom it is for. Where it raises, nothing was made.
    """
    credential = Credential(app_id=str(uuid.uuid4()), secret=secrets.token_urlsafe(SECRET_BYTES))
    async with database.writing() as connection:
        if await service_principals.find_by_name(connection, DISPLAY_NAME) is not None:
            return
        principal = ServicePrincipal(
            app_id=credential.app_id,
            object_id=str(uuid.uuid4()),
            display_name=DISPLAY_NAME,
            secret_hash=secret_hash(credential.secret),
        )
        await service_principals.add(connection, principal)
        deliver(credential)
