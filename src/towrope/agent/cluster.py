"""The cluster that the agent stands in: its configuration and Secrets there, and facts about it.

Reached with the agent's own credential, which no caller's request ever gets.
"""

import base64
import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import httpx2
from lightkube import ApiError, AsyncClient
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Node, Secret
from lightkube.utils.quantity import parse_quantity

from towrope import __version__
from towrope.agent import keys
from towrope.agent.keys import Identity
from towrope.wire import names
from towrope.wire.agent_api import Heartbeat
from towrope.wire.errors import Forbidden, Hop, NotFound, Refused, Unreachable, foreign


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `connect` left in the cluster for the agent."""

    server: str
    server_ca: str
    """PEM, or empty where the server's certificate is of an authority that everybody trusts."""
    resource_id: str


class ClusterApi:
    """The few calls that the agent makes. They raise `Unreachable`, `Forbidden`, or `Refused`."""

    def __init__(
        self,
        config: SingleConfig,
        *,
        namespace: str,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._namespace = namespace
        with mapped("read the kubeconfig"):
            self._client = AsyncClient(
                config, namespace=namespace, trust_env=False, transport=transport
            )

    async def close(self) -> None:
        await self._client.close()

    async def settings(self) -> Settings:
        """Raises `NotFound` where nobody connected this cluster."""
        with mapped("read the agent's configuration"):
            data = (await self._client.get(ConfigMap, names.AGENT_NAME)).data or {}
        try:
            return Settings(
                server=data[names.CONFIG_SERVER].rstrip("/"),
                server_ca=data.get(names.CONFIG_SERVER_CA, ""),
                resource_id=data[names.CONFIG_RESOURCE_ID],
            )
        except KeyError as missing:
            raise Refused(
                f"The ConfigMap '{names.AGENT_NAME}' in namespace '{self._namespace}' has no"
                f" {missing}. Connect the cluster again: 'towrope connectedk8s connect'.",
                hop=Hop.AGENT,
            ) from None

    async def onboarding_key(self) -> bytes | None:
        """The one-time key, while it was not used."""
        data = await self._secret(names.ONBOARDING_SECRET)
        return None if data is None else data.get("privateKey")

    async def delete_onboarding_key(self) -> None:
        with mapped("delete the onboarding key"):
            try:
                await self._client.delete(Secret, names.ONBOARDING_SECRET)
            except ApiError as error:
                if error.status.code != 404:
                    raise

    async def identity(self, resource_id: str, *, now: datetime.datetime) -> Identity:
        """The keys in the cluster; made where there are none, by one replica for all."""
        data = await self._secret(names.IDENTITY_SECRET)
        if data is None:
            made = keys.generate(resource_id, now=now)
            if await self._create_secret(names.IDENTITY_SECRET, made.as_secret()):
                return made
            data = await self._secret(names.IDENTITY_SECRET)
        return keys.from_secret(data or {})

    async def _secret(self, name: str) -> dict[str, bytes] | None:
        with mapped(f"read the Secret '{name}'"):
            try:
                data = (await self._client.get(Secret, name)).data or {}
            except ApiError as error:
                if error.status.code == 404:
                    return None
                raise
        return {key: base64.b64decode(value) for key, value in data.items()}

    async def _create_secret(self, name: str, data: dict[str, bytes]) -> bool:
        """False where there is one already."""
        secret = Secret(
            metadata=ObjectMeta(name=name, namespace=self._namespace),
            type="Opaque",
            data={key: base64.b64encode(value).decode() for key, value in data.items()},
        )
        with mapped(f"make the Secret '{name}'"):
            try:
                await self._client.create(secret)
            except ApiError as error:
                if error.status.code != 409:
                    raise
                return False
        return True

    async def facts(self, identity: Identity) -> Heartbeat:
        """What the server wants to know; without what cannot be read just now."""
        ca = identity.ca_certificate
        try:
            with mapped("list the nodes"):
                nodes = [node async for node in self._client.list(Node)]
        except (Refused, Unreachable):
            return Heartbeat(agent_version=__version__, ca_certificate=ca)
        cores = sum((_cores(node) for node in nodes), Decimal(0))
        return Heartbeat(
            agent_version=__version__,
            kubernetes_version=_version(nodes[0]) if nodes else "",
            total_node_count=len(nodes),
            total_core_count=int(cores),
            distribution=distribution(nodes),
            ca_certificate=ca,
        )


def _cores(node: Node) -> Decimal:
    capacity = (node.status and node.status.capacity) or {}
    return parse_quantity(capacity.get("cpu")) or Decimal(0)


def _version(node: Node) -> str:
    info = node.status and node.status.nodeInfo
    return info.kubeletVersion.removeprefix("v") if info else ""


def distribution(nodes: list[Node]) -> str:
    """A guess by what distributions are known to leave on their nodes; Arc's names."""
    for node in nodes:
        labels = (node.metadata and node.metadata.labels) or {}
        provider = (node.spec and node.spec.providerID) or ""
        version = _version(node)
        if "+k3s" in version or provider.startswith("k3s:"):
            return "k3s"
        if "+rke2" in version:
            return "rke2"
        if provider.startswith("kind:"):
            return "kind"
        if "minikube.k8s.io/name" in labels:
            return "minikube"
        if any(label.startswith("node.openshift.io/") for label in labels):
            return "openshift"
        if "-eks-" in version:
            return "eks"
        if "-gke." in version:
            return "gke"
        if "kubernetes.azure.com/cluster" in labels:
            return "aks"
    return "generic"


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """The library's errors, as sentences that say what the agent wanted to do."""
    try:
        yield
    except ApiError as error:
        code, reason = error.status.code, foreign(error.status.message or "")
        kind = {403: Forbidden, 404: NotFound}.get(code or 0, Refused)
        raise kind(f"The agent cannot {what}: {reason}.", hop=Hop.APISERVER) from None
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        kind = {403: Forbidden, 404: NotFound}.get(status, Refused)
        raise kind(
            f"The agent cannot {what}: the apiserver answered {status}.", hop=Hop.APISERVER
        ) from None
    except httpx2.HTTPError as error:
        why = foreign(str(error)) or type(error).__name__
        raise Unreachable(
            f"The agent cannot {what}: the apiserver cannot be reached ({why}).", hop=Hop.APISERVER
        ) from None
    except (ConfigError, OSError, ValueError) as error:
        why = foreign(str(error)) or type(error).__name__
        raise Refused(f"The agent cannot {what}: {why}.", hop=Hop.AGENT) from None
