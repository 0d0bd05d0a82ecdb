"""What is to be done so that the native objects are those that the policy asks for: pure.

A principal that moves from one binding to another is in both for a moment, never in none. Where
nothing is made, something is taken away, and that comes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from towrope.agent.policy_objects import Content, Key, Kind
from towrope.agent.rbac_objects import NativeObject
from towrope.wire import policy_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is to be done to the objects of one role in one namespace: written, then deleted."""

    written: tuple[tuple[Key, Content], ...] = ()
    deleted: tuple[Key, ...] = ()
    is_new: bool = False
    """Whether an object is made that was not there."""


def differences(
    wanted: Mapping[Key, Content], there: Mapping[Key, NativeObject]
) -> list[list[Difference]]:
    """In stages: what is in one of them does not depend on each other."""
    keys: dict[Key, list[Key]] = {}
    for key in sorted(wanted.keys() | there.keys(), key=_order):
        keys.setdefault(_family(key), []).append(key)
    found = [_difference(each, wanted, there) for each in keys.values()]
    first = [each for each in found if each.written or _deletes_bindings(each)]
    roles = [each for each in found if each.deleted and not _deletes_bindings(each)]
    return [sorted(first, key=lambda each: each.is_new), roles]


def _difference(
    keys: list[Key], wanted: Mapping[Key, Content], there: Mapping[Key, NativeObject]
) -> Difference:
    written = [
        (key, wanted[key])
        for key in keys
        if key in wanted and not (key in there and there[key].agrees_with(wanted[key]))
    ]
    return Difference(
        written=tuple(written),
        deleted=tuple(key for key in keys if key not in wanted),
        is_new=any(key not in there for key, _ in written),
    )


def _deletes_bindings(difference: Difference) -> bool:
    return any(key.kind is not Kind.CLUSTER_ROLE for key in difference.deleted)


def _family(key: Key) -> Key:
    """A role; or all bindings among which a principal may move."""
    return Key(kind=key.kind, name=policy_names.role_of(key.name), namespace=key.namespace)


def _order(key: Key) -> tuple[str, str, str]:
    return key.namespace, key.kind, key.name
