"""The shapes of the directory's objects, as Graph has them, and what of them is shown.

A member that is always the same is there because clients expect it. Of a password or a secret there
is never anything.
"""

import datetime
import hashlib
import ssl
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from towrope.control.graph.errors import bad_request
from towrope.control.store.groups import Group
from towrope.control.store.service_principals import ApplicationCredential, ServicePrincipal
from towrope.control.store.users import User
from towrope.wire.errors import foreign


class Kind(StrEnum):
    """The values are the names of Graph's types."""

    USER = "user"
    GROUP = "group"
    SERVICE_PRINCIPAL = "servicePrincipal"
    APPLICATION = "application"


Shape = dict[str, Any]
"""An object in JSON, with Graph's names."""


class UserShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    business_phones: tuple[str, ...] = ()
    display_name: str
    given_name: str | None
    job_title: None = None
    mail: str | None
    mobile_phone: None = None
    office_location: None = None
    preferred_language: None = None
    surname: str | None
    user_principal_name: str
    id: str
    account_enabled: bool
    created_date_time: str
    mail_nickname: str
    sign_in_sessions_valid_from_date_time: str
    user_type: str = "Member"


class GroupShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    created_date_time: str
    description: str | None
    display_name: str
    group_types: tuple[str, ...] = ()
    mail: None = None
    mail_enabled: bool = False
    mail_nickname: str
    security_enabled: bool = True


class PasswordCredential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    custom_key_identifier: None = None
    display_name: str | None
    end_date_time: str
    hint: str | None
    key_id: str
    secret_text: str | None = None
    """There once, in the answer of `addPassword`."""
    start_date_time: str


class KeyCredential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    custom_key_identifier: str
    """The certificate's SHA-1, which is what Graph shows to tell certificates apart."""
    display_name: str | None
    end_date_time: str
    key: None = None
    key_id: str
    start_date_time: str
    type: str = "AsymmetricX509Cert"
    usage: str = "Verify"


class ServicePrincipalShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    account_enabled: bool
    app_display_name: str
    app_id: str
    app_owner_organization_id: str
    created_date_time: str
    display_name: str
    service_principal_names: tuple[str, ...]
    service_principal_type: str = "Application"
    sign_in_audience: str = "AzureADMyOrg"
    key_credentials: tuple[KeyCredential, ...]
    password_credentials: tuple[PasswordCredential, ...]


class ApplicationShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    app_id: str
    created_date_time: str
    display_name: str
    identifier_uris: tuple[str, ...] = ()
    sign_in_audience: str = "AzureADMyOrg"
    key_credentials: tuple[KeyCredential, ...]
    password_credentials: tuple[PasswordCredential, ...]


_SHAPES: Mapping[Kind, type[msgspec.Struct]] = {
    Kind.USER: UserShape,
    Kind.GROUP: GroupShape,
    Kind.SERVICE_PRINCIPAL: ServicePrincipalShape,
    Kind.APPLICATION: ApplicationShape,
}
_NAMES = {
    kind: {name.lower(): name for name in shape.__struct_encode_fields__}
    for kind, shape in _SHAPES.items()
}
# Graph shows these of a user where nothing is selected; of everything else, all.
_DEFAULT = {
    **{kind: tuple(names.values()) for kind, names in _NAMES.items()},
    Kind.USER: UserShape.__struct_encode_fields__[:11],
}


def selection(given: str | None, kind: Kind) -> tuple[str, ...]:
    """The names in a `$select`. Raises `ArmError` (400)."""
    if given is None:
        return ()
    names = [each.strip() for each in given.split(",")][: len(_NAMES[kind]) + 1]
    for name in names:
        if name.lower() not in _NAMES[kind]:
            raise bad_request(
                f"Could not find a property named '{foreign(name)}' on type"
                f" 'microsoft.graph.{kind}'."
            )
    return tuple(_NAMES[kind][name.lower()] for name in names)


def shown(shape: msgspec.Struct, kind: Kind, select: Sequence[str] = ()) -> Shape:
    """What of an object is asked for, or what Graph shows by default."""
    whole: Shape = msgspec.to_builtins(shape)
    return {name: whole[name] for name in select or _DEFAULT[kind]}


def typed(shape: msgspec.Struct, kind: Kind, select: Sequence[str] = ()) -> Shape:
    """The same in a list of objects of several kinds."""
    return {"@odata.type": f"#microsoft.graph.{kind}", **shown(shape, kind, select)}


def of_user(user: User) -> UserShape:
    return UserShape(
        display_name=user.display_name,
        given_name=user.given_name,
        mail=user.mail,
        surname=user.surname,
        user_principal_name=user.user_principal_name,
        id=user.object_id,
        account_enabled=user.account_enabled,
        created_date_time=date_time(user.created),
        mail_nickname=user.user_principal_name.partition("@")[0],
        sign_in_sessions_valid_from_date_time=date_time(user.valid_from or user.created),
    )


def of_group(group: Group) -> GroupShape:
    return GroupShape(
        id=group.object_id,
        created_date_time=date_time(group.created),
        description=group.description,
        display_name=group.display_name,
        mail_nickname=group.mail_nickname,
    )


def of_service_principal(
    principal: ServicePrincipal, credentials: Sequence[ApplicationCredential], *, tenant: str
) -> ServicePrincipalShape:
    return ServicePrincipalShape(
        id=principal.object_id,
        account_enabled=principal.account_enabled,
        app_display_name=principal.display_name,
        app_id=principal.app_id,
        app_owner_organization_id=tenant,
        created_date_time=date_time(principal.created),
        display_name=principal.display_name,
        service_principal_names=(principal.app_id,),
        key_credentials=_keys(credentials),
        password_credentials=_passwords(credentials),
    )


def of_application(
    principal: ServicePrincipal, credentials: Sequence[ApplicationCredential]
) -> ApplicationShape:
    return ApplicationShape(
        id=principal.application_object_id,
        app_id=principal.app_id,
        created_date_time=date_time(principal.created),
        display_name=principal.display_name,
        key_credentials=_keys(credentials),
        password_credentials=_passwords(credentials),
    )


def password_of(
    credential: ApplicationCredential, *, secret: str | None = None
) -> PasswordCredential:
    return PasswordCredential(
        display_name=credential.display_name,
        end_date_time=date_time(credential.ends),
        hint=credential.hint,
        key_id=credential.key_id,
        secret_text=secret,
        start_date_time=date_time(credential.starts),
    )


def _passwords(credentials: Sequence[ApplicationCredential]) -> tuple[PasswordCredential, ...]:
    return tuple(password_of(each) for each in credentials if each.certificate is None)


def _keys(credentials: Sequence[ApplicationCredential]) -> tuple[KeyCredential, ...]:
    return tuple(
        KeyCredential(
            custom_key_identifier=_thumbprint(each.certificate),
            display_name=each.display_name,
            end_date_time=date_time(each.ends),
            key_id=each.key_id,
            start_date_time=date_time(each.starts),
        )
        for each in credentials
        if each.certificate is not None
    )


def _thumbprint(certificate: str) -> str:
    der = ssl.PEM_cert_to_DER_cert(certificate)
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()


def date_time(seconds: int) -> str:
    """RFC 3339, as Graph writes it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix_seconds(given: datetime.datetime) -> int:
    """Without an offset it is UTC, as everything that this API writes."""
    return int((given if given.tzinfo else given.replace(tzinfo=datetime.UTC)).timestamp())
