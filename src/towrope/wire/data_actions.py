"""Azure's data actions as rules of native RBAC, one way for the agent and for whoever explains it.

An action is `Microsoft.Kubernetes/connectedClusters[/GROUP]/RESOURCE/OPERATION`, the core group
left out, as Arc's own authorization names it. `read` is get, list and watch, `write` create, update
and patch, `delete` delete and deletecollection; any other verb is `VERB/action`. A subresource goes
with its resource, but for the `SENSITIVE` ones: each is an operation of its own,
`SUBRESOURCE/action`, whatever the verb, so that no read ever implies one.

RBAC can only allow. So what is taken away by `notDataActions`, and wildcards, are spelled out over
the resources that the cluster has; an action that names its resource needs no look at the cluster.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from towrope.wire.names import CLUSTER_TYPE

PREFIX = f"{CLUSTER_TYPE}/"
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "read": ("get", "list", "watch"),
    "write": ("create", "update", "patch"),
    "delete": ("delete", "deletecollection"),
}
SENSITIVE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): ("exec", "attach", "portforward", "proxy", "ephemeralcontainers"),
    ("", "services"): ("proxy",),
    ("", "nodes"): ("proxy",),
    ("", "serviceaccounts"): ("token",),
}
SENSITIVE_VERBS = ("create", "get", "update", "patch", "delete")
"""For each of them: kubectl execs by POST or GET, and a proxied request may have any method."""
NON_RESOURCE = frozenset(
    {
        "api",
        "apis",
        "healthz",
        "livez",
        "logs",
        "metrics",
        "openapi",
        "readyz",
        "resetmetrics",
        "swagger-api",
        "swagger-ui",
        "ui",
        "version",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What one permission of a role allows: its actions, less those that are taken away."""

    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource that the cluster has; `subresources` without the resource's own name."""

    group: str
    name: str
    subresources: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of a native role; either resources or non-resource URLs."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()


EVERYTHING = (
    Rule(verbs=("*",), groups=("*",), resources=("*",)),
    Rule(verbs=("*",), urls=("*",)),
)


def matches(pattern: str, action: str) -> bool:
    """Whether `action` is one that `pattern` names; `*` stands for any characters, `/` too."""
    return _compiled(pattern).fullmatch(action) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.IGNORECASE)


def is_of_clusters(pattern: str) -> bool:
    """Whether a pattern names any action of connected clusters."""
    head, star, _ = pattern.lower().partition("*")
    prefix = PREFIX.lower()
    return head.startswith(prefix) or (bool(star) and prefix.startswith(head))


def allows(permissions: Iterable[Permission], action: str) -> bool:
    """Whether any of the permissions allows a data action."""
    return any(
        any(matches(pattern, action) for pattern in each.data_actions)
        and not any(matches(pattern, action) for pattern in each.not_data_actions)
        for each in permissions
    )


def rules(permissions: Sequence[Permission], cluster: Iterable[Resource]) -> tuple[Rule, ...]:
    """The native rules for what a role allows, in a cluster that has these resources."""
    if any(_is_everything(each) for each in permissions):
        return EVERYTHING
    found: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for resource in _considered(permissions, cluster):
        for operation, verbs, names in _operations(resource):
            if allows(permissions, _action(resource, operation)):
                found.setdefault((resource.group, verbs), set()).update(names)
    made = [
        Rule(groups=(group,), verbs=verbs, resources=tuple(sorted(names)))
        for (group, verbs), names in sorted(found.items())
    ]
    return (*made, *_non_resource_rules(permissions))


def _is_everything(permission: Permission) -> bool:
    wanted = {"*", PREFIX.lower() + "*"}
    return not permission.not_data_actions and any(
        pattern.lower() in wanted for pattern in permission.data_actions
    )


def _action(resource: Resource, operation: str) -> str:
    group = f"{resource.group}/" if resource.group else ""
    return f"{PREFIX}{group}{resource.name}/{operation}"


# Verbs that are operations of their own; not all of these resources are shown by discovery. An
# extra (`authentication.k8s.io/userextras/impersonate/action`) is none of them: RBAC allows one by
# its key alone, `userextras/KEY`, and an action has no key to say.
_SPECIAL: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "users"): ("impersonate",),
    ("", "groups"): ("impersonate",),
    ("", "serviceaccounts"): ("impersonate",),
    ("rbac.authorization.k8s.io", "roles"): ("bind", "escalate"),
    ("rbac.authorization.k8s.io", "clusterroles"): ("bind", "escalate"),
    ("policy", "podsecuritypolicies"): ("use",),
    ("security.openshift.io", "securitycontextconstraints"): ("use",),
}


def _operations(resource: Resource) -> Iterator[tuple[str, tuple[str, ...], list[str]]]:
    """Each operation of a resource, with the verbs and the names that it is in a rule."""
    key = (resource.group, resource.name)
    sensitive = SENSITIVE.get(key, ())
    plain = sorted(f"{resource.name}/{sub}" for sub in resource.subresources - set(sensitive))
    for operation, verbs in OPERATIONS.items():
        yield operation, verbs, [resource.name, *plain]
    for sub in sensitive:
        yield f"{sub}/action", SENSITIVE_VERBS, [f"{resource.name}/{sub}"]
    for verb in _SPECIAL.get(key, ()):
        yield f"{verb}/action", (verb,), [resource.name]


def _considered(
    permissions: Sequence[Permission], cluster: Iterable[Resource]
) -> Iterable[Resource]:
    """What the cluster has, and what an action names although the cluster has it not (yet)."""
    known = {(each.group, each.name): each for each in cluster}
    groups = {group for group, _ in known}
    for key in (*_SPECIAL, *_named(permissions)):
        group, name = key
        if key not in known and not (group == "" and name in groups):
            known[key] = Resource(group=group, name=name)
    return known.values()


def _named(permissions: Sequence[Permission]) -> Iterator[tuple[str, str]]:
    for permission in permissions:
        for pattern in permission.data_actions:
            parts = _parts(pattern)
            rest = parts[:-2] if parts[-1:] == ["action"] else parts[:-1]
            if not rest or len(rest) > 2 or "*" in "".join(rest) or rest[0] in NON_RESOURCE:
                continue
            yield ("", rest[0]) if len(rest) == 1 else (rest[0], rest[1])


def _parts(pattern: str) -> list[str]:
    lower = pattern.lower()
    return lower.removeprefix(PREFIX.lower()).split("/") if lower.startswith(PREFIX.lower()) else []


def _non_resource_rules(permissions: Sequence[Permission]) -> Iterator[Rule]:
    urls: set[str] = set()
    for permission in permissions:
        for pattern in permission.data_actions:
            *path, operation = _parts(pattern) or [""]
            if not path or path[0] not in NON_RESOURCE or operation not in ("read", "*"):
                continue
            if allows(permissions, f"{PREFIX}{'/'.join(path)}/read") and "*" not in "".join(
                path[:-1]
            ):
                urls.add("/" + "/".join(path))
    if urls:
        yield Rule(verbs=("get",), urls=tuple(sorted(urls)))
