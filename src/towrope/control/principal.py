"""Who calls the resource API, once its token was verified."""

from dataclasses import dataclass

from towrope.control.roles.decision import Held
from towrope.control.store.groups import ADMINISTRATORS, MemberKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    object_id: str
    kind: MemberKind
    """A user or a service principal."""
    name: str
    """A user's principal name, or an application id."""
    groups: frozenset[str] = frozenset()
    """All its groups, nested ones too: their ids, or what its issuer calls them."""
    group_ids: frozenset[str] = frozenset()
    """Those of them that role assignments can name: object ids, of this directory or of Entra."""
    held: tuple[Held, ...] = ()
    """The roles that it, or one of its groups, is assigned."""
    issuer: str = ""
    """The trusted issuer that vouches for it; empty: this server's own directory."""

    @property
    def is_administrator(self) -> bool:
        return ADMINISTRATORS in self.groups

    def __str__(self) -> str:
        return self.name
