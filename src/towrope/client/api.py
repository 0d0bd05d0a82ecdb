"""The server's resource API as one account sees it: groups, connected clusters, the relay's names.

Synchronous, one call a method. Resources come as ARM's JSON objects, unchanged, since the command
line prints them whole; what the client itself works with comes as structs.
"""

import base64
import binascii
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import quote

import msgspec

from towrope.client.paging import ARM_LINK, pages
from towrope.client.profile import Account
from towrope.client.rest import Json, Rest
from towrope.wire.errors import Forbidden, Hop, NotFound, Refused, Unreachable
from towrope.wire.names import CLUSTER_TYPE, cluster_id

SUBSCRIPTIONS_VERSION = "2022-12-01"
GROUPS_VERSION = "2024-11-01"
CLUSTERS_VERSION = "2025-08-01-preview"
RELAY_VERSION = "2021-11-01"

CLUSTER_USER_ROLE = "Azure Arc Enabled Kubernetes Cluster User Role"

POLL_EVERY = 1.0
OPERATION_WITHIN = 120.0
ENDED = frozenset({"Succeeded", "Failed", "Canceled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterUserCredential:
    """What `proxy` needs to reach a cluster."""

    kubeconfig: bytes
    """YAML; its user holds no credential yet."""
    relay: str
    """The relay's address, as the server names it."""
    hybrid_connection_name: str
    token: str = field(repr=False)
    """A sender's token for that hybrid connection."""
    expiration_time: int
    """Unix seconds after which to ask for another."""


class Api:
    """The resources of one subscription of one server."""

    def __init__(self, rest: Rest, account: Account) -> None:
        self.account = account
        self._rest = rest

    @property
    def server(self) -> str:
        """`https://host[:port]`."""
        return self._rest.server

    @property
    def tls(self) -> ssl.SSLContext:
        """How the server's certificate is verified; the relay on the same port has the same."""
        return self._rest.tls

    def __enter__(self) -> "Api":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._rest.close()

    def list_locations(self) -> list[Json]:
        return list(self._pages(f"{self._subscription}/locations", SUBSCRIPTIONS_VERSION))

    # Resource groups

    def list_resource_groups(self) -> list[Json]:
        return list(self._pages(f"{self._subscription}/resourcegroups", GROUPS_VERSION))

    def get_resource_group(self, name: str) -> Json:
        return self._get(self._group(name), GROUPS_VERSION)

    def put_resource_group(self, name: str, *, location: str, tags: Mapping[str, str]) -> Json:
        return self._put(
            self._group(name), GROUPS_VERSION, {"location": location, "tags": dict(tags)}
        )

    def delete_resource_group(self, name: str, *, wait: bool = True) -> None:
        self._delete(self._group(name), GROUPS_VERSION, wait=wait)

    # Connected clusters

    def cluster_id(self, resource_group: str, name: str) -> str:
        return cluster_id(self.account.subscription_id, resource_group, name)

    def list_clusters(self, resource_group: str | None = None) -> list[Json]:
        scope = self._group(resource_group) if resource_group else self._subscription
        return list(self._pages(f"{scope}/providers/{CLUSTER_TYPE}", CLUSTERS_VERSION))

    def get_cluster(self, resource_group: str, name: str) -> Json:
        return self._get(self._cluster(resource_group, name), CLUSTERS_VERSION)

    def put_cluster(self, resource_group: str, name: str, body: Json) -> Json:
        """Creates or replaces it; the answer is the resource, once the server is done with it."""
        return self._put(self._cluster(resource_group, name), CLUSTERS_VERSION, body)

    def patch_cluster(self, resource_group: str, name: str, body: Json) -> Json:
        """Changes what `body` names, and leaves the rest as it is."""
        return self._rest.json(
            "PATCH",
            self._cluster(resource_group, name),
            query={"api-version": CLUSTERS_VERSION},
            body=body,
        )

    def delete_cluster(self, resource_group: str, name: str, *, wait: bool = True) -> None:
        self._delete(self._cluster(resource_group, name), CLUSTERS_VERSION, wait=wait)

    def list_cluster_user_credential(
        self, resource_group: str, name: str, *, authentication_method: str = "Token"
    ) -> ClusterUserCredential:
        """`authentication_method`: `Token` for a service account's, `AAD` for a signed-in user."""
        try:
            answer = self._rest.json(
                "POST",
                f"{self._cluster(resource_group, name)}/listClusterUserCredential",
                query={"api-version": CLUSTERS_VERSION},
                body={"authenticationMethod": authentication_method, "clientProxy": True},
                repeatable=True,
            )
        except Forbidden:
            raise self._unreached(self.cluster_id(resource_group, name)) from None
        return _credential(answer)

    def _unreached(self, cluster: str) -> Forbidden:
        who = self.account.name
        return Forbidden(
            f"{who} may not reach this cluster. Ask somebody who assigns roles to run: towrope role"
            f' assignment create --role "{CLUSTER_USER_ROLE}" --assignee {who} --scope {cluster}',
            hop=Hop.SERVER,
        )

    # The relay's hybrid connections

    def list_hybrid_connections(self, resource_group: str, namespace: str) -> list[Json]:
        return list(
            self._pages(
                f"{self._relay(resource_group, namespace)}/hybridConnections", RELAY_VERSION
            )
        )

    def get_hybrid_connection(self, resource_group: str, namespace: str, name: str) -> Json:
        return self._get(self._hybrid(resource_group, namespace, name), RELAY_VERSION)

    def put_hybrid_connection(
        self, resource_group: str, namespace: str, name: str, properties: Json
    ) -> Json:
        path = self._hybrid(resource_group, namespace, name)
        return self._put(path, RELAY_VERSION, {"properties": properties})

    def delete_hybrid_connection(self, resource_group: str, namespace: str, name: str) -> None:
        self._delete(self._hybrid(resource_group, namespace, name), RELAY_VERSION)

    def list_rules(self, resource_group: str, namespace: str, hybrid: str) -> list[Json]:
        path = f"{self._hybrid(resource_group, namespace, hybrid)}/authorizationRules"
        return list(self._pages(path, RELAY_VERSION))

    def get_rule(self, resource_group: str, namespace: str, hybrid: str, name: str) -> Json:
        return self._get(self._rule(resource_group, namespace, hybrid, name), RELAY_VERSION)

    def put_rule(
        self, resource_group: str, namespace: str, hybrid: str, name: str, rights: Sequence[str]
    ) -> Json:
        path = self._rule(resource_group, namespace, hybrid, name)
        return self._put(path, RELAY_VERSION, {"properties": {"rights": list(rights)}})

    def delete_rule(self, resource_group: str, namespace: str, hybrid: str, name: str) -> None:
        self._delete(self._rule(resource_group, namespace, hybrid, name), RELAY_VERSION)

    def list_keys(self, resource_group: str, namespace: str, hybrid: str, name: str) -> Json:
        return self._rest.json(
            "POST",
            f"{self._rule(resource_group, namespace, hybrid, name)}/listKeys",
            query={"api-version": RELAY_VERSION},
            repeatable=True,
        )

    # Paths

    @property
    def _subscription(self) -> str:
        return f"/subscriptions/{_segment(self.account.subscription_id)}"

    def _group(self, name: str) -> str:
        return f"{self._subscription}/resourceGroups/{_segment(name)}"

    def _cluster(self, resource_group: str, name: str) -> str:
        return f"{self._group(resource_group)}/providers/{CLUSTER_TYPE}/{_segment(name)}"

    def _relay(self, resource_group: str, namespace: str) -> str:
        group = self._group(resource_group)
        return f"{group}/providers/Microsoft.Relay/namespaces/{_segment(namespace)}"

    def _hybrid(self, resource_group: str, namespace: str, name: str) -> str:
        return f"{self._relay(resource_group, namespace)}/hybridConnections/{_segment(name)}"

    def _rule(self, resource_group: str, namespace: str, hybrid: str, name: str) -> str:
        path = self._hybrid(resource_group, namespace, hybrid)
        return f"{path}/authorizationRules/{_segment(name)}"

    # Requests

    def _get(self, path: str, version: str) -> Json:
        return self._rest.json("GET", path, query={"api-version": version})

    def _put(self, path: str, version: str, body: Json) -> Json:
        resource = self._rest.json("PUT", path, query={"api-version": version}, body=body)
        deadline = time.monotonic() + OPERATION_WITHIN
        while _state(resource) not in ENDED:
            _sleep_until(deadline, path)
            resource = self._get(path, version)
        if _state(resource) != "Succeeded":
            raise Refused(
                f"The server could not make {path.rsplit('/', 1)[1]}: its state is"
                f" {_state(resource)}. Look at the server's log, delete it and try again.",
                hop=Hop.SERVER,
            )
        return resource

    def _delete(self, path: str, version: str, *, wait: bool = True) -> None:
        self._rest.json("DELETE", path, query={"api-version": version})
        deadline = time.monotonic() + OPERATION_WITHIN
        while wait and self._is_there(path, version):
            _sleep_until(deadline, path)

    def _is_there(self, path: str, version: str) -> bool:
        try:
            self._get(path, version)
        except NotFound:
            return False
        return True

    def _pages(self, path: str, version: str) -> Iterator[Json]:
        return pages(self._rest, path, {"api-version": version}, link=ARM_LINK)


def _segment(name: str) -> str:
    """A name as one segment of a path, whatever is in it."""
    if name in ("", ".", ".."):
        raise Refused(f"'{name}' is no name of a resource. Give another.", hop=Hop.CLIENT)
    return quote(name, safe="")


def _state(resource: Json) -> str:
    """ARM's provisioningState; a resource without one is ready."""
    return (resource.get("properties") or {}).get("provisioningState") or "Succeeded"


def _sleep_until(deadline: float, path: str) -> None:
    if time.monotonic() >= deadline:
        raise Unreachable(
            f"The server is not done with {path.rsplit('/', 1)[1]} after {OPERATION_WITHIN:.0f} s."
            " Look at it again later.",
            hop=Hop.SERVER,
        )
    time.sleep(POLL_EVERY)


class _HybridConnectionConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    relay: str
    hybrid_connection_name: str
    token: str
    expiration_time: int


class _NamedKubeconfig(msgspec.Struct, frozen=True, kw_only=True):
    value: str


class _CredentialResults(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    hybrid_connection_config: _HybridConnectionConfig
    kubeconfigs: list[_NamedKubeconfig]


def _credential(answer: Json) -> ClusterUserCredential:
    try:
        results = msgspec.convert(answer, _CredentialResults)
        kubeconfig = base64.b64decode(results.kubeconfigs[0].value, validate=True)
    except (msgspec.ValidationError, IndexError, binascii.Error):
        raise Refused(
            "The server's answer holds no usable credential. Do the versions of both differ?",
            hop=Hop.SERVER,
        ) from None
    config = results.hybrid_connection_config
    return ClusterUserCredential(
        kubeconfig=kubeconfig,
        relay=config.relay,
        hybrid_connection_name=config.hybrid_connection_name,
        token=config.token,
        expiration_time=config.expiration_time,
    )
