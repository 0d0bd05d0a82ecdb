"""The test cluster is a real Kubernetes: what the other tests build on, tried directly."""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.fixtures.cluster import Cluster, running_cluster

both_protocols = pytest.mark.parametrize("websockets", ["true", "false"])


def pod(name: str, *command: str, **spec: object) -> str:
    """A manifest of a pod with one container, for `kubectl apply -f -`."""
    container = {"name": name, "image": "none", **({"command": command} if command else {}), **spec}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
        }
    )


@pytest.fixture
def shell(cluster: Cluster, namespace: str) -> tuple[str, ...]:
    """A pod that does nothing; the words that lead kubectl to it."""
    where = ("-n", namespace)
    cluster.kubectl(*where, "apply", "-f", "-", input=pod("shell", "sleep", "1000"))
    cluster.kubectl(*where, "wait", "--for=condition=Ready", "pod/shell", "--timeout=20s")
    return where


def until(what: Callable[[], bool], *, described: str, within: float = 15) -> None:
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, f"not within {within:g} s: {described}"
        time.sleep(0.05)


def test_a_deployment_becomes_available_and_logs(cluster: Cluster, namespace: str) -> None:
    where = ("-n", namespace)
    script = "echo here I am; exec sleep 1000"
    create = ["create", "deployment", "web", "--image=none", "--replicas=3"]
    cluster.kubectl(*where, *create, "--", "sh", "-c", script)
    cluster.kubectl(*where, "wait", "--for=condition=Available", "deploy/web", "--timeout=20s")
    pods = json.loads(cluster.kubectl(*where, "get", "pods", "-o", "json").stdout)["items"]
    assert [each["status"]["phase"] for each in pods] == ["Running"] * 3
    for each in pods:
        assert cluster.kubectl(*where, "logs", each["metadata"]["name"]).stdout == "here I am\n"


@both_protocols
def test_exec_carries_binary_input_and_the_exit_code(
    cluster: Cluster, shell: tuple[str, ...], websockets: str
) -> None:
    environment = {**cluster.environment, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets}
    command = [str(cluster.bin / "kubectl"), *shell, "exec", "-i", "shell", "--"]
    data = os.urandom(2_000_000)
    done = subprocess.run(
        [*command, "sh", "-c", "sha256sum; echo late >&2; exit 7"],
        input=data,
        capture_output=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert b"late" in done.stderr
    assert done.returncode == 7


@both_protocols
def test_exec_on_a_terminal_knows_its_size(
    cluster: Cluster, shell: tuple[str, ...], websockets: str
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    # The size comes in a message of its own, soon after the start.
    script = "until stty size | grep -q 33; do sleep 0.02; done; stty size"
    process = subprocess.Popen(
        [cluster.bin / "kubectl", *shell, "exec", "-it", "shell", "--", "sh", "-c", script],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**cluster.environment, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
        while chunk := os.read(ours, 4096):
            shown += chunk
    os.close(ours)
    assert process.wait(20) == 0
    assert b"33 111" in shown


@both_protocols
def test_port_forward_reaches_a_server_in_the_pod(
    cluster: Cluster, namespace: str, websockets: str
) -> None:
    where = ("-n", namespace)
    # Pods share the machine's network: the server takes a free port and says which.
    script = "echo hello >index.html; exec python3 -u -m http.server 0 --bind 127.0.0.1"
    cluster.kubectl(*where, "apply", "-f", "-", input=pod("web", "sh", "-c", script))
    cluster.kubectl(*where, "wait", "--for=condition=Ready", "pod/web", "--timeout=20s")
    port = ""

    def serves() -> bool:
        nonlocal port
        found = re.search(r"port (\d+)", cluster.kubectl(*where, "logs", "web").stdout)
        port = found[1] if found else ""
        return bool(port)

    until(serves, described="the server's port in the log")
    with subprocess.Popen(
        [cluster.bin / "kubectl", *where, "port-forward", "pod/web", f":{port}"],
        stdout=subprocess.PIPE,
        text=True,
        env={**cluster.environment, "KUBECTL_PORT_FORWARD_WEBSOCKETS": websockets},
    ) as forward:
        assert forward.stdout is not None
        local = forward.stdout.readline().split()[2]
        with urllib.request.urlopen(f"http://{local}/", timeout=20) as answer:
            assert answer.read() == b"hello\n"
        forward.terminate()


def test_cp_goes_both_ways(cluster: Cluster, shell: tuple[str, ...], tmp_path: Path) -> None:
    data = os.urandom(1_000_000)
    (tmp_path / "there").write_bytes(data)
    cluster.kubectl(*shell, "cp", str(tmp_path / "there"), "shell:blob")
    cluster.kubectl(*shell, "cp", "shell:blob", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data


def test_a_pod_has_its_service_account(cluster: Cluster, shell: tuple[str, ...]) -> None:
    inside = [*shell, "exec", "shell", "--"]
    mounted = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert cluster.kubectl(*inside, "cat", f"{mounted}/namespace").stdout == shell[1]
    assert "BEGIN CERTIFICATE" in cluster.kubectl(*inside, "cat", f"{mounted}/ca.crt").stdout
    who = cluster.kubectl(*inside, "kubectl", "auth", "whoami", "-o", "json").stdout
    user = json.loads(who)["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{shell[1]}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["shell"]


def test_a_pod_finds_the_programs_of_the_working_tree(
    cluster: Cluster, shell: tuple[str, ...]
) -> None:
    script = "command -v pytest; command -v kubectl"
    found = cluster.kubectl(*shell, "exec", "shell", "--", "sh", "-c", script).stdout.split()
    assert [Path(each).parent for each in found] == [Path(sys.executable).parent, cluster.bin]


def test_a_token_secret_is_filled(cluster: Cluster, namespace: str) -> None:
    where = ("-n", namespace)
    cluster.kubectl(*where, "create", "serviceaccount", "robot")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "robot",
            "annotations": {"kubernetes.io/service-account.name": "robot"},
        },
    }
    cluster.kubectl(*where, "apply", "-f", "-", input=json.dumps(secret))
    filled = ["wait", "--for=jsonpath={.data.token}", "secret/robot", "--timeout=20s"]
    cluster.kubectl(*where, *filled)
    read = ["get", "secret", "robot", "-o", "jsonpath={.data.token}"]
    token = base64.b64decode(cluster.kubectl(*where, *read).stdout).decode()
    client = ["--kubeconfig", os.devnull, "--server", cluster.server, "--token", token]
    who = cluster.kubectl(
        *client, "--insecure-skip-tls-verify", "auth", "whoami", "-o", "json"
    ).stdout
    name = json.loads(who)["status"]["userInfo"]["username"]
    assert name == f"system:serviceaccount:{namespace}:robot"


def test_impersonation_is_in_the_audit_log(cluster: Cluster, namespace: str) -> None:
    seen = cluster.kubectl("-n", namespace, "get", "pods", "--as=jane", check=False)
    assert "jane" in seen.stderr
    assert "forbidden" in seen.stderr

    def logged() -> bool:
        events = map(json.loads, cluster.audit_log.read_text().splitlines())
        return any(
            event.get("impersonatedUser", {}).get("username") == "jane"
            and event.get("objectRef", {}).get("namespace") == namespace
            for event in events
        )

    until(logged, described="the request in the audit log")


def test_helm_installs_a_chart(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    where = ("-n", namespace)
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: tiny, version: 1.2.3}")
    (tmp_path / "values.yaml").write_text("{seconds: 1000}")
    template = pod("{{ .Release.Name }}", "sleep", "{{ .Values.seconds }}")
    (tmp_path / "templates" / "pod.yaml").write_text(template)
    cluster.helm(*where, "install", "one", str(tmp_path), "--wait", "--timeout=20s")
    listed = json.loads(cluster.helm(*where, "list", "-o", "json").stdout)
    assert [(each["name"], each["status"]) for each in listed] == [("one", "deployed")]
    cluster.kubectl(*where, "get", "pod", "one")
    cluster.helm(*where, "uninstall", "one")


def test_a_pod_that_is_not_alive_is_restarted(cluster: Cluster, namespace: str) -> None:
    where = ("-n", namespace)
    probe = {"exec": {"command": ["test", "!", "-e", "sick"]}, "periodSeconds": 1}
    # Sick in its first life only.
    script = "[ -e seen ] && rm -f sick || touch seen sick; exec sleep 1000"
    manifest = pod("patient", "sh", "-c", script, livenessProbe={**probe, "failureThreshold": 1})
    cluster.kubectl(*where, "apply", "-f", "-", input=manifest)
    restarts = "{.status.containerStatuses[0].restartCount}"
    restarted = f"--for=jsonpath={restarts}=1"
    cluster.kubectl(*where, "wait", restarted, "pod/patient", "--timeout=20s")
    cluster.kubectl(*where, "wait", "--for=condition=Ready", "pod/patient", "--timeout=20s")
    events = cluster.kubectl(*where, "get", "events", "-o", "jsonpath={.items[*].reason}").stdout
    assert {"Unhealthy", "Killing", "Started"} <= set(events.split())


# Clusters of their own: flags, outages and ends.


@pytest.fixture(scope="module")
def own_cluster(
    testbed_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("own-cluster")
    table = ["--image", "shops/sleeper=sleep 1000"]
    with running_cluster(testbed_programs, folder, *table) as running:
        yield running


def run_testbed(programs: Path, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [programs / "testbed", *command.split(), "--dir", folder],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_several_run_side_by_side(cluster: Cluster, own_cluster: Cluster) -> None:
    assert cluster.server != own_cluster.server
    for each in (cluster, own_cluster):
        assert run_testbed(each.bin, "kubeconfig", each.dir).stdout == each.kubeconfig.read_text()
        assert each.server in run_testbed(each.bin, "status", each.dir).stdout
    other = {"KUBECONFIG": str(own_cluster.kubeconfig)}
    mixed = cluster.kubectl("--server", cluster.server, "get", "ns", env=other, check=False)
    assert "certificate signed by unknown authority" in mixed.stderr


def test_a_second_one_in_a_running_folder_is_refused(own_cluster: Cluster) -> None:
    refused = run_testbed(own_cluster.bin, "up", own_cluster.dir)
    assert refused.returncode == 1
    assert "a cluster already runs in" in refused.stderr
    own_cluster.kubectl("get", "nodes")


def test_an_image_of_the_table_runs_and_another_is_not_pulled(own_cluster: Cluster) -> None:
    manifest = pod("known", image="registry.example/shops/sleeper:1.0@sha256:00")
    own_cluster.kubectl("apply", "-f", "-", input=manifest)
    own_cluster.kubectl("wait", "--for=condition=Ready", "pod/known", "--timeout=20s")
    own_cluster.kubectl("apply", "-f", "-", input=pod("unknown", image="shops/other:1.0"))
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImagePull"
    own_cluster.kubectl("wait", f"--for={reason}", "pod/unknown", "--timeout=20s")
    own_cluster.kubectl("delete", "pod", "known", "unknown")


def test_pods_outlive_an_outage_of_the_api_server(own_cluster: Cluster) -> None:
    script = "while :; do touch alive; sleep 0.05; done"
    own_cluster.kubectl("apply", "-f", "-", input=pod("survivor", "sh", "-c", script))
    own_cluster.kubectl("wait", "--for=condition=Ready", "pod/survivor", "--timeout=20s")
    (beat,) = own_cluster.dir.glob("pods/*/work/alive")
    own_cluster.stop_apiserver()
    refused = own_cluster.kubectl("get", "pods", check=False)
    assert "refused" in refused.stderr
    stopped = time.time()
    until(lambda: beat.stat().st_mtime > stopped, described="a sign of life from the pod")
    own_cluster.start_apiserver()
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
    assert own_cluster.kubectl("get", "pod", "survivor", "-o", restarts).stdout == "0"
    own_cluster.kubectl("exec", "survivor", "--", "true")
    own_cluster.kubectl("delete", "pod", "survivor")


def processes_of(folder: Path) -> list[psutil.Process]:
    """The cluster's and its pods': all have the folder in their command or environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            known = [*process.cmdline(), process.environ().get("POD_DIR", "")]
            if any(str(folder) in word for word in known):
                found.append(process)
    return found


# Its second process leaves the container's session, as a daemon does.
WITH_A_DAEMON = pod("parent", "sh", "-c", "setsid sh -c 'sleep 1000 & wait' & exec sleep 1000")


def assert_runs(running: Cluster) -> None:
    running.kubectl("wait", "--for=condition=Ready", "pod/parent", "--timeout=20s")
    # The cluster's three, and the pod's three.
    until(lambda: len(processes_of(running.dir)) == 6, described="all processes")


def test_a_folder_keeps_its_cluster_and_nothing_outlives_it(
    testbed_programs: Path, tmp_path: Path
) -> None:
    with running_cluster(testbed_programs, tmp_path) as first:
        first.kubectl("apply", "-f", "-", input=WITH_A_DAEMON)
        assert_runs(first)
        assert run_testbed(first.bin, "down", tmp_path).returncode == 0
        assert not processes_of(tmp_path)
        gone = run_testbed(first.bin, "down", tmp_path)
        assert gone.returncode == 1
        assert gone.stderr == f"testbed: no cluster runs in {tmp_path}\n"
    with running_cluster(testbed_programs, tmp_path) as second:
        assert second.server == first.server
        assert_runs(second)
        os.kill(int((tmp_path / "testbed.pid").read_text()), signal.SIGKILL)
        until(lambda: not processes_of(tmp_path), described="the end of all processes")
        assert run_testbed(second.bin, "status", tmp_path).returncode == 3


def test_a_cluster_ends_with_its_parent(testbed_programs: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", 'testbed up --dir "$FOLDER" --with-parent </dev/null & read -r word'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={
            **os.environ,
            "FOLDER": str(tmp_path),
            "PATH": f"{testbed_programs}{os.pathsep}{os.environ['PATH']}",
        },
    ) as parent:
        assert parent.stdout is not None
        ready = parent.stdout.readline().split()
        assert ready[0] == "ready"
        running = Cluster(dir=tmp_path, bin=testbed_programs, server=ready[1].split("=")[1])
        running.kubectl("apply", "-f", "-", input=WITH_A_DAEMON)
        assert_runs(running)
        parent.kill()
        parent.wait(5)
        until(lambda: not processes_of(tmp_path), described="the end of all processes")
