"""`listClusterUserCredential`: a kubeconfig without any credential, and a sender's token.

Who may have it may send bytes to the cluster's agent. What they may do there, and as whom, is
decided by the agent, and by what they present to it inside the TLS session that ends there.
"""

import base64
import io
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from ruamel.yaml import YAML
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.arm_error import ArmError
from towrope.control.authority import LIST_CREDENTIAL, allowed
from towrope.control.connected_clusters import CLUSTER, find
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.routing import arm_route
from towrope.control.services import Services
from towrope.control.settings import Settings
from towrope.control.store.clusters import Cluster
from towrope.wire import names, sas

PROXY_ADDRESS = "https://127.0.0.1:47011"
TOKEN_LIFETIME = 3 * 3600
EXPIRATION_MARGIN = 600
"""Seconds by which `expirationTime` precedes the token's end, as with Arc."""


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    authentication_method: Literal["Token", "AAD"]
    client_proxy: bool = True


class _HybridConnectionConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    expiration_time: int
    hybrid_connection_name: str
    relay: str
    token: str
    relay_tid: str
    relay_type: str = "towrope"


class _Kubeconfig(msgspec.Struct, frozen=True, kw_only=True):
    value: str
    name: str = "KubeConfig"


class _Credentials(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    hybrid_connection_config: _HybridConnectionConfig
    kubeconfigs: list[_Kubeconfig]


class Credentials:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        path = f"{CLUSTER}/listClusterUserCredential"
        return [arm_route(self._services.settings, path, post=allowed(LIST_CREDENTIAL, self._list))]

    @operation(_Body, {HTTPStatus.OK: _Credentials})
    async def _list(self, request: Request) -> Response:
        body = await decode(request, _Body)
        async with self._services.database.reading() as connection:
            cluster = await find(connection, request)
        if not body.client_proxy:
            raise _no_hosted_proxy()
        if cluster.ca_certificate is None:
            raise _never_enrolled()
        settings = self._services.settings
        kubeconfig = _kubeconfig(settings, cluster, cluster.ca_certificate)
        return answer(
            _Credentials(
                hybrid_connection_config=self._connection(cluster),
                kubeconfigs=[_Kubeconfig(value=base64.b64encode(kubeconfig).decode())],
            )
        )

    def _connection(self, cluster: Cluster) -> _HybridConnectionConfig:
        settings = self._services.settings
        expires_at = int(self._services.clock()) + TOKEN_LIFETIME
        return _HybridConnectionConfig(
            expiration_time=expires_at - EXPIRATION_MARGIN,
            hybrid_connection_name=cluster.hybrid_connection,
            relay=settings.url.netloc,
            relay_tid=settings.tenant,
            token=cluster_token(
                settings,
                cluster.hybrid_connection,
                rule=names.SEND_RULE,
                right=sas.Right.SEND,
                expires_at=expires_at,
            ),
        )


def cluster_token(
    settings: Settings, path: str, *, rule: str, right: sas.Right, expires_at: int
) -> str:
    """A token of one of the two rules that a cluster's hybrid connection has."""
    key = sas.derive_key(settings.master, path=path, rule=rule, rights=frozenset({right}))
    audience = sas.audience(settings.url.netloc, path)
    return sas.mint(audience=audience, key=key, rule=rule, expires_at=expires_at)


def _kubeconfig(settings: Settings, cluster: Cluster, ca_certificate: str) -> bytes:
    resource_id = names.cluster_id(settings.subscription, cluster.group, cluster.name)
    user = f"clusterUser_{cluster.group}_{cluster.name}"
    address = {
        "server": PROXY_ADDRESS,
        "tls-server-name": names.tls_server_name(resource_id, domain=settings.url.cluster_domain),
        "certificate-authority-data": base64.b64encode(ca_certificate.encode()).decode(),
    }
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster.name, "cluster": address}],
        "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": user}}],
        "current-context": cluster.name,
        "users": [{"name": user, "user": {}}],
        "preferences": {},
    }
    text = io.BytesIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 1 << 20
    yaml.dump(content, text)
    return text.getvalue()


def _never_enrolled() -> ArmError:
    return ArmError(
        HTTPStatus.NOT_FOUND,
        "HybridConnectionNotFound",
        "Hybrid connection for the target resource does not exist. Agent might not have started"
        " successfully.",
    )


def _no_hosted_proxy() -> ArmError:
    return ArmError(
        HTTPStatus.BAD_REQUEST,
        "HostedProxyNotEnabled",
        "The hosted proxy is not enabled for this cluster; ask with 'clientProxy: true' and use"
        " a local proxy.",
    )
