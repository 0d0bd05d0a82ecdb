"""A caller whose token was verified: what of it becomes the identity at the apiserver."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from towrope.wire.names import object_id_group


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Prefixes are applied already. Made from a verified token alone, never from a header."""

    username: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys in lower case; `oid` is the caller's object id."""
    issuer: str = ""
    """The name of the trusted issuer that vouches for it."""
    object_ids: tuple[str, ...] = ()
    """Its own, and those of its groups that role assignments name here."""
    is_external: bool = False
    """Whether they are ids that another issuer than the server's own says."""

    @property
    def all_groups(self) -> tuple[str, ...]:
        """As the apiserver is told: those of the token, and those that the agent alone gives."""
        by_id = (object_id_group(each, is_external=self.is_external) for each in self.object_ids)
        return (*self.groups, *by_id)
