"""Whether a principal may do something at the resource API: from what it was assigned, and nothing
else."""

from collections.abc import Iterable
from dataclasses import dataclass

from towrope.control.roles.definition import RoleDefinition
from towrope.control.roles.scope import Scope
from towrope.wire import data_actions


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An assignment of a principal, or of a group that it is in."""

    assignment_id: str
    scope: Scope
    role: RoleDefinition


def allowed_by(held: Iterable[Held], *, action: str, scope: Scope) -> Held | None:
    """The assignment that allows `action` at `scope`; None: it is not allowed."""
    here = (each for each in held if each.scope.covers(scope))
    return next((each for each in here if grants(each, action)), None)


def data_allowed_by(held: Iterable[Held], *, action: str, scope: Scope) -> Held | None:
    """The assignment that allows a data action in the cluster, or the namespace, at `scope`."""
    return next(
        (
            each
            for each in held
            if each.scope.covers(scope)
            and data_actions.allows([p.in_cluster for p in each.role.permissions], action)
        ),
        None,
    )


def grants(held: Held, action: str) -> bool:
    """Whether it allows `action` where it holds, if that is anywhere at the resource API."""
    # A role in one namespace says nothing about the cluster as a resource, nor about what lies
    # below it by its path.
    if held.scope.namespace is not None:
        return False
    return any(permission.allows(action) for permission in held.role.permissions)
