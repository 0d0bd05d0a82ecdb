"""How much a role allows, to tell the smaller of two: over what the built-in roles speak of."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from towrope.control.roles.built_in import BUILT_IN_ROLES
from towrope.control.roles.definition import RoleDefinition
from towrope.wire import data_actions

_ENDS = ("read", "write", "delete", "any/action")
"""What a star at the end of a pattern stands for here; one before it is a name that none has."""


@lru_cache(maxsize=1024)
def breadth(role: RoleDefinition) -> int:
    """Of two roles the smaller one has the smaller number."""
    in_cluster = [each.in_cluster for each in role.permissions]
    return sum(any(each.allows(probe) for each in role.permissions) for probe in _ACTIONS) + sum(
        data_actions.allows(in_cluster, probe) for probe in _DATA_ACTIONS
    )


def _probes(patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        if pattern.endswith("*"):
            yield from (pattern[:-1].replace("*", "any") + end for end in _ENDS)
        else:
            yield pattern.replace("*", "any")


_PERMISSIONS = [each for role in BUILT_IN_ROLES for each in role.permissions]
_ACTIONS = frozenset(
    _probes(pattern for each in _PERMISSIONS for pattern in (*each.actions, *each.not_actions))
)
_DATA_ACTIONS = frozenset(_probes(p for each in _PERMISSIONS for p in each.data_actions))
