"""A role: what it allows, in ARM's operations and in Kubernetes' data actions."""

from dataclasses import dataclass, field
from enum import StrEnum

from towrope.wire import data_actions as cluster_actions
from towrope.wire.data_actions import matches


class RoleKind(StrEnum):
    BUILT_IN = "BuiltInRole"
    CUSTOM = "CustomRole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Each member holds patterns in which `*` stands for any characters."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        """Whether it allows an operation of the resource API."""
        # No role of Azure's, whatever its wildcards, means what is this server's own.
        patterns = filter(_is_own, self.actions) if _is_own(action) else self.actions
        return any(matches(pattern, action) for pattern in patterns) and not any(
            matches(pattern, action) for pattern in self.not_actions
        )

    @property
    def in_cluster(self) -> cluster_actions.Permission:
        """The part of it that holds inside a cluster."""
        return cluster_actions.Permission(
            data_actions=self.data_actions, not_data_actions=self.not_data_actions
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDefinition:
    id: str
    """A GUID; with it the role's resource id is made."""
    name: str
    description: str = ""
    kind: RoleKind = RoleKind.CUSTOM
    permissions: tuple[Permission, ...] = field(default_factory=tuple)
    assignable_scopes: tuple[str, ...] = ("/",)

    @property
    def is_own(self) -> bool:
        """Whether it allows something of the directory or of other things that Azure has not."""
        return any(_is_own(action) for each in self.permissions for action in each.actions)

    @property
    def has_data_actions(self) -> bool:
        return any(each.data_actions for each in self.permissions)


def _is_own(action: str) -> bool:
    return action.lower().startswith("towrope.")
