"""Microsoft's SDK of another language against a real server: npm's @azure/arm-hybridkubernetes."""

import json
import os
import subprocess
from pathlib import Path

from tests.control.conftest import new_onboarding_key
from tests.fixtures.server import Server

HERE = Path(__file__).parent


def test_the_life_of_a_connected_cluster(clients: Path, server: Server) -> None:
    path = f"/subscriptions/{server.subscription}/resourceGroups/npm"
    server.api.put(path, json={"location": "local"}).raise_for_status()
    script = str(HERE / "arm_hybridkubernetes.mjs")
    words = [script, str(clients / "node_modules"), server.url, server.subscription]
    done = subprocess.run(
        [str(clients / "bin" / "node"), *words],
        env={
            "PATH": os.environ["PATH"],
            "NODE_EXTRA_CA_CERTS": str(server.ca_file),
            "TOKEN": server.token(),
            "ONBOARDING_KEY": new_onboarding_key().public,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert "Microsoft.Kubernetes/connectedClusters/read" in seen.pop("operations")
    assert seen == {
        "scopes": [f"{server.url}/.default"],
        "made": ["shop-17", "Succeeded"],
        "polled": "polled",
        "updated": {"a": "b"},
        "shown": ["k3s", "Connecting"],
        "credential": ["RestError", 404, "HybridConnectionNotFound"],
        "inGroup": ["polled", "shop-17"],
        "inSubscription": ["polled", "shop-17"],
        "deleted": ["RestError", 404, "ResourceNotFound"],
    }
    logged = server.log.read_text()
    assert "/operationStatuses/" in logged
    assert "/operationResults/" in logged
