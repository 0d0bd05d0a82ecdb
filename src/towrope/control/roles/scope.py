"""Where a role is assigned: a path, and all below it.

    /                                     everything at this server
    /subscriptions/S                      one subscription
    /subscriptions/S/resourceGroups/G     one resource group
    …/connectedClusters/C                 one resource
    …/connectedClusters/C/namespaces/NS   one namespace in a cluster; nothing of the resource API

Paths are compared segment by segment, without case.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from towrope.wire.names import cluster_id

_NAMESPACE = re.compile(
    f"(?P<cluster>{cluster_id('[^/]+', '[^/]+', '[^/]+')})"
    "(?:/providers/Microsoft.KubernetesConfiguration)?/namespaces/(?P<namespace>[^/]+)",
    re.IGNORECASE,
)
_KNOWN = re.compile(
    r"/subscriptions/[^/]+(/resourceGroups/[^/]+(/providers/[^/]+(/[^/]+/[^/]+)+)?)?|/",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """`path` as it was given, without a slash at its end; the root is `/`."""

    path: str

    def covers(self, other: "Scope") -> bool:
        """Whether what is assigned here holds there."""
        own, others = _segments(self.path), _segments(other.path)
        return others[: len(own)] == own

    @property
    def namespace(self) -> tuple["Scope", str] | None:
        """The cluster and the namespace's name, where this is a namespace."""
        match = _NAMESPACE.fullmatch(self.path)
        return (Scope(path=match["cluster"]), match["namespace"]) if match else None


class Scopes:
    """Many scopes: whether one of them covers another takes as long as with few."""

    def __init__(self, scopes: Iterable[Scope]) -> None:
        self._paths = {tuple(_segments(each.path)) for each in scopes}

    def cover(self, other: Scope) -> bool:
        path = tuple(_segments(other.path))
        return any(path[:length] in self._paths for length in range(len(path) + 1))


ROOT = Scope(path="/")


def parse(text: str) -> Scope | None:
    """None where it is no scope that a role can be assigned at."""
    path = "/" + text.strip("/")
    is_plain = path.isprintable() and not set(path) & set("\\?#%*")
    if not is_plain or "//" in path or {".", ".."} & set(path.split("/")):
        return None
    return Scope(path=path) if _KNOWN.fullmatch(path) or _NAMESPACE.fullmatch(path) else None


def _segments(path: str) -> list[str]:
    return [segment for segment in path.lower().split("/") if segment]
