"""The types of what the directory's API answers, for `/openapi.json`.

Each property of an object may be missing, for `$select` says which are shown.
"""

from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

CONTEXT = ("context", str, msgspec.field(name="@odata.context"))
SELECTED = ("$select",)
LISTED = ("$select", "$top", "$count", "$skipToken")
FILTERED = ("$filter", *LISTED)
"""The query options of one object, of a list, and of a list that takes a filter."""


class Ids(msgspec.Struct, frozen=True, kw_only=True):
    """A list of object ids."""

    context: str = msgspec.field(name="@odata.context")
    value: list[str]


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """What an action answers that has nothing to tell."""

    context: str = msgspec.field(name="@odata.context")
    value: bool


class TypedObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object whose kind its type says; its properties are those of its kind."""

    odata_type: str = msgspec.field(name="@odata.type")
    id: str | UnsetType = UNSET


class TypedObjects(msgspec.Struct, frozen=True, kw_only=True):
    """A list of objects of several kinds."""

    context: str = msgspec.field(name="@odata.context")
    value: list[TypedObject]
    next_link: str | UnsetType = msgspec.field(name="@odata.nextLink", default=UNSET)


class TypedEntity(TypedObject, frozen=True, kw_only=True):
    context: str = msgspec.field(name="@odata.context")


@cache
def entity(shape: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The type of one object that has the properties of `shape`."""
    return _made(f"{_name(shape)}Entity", [CONTEXT, *_partial(shape)])


@cache
def entities(shape: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The type of a list of such objects."""
    item: Any = _made(_name(shape), _partial(shape))
    return _made(
        f"{_name(shape)}List",
        [
            CONTEXT,
            ("value", list[item]),
            ("count", int | UnsetType, msgspec.field(name="@odata.count", default=UNSET)),
            ("next_link", str | UnsetType, msgspec.field(name="@odata.nextLink", default=UNSET)),
        ],
    )


def _name(shape: type[msgspec.Struct]) -> str:
    return shape.__name__.removesuffix("Shape")


def _partial(shape: type[msgspec.Struct]) -> list[Any]:
    return [
        (
            each.name,
            each.type | UnsetType,
            msgspec.field(name=each.encode_name, default=UNSET),
        )
        for each in msgspec.structs.fields(shape)
    ]


def _made(name: str, fields: list[Any]) -> type[msgspec.Struct]:
    made: type[msgspec.Struct] = msgspec.defstruct(name, fields, frozen=True, kw_only=True)
    return made
