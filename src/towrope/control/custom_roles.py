"""What a custom role must be: Azure's limits, and what would have no effect here.

Pure; each function raises `ArmError` (400) with the reason.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus

from towrope.control.arm_error import ArmError
from towrope.control.roles.definition import Permission
from towrope.control.roles.scope import Scope, parse
from towrope.wire.data_actions import is_of_clusters
from towrope.wire.errors import foreign

NAME_LIMIT = 128
DESCRIPTION_LIMIT = 2048
SCOPES_LIMIT = 100
PERMISSIONS_LIMIT = 16
PATTERNS_LIMIT = 1024
"""In all permissions of a role."""
PATTERN_LENGTH = 256
WILDCARDS_LIMIT = 2
"""In one pattern: the time that a comparison takes grows with the power of it."""

_PATTERN = re.compile(r"[A-Za-z0-9.*/_:-]+")


def name(given: str) -> str:
    if not (given.strip() == given and given.isprintable() and 1 <= len(given) <= NAME_LIMIT):
        raise _invalid(
            "RoleDefinitionNameInvalid",
            f"The role name must have 1 to {NAME_LIMIT} printable characters, and no spaces at its"
            " ends.",
        )
    return given


def description(given: str) -> str:
    if len(given) > DESCRIPTION_LIMIT:
        raise _invalid(
            "RoleDefinitionDescriptionTooLong",
            f"The description has more than {DESCRIPTION_LIMIT} characters.",
        )
    return given


def assignable_scopes(given: Sequence[str], *, subscription: str) -> tuple[str, ...]:
    """At this server, and none inside of a cluster."""
    if not 1 <= len(given) <= SCOPES_LIMIT:
        raise _invalid(
            "MissingAssignableScopes", f"A role needs 1 to {SCOPES_LIMIT} assignable scopes."
        )
    return tuple(dict.fromkeys(_assignable(each, subscription).path for each in given))


def _assignable(given: str, subscription: str) -> Scope:
    scope, ours = parse(given), Scope(path=f"/subscriptions/{subscription}")
    is_here = scope is not None and (scope.covers(ours) or ours.covers(scope))
    if scope is None or not is_here or scope.namespace is not None:
        raise _invalid(
            "InvalidAssignableScope",
            f"The assignable scope '{foreign(given)}' is not valid: expected '/', the subscription"
            f" '{ours.path}', a resource group or a resource in it.",
        )
    return scope


def permissions(given: Sequence[Permission]) -> tuple[Permission, ...]:
    patterns = [
        pattern
        for each in given
        for members in (each.actions, each.not_actions, each.data_actions, each.not_data_actions)
        for pattern in members
    ]
    if not 1 <= len(given) <= PERMISSIONS_LIMIT or not 1 <= len(patterns) <= PATTERNS_LIMIT:
        raise _invalid(
            "InvalidPermissions",
            f"A role has 1 to {PERMISSIONS_LIMIT} permissions, with 1 to {PATTERNS_LIMIT} actions"
            " in all.",
        )
    for pattern in patterns:
        _check_pattern(pattern)
    for pattern in (pattern for each in given for pattern in each.data_actions):
        if not is_of_clusters(pattern):
            raise _invalid_action(
                pattern, "data actions here are of 'Microsoft.Kubernetes/connectedClusters/…'"
            )
    return tuple(given)


def _check_pattern(pattern: str) -> None:
    if len(pattern) > PATTERN_LENGTH or not _PATTERN.fullmatch(pattern):
        raise _invalid_action(
            pattern, f"expected 'PROVIDER/TYPE/OPERATION' of at most {PATTERN_LENGTH} characters"
        )
    if pattern.count("*") > WILDCARDS_LIMIT:
        raise _invalid_action(pattern, f"it has more than {WILDCARDS_LIMIT} wildcards")


def _invalid_action(pattern: str, why: str) -> ArmError:
    return _invalid(
        "InvalidActionOrNotAction", f"'{foreign(pattern)}' is not a valid action: {why}."
    )


def _invalid(code: str, message: str) -> ArmError:
    return ArmError(HTTPStatus.BAD_REQUEST, code, message)
