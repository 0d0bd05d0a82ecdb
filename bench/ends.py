"""The two ways to the same apiserver that are compared: directly, and through the tunnel."""

import base64
import http.client
import json
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import Proxy


@dataclass(frozen=True, kw_only=True)
class End:
    """Where and how to reach the apiserver."""

    name: str
    port: int
    server_name: str
    tls: ssl.SSLContext
    token: str

    def connect(self) -> http.client.HTTPSConnection:
        """A new connection, TLS included."""
        connection = _Named("127.0.0.1", self.port, context=self.tls, timeout=60)
        connection.server_name = self.server_name
        connection.connect()
        return connection

    def get(self, connection: http.client.HTTPSConnection, path: str) -> http.client.HTTPResponse:
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        return connection.getresponse()


class _Named(http.client.HTTPSConnection):
    """Asks for another name than the address that it dials, as `tls-server-name` does."""

    server_name = ""

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]  # its own attribute
        self.sock = context.wrap_socket(self.sock, server_hostname=self.server_name)


def direct(cluster: Cluster, token: str) -> End:
    facts = _cluster_of(cluster, cluster.kubeconfig)
    return End(
        name="direct",
        port=int(facts["server"].rpartition(":")[2]),
        server_name="127.0.0.1",
        tls=_trusting(facts),
        token=token,
    )


def through(proxy: Proxy, token: str) -> End:
    facts = _cluster_of(proxy.cluster, proxy.kubeconfig)
    return End(
        name="tunnel",
        port=proxy.port,
        server_name=facts["tls-server-name"],
        tls=_trusting(facts),
        token=token,
    )


def _cluster_of(cluster: Cluster, kubeconfig: Path) -> dict[str, str]:
    kubectl = str(cluster.bin / "kubectl")
    command = [kubectl, "--kubeconfig", str(kubeconfig), "config", "view", "--raw"]
    shown = subprocess.run(
        [*command, "--minify", "-o", "json"], capture_output=True, check=True, timeout=30
    )
    facts: dict[str, str] = json.loads(shown.stdout)["clusters"][0]["cluster"]
    return facts


def _trusting(facts: dict[str, str]) -> ssl.SSLContext:
    authority = base64.b64decode(facts["certificate-authority-data"]).decode()
    return ssl.create_default_context(cadata=authority)
