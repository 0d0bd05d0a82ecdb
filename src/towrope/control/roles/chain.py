"""Through which groups a principal is in a group that it is no direct member of."""

from collections import deque
from collections.abc import Iterable, Mapping

Chain = tuple[str, ...]
"""Group ids: the one that the principal is a member of, and so on up to the group in question."""


def chains(principal_id: str, memberships: Iterable[tuple[str, str]]) -> Mapping[str, Chain]:
    """The shortest one to each group that the principal is in. A membership is (group, member)."""
    groups_of: dict[str, list[str]] = {}
    for group, member in sorted(memberships):
        groups_of.setdefault(member, []).append(group)
    found: dict[str, Chain] = {principal_id: ()}
    ahead = deque([principal_id])
    while ahead:
        member = ahead.popleft()
        for group in groups_of.get(member, ()):
            if group not in found:
                found[group] = (*found[member], group)
                ahead.append(group)
    return found
