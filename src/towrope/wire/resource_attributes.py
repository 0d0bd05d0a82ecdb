"""What is asked of a cluster, in the words of a SubjectAccessReview's `resourceAttributes`: which
data action that is, and which native rule allows it. See `wire.data_actions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from towrope.wire.data_actions import (
    OPERATIONS,
    PREFIX,
    SENSITIVE,
    Permission,
    Resource,
    Rule,
    rules,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceAttributes:
    verb: str
    group: str = ""
    resource: str
    subresource: str = ""

    @property
    def action(self) -> str:
        """The data action that a role has to allow."""
        group = f"{self.group}/" if self.group else ""
        return f"{PREFIX}{group}{self.resource}/{self._operation}"

    @property
    def _operation(self) -> str:
        if self.subresource in SENSITIVE.get((self.group, self.resource), ()):
            return f"{self.subresource}/action"
        named = (name for name, verbs in OPERATIONS.items() if self.verb in verbs)
        return next(named, f"{self.verb}/action")

    def rule(self, permissions: Sequence[Permission]) -> Rule | None:
        """The rule by which a role of these permissions allows it; None: it does not."""
        subresources = frozenset({self.subresource} - {""})
        asked = Resource(group=self.group, name=self.resource, subresources=subresources)
        return next((rule for rule in rules(permissions, [asked]) if self._is_in(rule)), None)

    def _is_in(self, rule: Rule) -> bool:
        name = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return all(
            wanted in given or "*" in given
            for wanted, given in (
                (self.verb, rule.verbs),
                (self.group, rule.groups),
                (name, rule.resources),
            )
        )
