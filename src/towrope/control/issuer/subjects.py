"""Whom tokens are made for, as the directory has them at that moment."""

from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.issuer.oauth_error import invalid_grant
from towrope.control.issuer.tokens import IdentityType, Subject
from towrope.control.store import groups, users
from towrope.control.store.service_principals import ServicePrincipal


async def user(connection: AsyncConnection, object_id: str, *, authenticated_at: int) -> Subject:
    """A user that signed in at some time. Raises `OAuthError` where that counts no more."""
    found = await users.find(connection, object_id)
    if found is None:
        raise invalid_grant("The account was deleted.", code=50034)
    if not found.account_enabled:
        raise invalid_grant("The account is disabled.", code=50057)
    if authenticated_at < found.valid_from:
        raise invalid_grant(
            "The sign-in was ended, or the password was changed since. Sign in again.", code=50173
        )
    return Subject(
        identity_type=IdentityType.USER,
        object_id=found.object_id,
        display_name=found.display_name,
        user_principal_name=found.user_principal_name,
        groups=await groups.groups_of(connection, found.object_id),
    )


async def application(connection: AsyncConnection, principal: ServicePrincipal) -> Subject:
    """An application that has just shown its credential."""
    return Subject(
        identity_type=IdentityType.APP,
        object_id=principal.object_id,
        display_name=principal.display_name,
        user_principal_name=None,
        groups=await groups.groups_of(connection, principal.object_id),
    )
