"""How the native objects are named that an agent makes from a policy.

One ClusterRole for each role; for each namespace of its grants, and for the cluster, one binding of
it. Where that has many subjects it is split by a hash of the subject, into a power of two of
parts that are named by their number, so that most changes touch one small object. Another number of
parts makes other names: those are made before the old ones go, and nobody loses a right between.
"""

import hashlib
import re
from collections.abc import Collection, Mapping

from towrope.wire.agent_api import PolicyGrant
from towrope.wire.names import RESERVED_PREFIX, object_id_group

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "towrope-policy"
"""The label's value, and the field manager of all writes."""
SELECTOR = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
PART_SIZE = 256
"""Subjects of one part, on average: far from the 1.5 MB that etcd takes, and quickly written."""

_ROLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123 label


def is_role_id(text: str) -> bool:
    return _ROLE.fullmatch(text) is not None


def is_namespace(text: str) -> bool:
    return _NAMESPACE.fullmatch(text) is not None


def cluster_role(role_id: str) -> str:
    """The ClusterRole of a role definition."""
    return f"{RESERVED_PREFIX}role:{role_id.lower()}"


def subject(grant: PolicyGrant) -> str:
    """The group that stands for the principal of a grant."""
    return object_id_group(grant.principal, is_external=grant.is_external)


def bindings(role_id: str, subjects: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The names of a role's bindings in one namespace, or in the cluster, and whose they are."""
    parts = _parts(len(subjects))
    found: dict[str, list[str]] = {}
    for each in sorted(subjects):
        found.setdefault(_binding(role_id, each, parts), []).append(each)
    return {name: tuple(members) for name, members in found.items()}


def _parts(count: int) -> int:
    parts = 1
    while count > parts * PART_SIZE:
        parts *= 2
    return parts


def _binding(role_id: str, subject: str, parts: int) -> str:
    if parts == 1:
        return cluster_role(role_id)
    digest = hashlib.sha256(subject.encode()).digest()
    return f"{cluster_role(role_id)}.{int.from_bytes(digest[:8]) % parts}-of-{parts}"


def role_of(name: str) -> str:
    """The ClusterRole whose binding is named so."""
    return name.partition(".")[0]
