"""What a request asks of Kubernetes, by the apiserver's own rules (its `RequestInfo`).

For the audit event; the apiserver decides by its own reading, never by ours.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
PREFIX_VERBS = frozenset({"proxy", "watch"})
_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInfo:
    """`verb` is a Kubernetes verb, or the HTTP method in lower case for other paths."""

    verb: str
    path: str
    api_group: str = ""
    api_version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""

    @property
    def is_resource_request(self) -> bool:
        return bool(self.resource)


def parse(method: str, target: str) -> RequestInfo:
    """Reads a request's method and target."""
    raw_path, _, query = target.partition("?")
    path = unquote(raw_path)
    other = RequestInfo(verb=method.lower(), path=path)
    parts = [part for part in path.split("/") if part]
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return other
    group = ""
    if parts[0] == "apis":
        if len(parts) < 4:
            return other
        group = parts.pop(1)
    version, parts = parts[1], parts[2:]
    verb = _VERBS.get(method, "")
    if parts[0] in PREFIX_VERBS:
        if len(parts) < 2:
            return other
        verb, parts = parts[0], parts[1:]
    namespace, parts = _namespaced(parts)
    resource, name, subresource = (*parts[:3], "", "", "")[:3]
    if not name:
        verb = _collection_verb(verb, query)
        name = _selected_name(query) if verb in ("list", "watch") else ""
    return RequestInfo(
        verb=verb,
        path=path,
        api_group=group,
        api_version=version,
        namespace=namespace,
        resource=resource,
        name=name,
        subresource=subresource,
    )


def _namespaced(parts: list[str]) -> tuple[str, list[str]]:
    """The namespace, and the path from the resource on; a namespace itself is a resource too."""
    if parts[0] != "namespaces" or len(parts) < 2:
        return "", parts
    if len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
        return parts[1], parts[2:]
    return parts[1], parts


def _selected_name(query: str) -> str:
    """Of the one object that a list or a watch is restricted to."""
    selector = dict(parse_qsl(query)).get("fieldSelector", "")
    for term in selector.split(","):
        name, operator, value = term.partition("=")
        if operator and name == "metadata.name" and value.removeprefix("="):
            return value.removeprefix("=")
    return ""


def _collection_verb(verb: str, query: str) -> str:
    if verb == "get":
        watch = dict(parse_qsl(query, keep_blank_values=True)).get("watch")
        return "watch" if watch is not None and watch.lower() not in ("0", "f", "false") else "list"
    return "deletecollection" if verb == "delete" else verb
