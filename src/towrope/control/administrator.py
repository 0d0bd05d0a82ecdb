"""The first service principal: made at the first start, its secret shown once and never kept."""

import secrets
import uuid
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


async def ensure(database: Database) -> Credential | None:
    """Makes the administrator; None where there is one."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    async with database.writing() as connection:
        if await service_principals.find_by_name(connection, DISPLAY_NAME) is not None:
            return None
        principal = ServicePrincipal(
            app_id=str(uuid.uuid4()),
            object_id=str(uuid.uuid4()),
            display_name=DISPLAY_NAME,
            secret_hash=secret_hash(secret),
        )
        await service_principals.add(connection, principal)
    return Credential(app_id=principal.app_id, secret=secret)
