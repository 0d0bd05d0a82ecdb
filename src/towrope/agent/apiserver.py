"""Which apiserver the agent stands before: from its pod's service account, or a kubeconfig.

A caller's request that brings its own credential gets the address, and never the credential that is
beside it: that one is for the agent's own calls, and for callers that the agent itself verified.
"""

import base64
import os
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from towrope.agent import own_credential
from towrope.agent.own_credential import OwnCredential
from towrope.agent.upstream import Address
from towrope.wire.errors import Hop, Refused, foreign

# Where a node cannot mount the service account at its usual place, it says where it is.
SERVICE_ACCOUNT_VARIABLE = "POD_SERVICEACCOUNT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Apiserver:
    own_access: SingleConfig
    """With the agent's own credential; for the agent's own calls."""
    address: Address
    """For requests with the caller's own credential: its TLS context holds no certificate."""
    own_address: Address
    """For requests with the agent's credential: its TLS context holds its certificate, if any."""
    own_credential: OwnCredential


def find(*, kubeconfig: Path | None, context: str | None) -> Apiserver:
    """The cluster of a kubeconfig's context, or the one that this pod is in.

    Raises `Refused` with what is missing.
    """
    try:
        if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            folder = os.environ.get(SERVICE_ACCOUNT_VARIABLE, SERVICE_ACCOUNT)
            return _made(KubeConfig.from_service_account(folder).get(), tls_server_name="")
        path = kubeconfig or _usual_kubeconfig()
        return _from_file(path, context)
    except (ConfigError, OSError, KeyError, ValueError, TypeError, YAMLError) as error:
        raise Refused(
            f"The agent finds no cluster: {foreign(str(error))}. Run it in a pod, or give"
            " --kubeconfig and --context.",
            hop=Hop.AGENT,
        ) from None


def _usual_kubeconfig() -> Path:
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(named) if named else Path.home() / ".kube" / "config"


def _from_file(path: Path, context: str | None) -> Apiserver:
    content = YAML(typ="safe").load(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is not a kubeconfig")
    config = KubeConfig.from_dict(content, fname=path).get(context)
    assert config is not None
    name = config.context.cluster
    cluster: dict[str, Any] = next(
        item["cluster"] for item in content["clusters"] if item["name"] == name
    )
    return _made(config, tls_server_name=cluster.get("tls-server-name", ""))


def _made(config: SingleConfig | None, *, tls_server_name: str) -> Apiserver:
    assert config is not None
    server = urlsplit(config.cluster.server)
    if server.scheme != "https" or server.hostname is None:
        raise ConfigError(f"the apiserver's address '{config.cluster.server}' is not https://…")
    address = Address(
        host=server.hostname,
        port=server.port or 443,
        path=server.path.rstrip("/").encode(),
        tls=_trust(config),
        tls_server_name=tls_server_name or server.hostname,
    )
    own_tls = _trust(config)
    own_credential.load_certificate(own_tls, config)
    return Apiserver(
        # The library insists on a user, even one without a credential.
        own_access=config._replace(user=config.user or User()),
        address=address,
        own_address=replace(address, tls=own_tls),
        own_credential=own_credential.of(config),
    )


def _trust(config: SingleConfig) -> ssl.SSLContext:
    """With no client certificate in it, whatever the kubeconfig holds."""
    cluster = config.cluster
    if cluster.certificate_auth_data:
        authority = base64.b64decode(cluster.certificate_auth_data).decode()
        context = ssl.create_default_context(cadata=authority)
    elif cluster.certificate_auth:
        context = ssl.create_default_context(cafile=config.abs_file(cluster.certificate_auth))
    else:
        context = ssl.create_default_context()
    if cluster.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
