"""A Kubernetes client of another language through the tunnel: npm's @kubernetes/client-node."""

import json
import subprocess
from pathlib import Path

from tests.fixtures.installation import Proxy
from tests.fixtures.workshop import Workshop

HERE = Path(__file__).parent


def test_list_watch_create_delete_and_exec(clients: Path, proxy: Proxy, workshop: Workshop) -> None:
    script = str(HERE / "kubernetes_client.mjs")
    words = [script, str(clients / "node_modules"), workshop.namespace, "ticker"]
    done = subprocess.run(
        [str(clients / "bin" / "node"), *words],
        env={**proxy.environment, "KUBECONFIG": str(proxy.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert {"ticker", "web"} <= set(seen["pods"])
    assert seen["watched"] == "ADDED"
    assert seen["output"] == "from the pod\n"
    assert seen["exec"]["status"] == "Failure"
    assert seen["exec"]["details"]["causes"][0]["message"] == "3"
