"""`make quickstart`, from a fresh clone in an empty folder, with an empty HOME."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import TOWROPE, free_port
from tests.fixtures.workshop import pod

ROOT = Path(__file__).parents[2]
WITHIN = 900


@pytest.mark.timeout(WITHIN)
def test_a_fresh_clone_ends_with_the_table_of_pods(tmp_path: Path, cluster: Cluster) -> None:
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True, timeout=60)
    environment = {
        # What was downloaded and built once is not part of what is tested.
        "TOWROPE_CACHE": str(cluster.bin.parents[1]),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
        **{k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_", "SSL_"))},
        "PATH": os.environ["PATH"],
        "HOME": str(home),
    }
    done = subprocess.run(
        ["make", "quickstart", f"ARGS=--once --port {free_port()}", f"PYTHON={sys.executable}"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout.partition("get pods -A")[2]
    assert "NAMESPACE" in table
    assert "towrope-agent" in table
    assert not (home / ".kube" / "config").exists(), "the user's own kubeconfig is not touched"
    assert not (home / ".towrope").exists()


def quickstart(cluster: Cluster, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*TOWROPE, "quickstart", "--port", str(free_port()), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=cluster.environment,
    )


def test_it_stays_up_until_ctrl_c_and_removes_what_it_made(cluster: Cluster) -> None:
    running = quickstart(cluster)
    assert running.stdout is not None
    folder = None
    for line in running.stdout:
        if "export KUBECONFIG=" in line:
            folder = Path(line.strip().partition("=")[2]).parent
        if "Press Ctrl+C" in line:
            break
    assert folder is not None, running.communicate()[1]
    assert (folder / "kubeconfig").exists()
    kubectl = [str(cluster.bin / "kubectl"), "--kubeconfig", str(folder / "kubeconfig")]
    subprocess.run([*kubectl, "get", "nodes"], check=True, capture_output=True, timeout=30)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert not folder.exists()


def test_on_a_cluster_of_ones_own_it_leaves_nothing_behind(second_cluster: Cluster) -> None:
    context = second_cluster.kubectl("config", "current-context").stdout.strip()
    second_cluster.kubectl("apply", "-f", "-", input=pod("there-before", "sleep 600"))
    running = quickstart(second_cluster, "--once", "--kube-context", context)
    out, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    assert "there-before" in out.partition("get pods -A")[2]
    second_cluster.kubectl("delete", "pod/there-before", "--wait=false")
    left = second_cluster.kubectl("get", "sa,clusterrolebindings,clusterroles", "-A", "-o", "name")
    assert "quickstart-user" not in left.stdout
    assert "towrope-agent" not in left.stdout


def test_it_says_what_to_do_without_a_test_cluster(cluster: Cluster) -> None:
    environment = {**cluster.environment, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [*TOWROPE, "quickstart", "--once"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "--kube-context" in done.stderr
    assert "Traceback" not in done.stderr
