"""Who calls the resource API, once its token was verified."""

from dataclasses import dataclass

from towrope.control.store.groups import ADMINISTRATORS, MemberKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    object_id: str
    kind: MemberKind
    """A user or a service principal."""
    name: str
    """A user's principal name, or an application id."""
    groups: frozenset[str] = frozenset()
    """The ids of all its groups, nested ones too."""
    issuer: str = ""
    """The trusted issuer that vouches for it; empty: this server's own directory."""

    @property
    def is_administrator(self) -> bool:
        return ADMINISTRATORS in self.groups

    def __str__(self) -> str:
        return self.name
