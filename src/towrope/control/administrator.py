"""The first service principal, and the group of administrators that it is in: made at the first
start, its secret shown once and never kept."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from towrope.control.store import groups, service_principals
from towrope.control.store.database import Database
from towrope.control.store.groups import ADMINISTRATORS, Group, Member, MemberKind
from towrope.control.store.service_principals import (
    ApplicationCredential,
    ServicePrincipal,
    new_secret,
    secret_hash,
)

DISPLAY_NAME = "administrator"
GROUP_NAME = "Towrope Administrators"
LIFETIME = 10 * 365 * 24 * 3600
"""Seconds. It is the way in when no other is left; a server's owner may replace it at any time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    app_id: str
    secret: str = field(repr=False)


async def ensure(
    database: Database,
    *,
    deliver: Callable[[Credential], None],
    clock: Callable[[], float] = time.time,
) -> None:
    """Makes the administrator where there is none.

    `deliver` gives the credential to whom it is for. Where it raises, nothing was made.
    """
    credential = Credential(app_id=str(uuid.uuid4()), secret=new_secret())
    now = int(clock())
    async with database.writing() as connection:
        if await groups.find(connection, ADMINISTRATORS) is not None:
            return
        principal = ServicePrincipal(
            app_id=credential.app_id,
            object_id=str(uuid.uuid4()),
            application_object_id=str(uuid.uuid4()),
            display_name=DISPLAY_NAME,
            created=now,
        )
        await service_principals.add(connection, principal)
        await service_principals.add_credential(connection, _kept(credential, now))
        await groups.add(connection, _group(now))
        member = Member(object_id=principal.object_id, kind=MemberKind.SERVICE_PRINCIPAL)
        await groups.add_member(connection, ADMINISTRATORS, member)
        deliver(credential)


def _kept(credential: Credential, now: int) -> ApplicationCredential:
    return ApplicationCredential(
        key_id=str(uuid.uuid4()),
        app_id=credential.app_id,
        secret_hash=secret_hash(credential.secret),
        hint=credential.secret[:3],
        starts=now,
        ends=now + LIFETIME,
    )


def _group(now: int) -> Group:
    return Group(
        object_id=ADMINISTRATORS,
        display_name=GROUP_NAME,
        description="Its members may do everything at this server.",
        mail_nickname="administrators",
        created=now,
    )
