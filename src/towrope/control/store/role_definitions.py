"""Custom role definitions. The built-in ones are in `roles.built_in`, and never in the table."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.roles.built_in import BUILT_IN_ROLES
from towrope.control.roles.definition import Permission, RoleDefinition
from towrope.control.store.tables import role_definitions as table


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorship:
    """Who made and changed a record (object ids), and when (Unix seconds)."""

    created_on: int
    created_by: str
    updated_on: int
    updated_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRole:
    role: RoleDefinition
    authorship: Authorship


async def find(connection: AsyncConnection, role_id: str) -> CustomRole | None:
    row = (await connection.execute(select(table).where(table.c.id == role_id.lower()))).first()
    return _custom_role(row) if row is not None else None


async def find_by_name(connection: AsyncConnection, name: str) -> CustomRole | None:
    row = (await connection.execute(select(table).where(table.c.key == name.lower()))).first()
    return _custom_role(row) if row is not None else None


async def every(connection: AsyncConnection) -> Sequence[CustomRole]:
    """In the order of their names."""
    return [
        _custom_role(row) for row in await connection.execute(select(table).order_by(table.c.key))
    ]


async def by_id(
    connection: AsyncConnection, role_ids: Collection[str]
) -> Mapping[str, RoleDefinition]:
    """Those of the roles that there are, built-in ones too, by their ids in lower case."""
    wanted = {each.lower() for each in role_ids}
    found = {role.id: role for role in BUILT_IN_ROLES if role.id in wanted}
    custom = sorted(wanted - found.keys())
    for at in range(0, len(custom), _VARIABLES):
        where = table.c.id.in_(custom[at : at + _VARIABLES])
        for row in await connection.execute(select(table).where(where)):
            found[row.id] = _custom_role(row).role
    return found


async def add(connection: AsyncConnection, made: CustomRole) -> None:
    """Raises `IntegrityError` where there is one of this id or name."""
    await connection.execute(insert(table).values(id=made.role.id.lower(), **_values(made)))


async def put(connection: AsyncConnection, changed: CustomRole) -> None:
    where = table.c.id == changed.role.id.lower()
    await connection.execute(update(table).where(where).values(**_values(changed)))


async def remove(connection: AsyncConnection, role_id: str) -> None:
    await connection.execute(delete(table).where(table.c.id == role_id.lower()))


_VARIABLES = 500
"""Parameters of one statement."""


def _values(custom: CustomRole) -> dict[str, Any]:
    role, authorship = custom.role, custom.authorship
    return {
        "key": role.name.lower(),
        "name": role.name,
        "description": role.description,
        "permissions": [
            {
                "actions": list(each.actions),
                "notActions": list(each.not_actions),
                "dataActions": list(each.data_actions),
                "notDataActions": list(each.not_data_actions),
            }
            for each in role.permissions
        ],
        "assignable_scopes": list(role.assignable_scopes),
        "created_on": authorship.created_on,
        "created_by": authorship.created_by,
        "updated_on": authorship.updated_on,
        "updated_by": authorship.updated_by,
    }


def _custom_role(row: Row[Any]) -> CustomRole:
    return CustomRole(
        role=RoleDefinition(
            id=row.id,
            name=row.name,
            description=row.description,
            permissions=tuple(
                Permission(
                    actions=tuple(each["actions"]),
                    not_actions=tuple(each["notActions"]),
                    data_actions=tuple(each["dataActions"]),
                    not_data_actions=tuple(each["notDataActions"]),
                )
                for each in row.permissions
            ),
            assignable_scopes=tuple(row.assignable_scopes),
        ),
        authorship=Authorship(
            created_on=row.created_on,
            created_by=row.created_by,
            updated_on=row.updated_on,
            updated_by=row.updated_by,
        ),
    )
