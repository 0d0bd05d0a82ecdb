"""What people do with kubectl, through the tunnel, over WebSocket and over SPDY."""

import contextlib
import hashlib
import json
import os
import pty
import select
import struct
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from urllib.request import urlopen

import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import Proxy, free_port
from tests.fixtures.workshop import Workshop, pod

MIB = 1024 * 1024
both_protocols = pytest.mark.parametrize("websockets", [True, False], ids=["websocket", "spdy"])


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Terminal:
    """A command on a pseudo-terminal, read until a text appears."""

    def __init__(self, command: list[str], environment: dict[str, str], rows: int, cols: int):
        self.control, terminal = pty.openpty()
        self.resize(rows, cols)
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment
        )
        os.close(terminal)
        self.seen = b""

    def resize(self, rows: int, cols: int) -> None:
        ioctl(self.control, TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.control, text.encode())

    def read_until(self, text: str, *, within: float = 20) -> str:
        deadline = time.monotonic() + within
        while text.encode() not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"'{text}' did not come; seen: {self.seen!r}"
            ready, _, _ = select.select([self.control], [], [], left)
            if ready:
                self.seen += os.read(self.control, 65536)
        return self.seen.decode(errors="replace")

    def close(self) -> int:
        code = self.process.wait(20)
        os.close(self.control)
        return code


@both_protocols
def test_exec_with_a_terminal_follows_its_size(
    proxy: Proxy, workshop: Workshop, websockets: bool
) -> None:
    command = proxy.command("exec", "-it", "-n", workshop.namespace, "ticker", "--", "sh")
    terminal = Terminal(command, proxy.over(websockets=websockets), rows=33, cols=111)
    terminal.type("stty size\n")
    terminal.read_until("33 111")
    terminal.resize(44, 122)
    os.kill(terminal.process.pid, 28)  # SIGWINCH: the terminal is not kubectl's controlling one
    for _ in range(50):
        terminal.type("stty size\n")
        with contextlib.suppress(AssertionError):
            terminal.read_until("44 122", within=0.3)
            break
    terminal.read_until("44 122", within=1)
    terminal.type("exit 7\n")
    assert terminal.close() == 7


@both_protocols
def test_exec_carries_twenty_mebibytes_each_way(
    proxy: Proxy, workshop: Workshop, websockets: bool
) -> None:
    blob = os.urandom(20 * MIB)
    words = ("exec", "-i", "-n", workshop.namespace, "ticker", "--", "cat")
    back = proxy.kubectl(*words, input=blob, websockets=websockets).stdout
    assert digest(back) == digest(blob)


@both_protocols
def test_exec_gives_the_commands_exit_code(
    proxy: Proxy, workshop: Workshop, websockets: bool
) -> None:
    words = ("exec", "-n", workshop.namespace, "ticker", "--", "sh", "-c", "exit 42")
    assert proxy.kubectl(*words, check=False, websockets=websockets).returncode == 42


@both_protocols
def test_attach_reads_what_a_running_pod_prints(
    proxy: Proxy, workshop: Workshop, websockets: bool
) -> None:
    command = proxy.command("attach", "-n", workshop.namespace, "ticker")
    with running(command, proxy.over(websockets=websockets)) as attached:
        assert attached.stdout is not None
        assert b"tick" in attached.stdout.readline()


@both_protocols
def test_cp_both_ways(proxy: Proxy, workshop: Workshop, tmp_path: Path, websockets: bool) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(os.urandom(5 * MIB))
    there = f"ticker:copied-{websockets}"
    words = ("cp", "-n", workshop.namespace)
    proxy.kubectl(*words, str(blob), there, websockets=websockets)
    proxy.kubectl(*words, there, str(tmp_path / "back"), websockets=websockets)
    assert digest((tmp_path / "back").read_bytes()) == digest(blob.read_bytes())


@both_protocols
def test_port_forward_with_eight_connections_at_once(
    proxy: Proxy, workshop: Workshop, websockets: bool
) -> None:
    local = free_port()
    ports = f"{local}:{workshop.web_port}"
    command = proxy.command("port-forward", "-n", workshop.namespace, "pod/web", ports)

    def fetch(path: str) -> str:
        with urlopen(f"http://127.0.0.1:{local}/{path}", timeout=30) as answer:
            return digest(answer.read())

    with running(command, proxy.over(websockets=websockets)) as forward:
        assert forward.stdout is not None
        assert b"Forwarding from" in forward.stdout.readline()
        assert fetch("") == digest(b"hello\n")
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(fetch, ["blob"] * 8))) == 1


def test_logs_follow(proxy: Proxy, workshop: Workshop) -> None:
    command = proxy.command("logs", "-f", "--tail=1", "-n", workshop.namespace, "ticker")
    with running(command, proxy.environment) as logs:
        assert logs.stdout is not None
        numbers = [int(logs.stdout.readline().split()[1]) for _ in range(6)]
    assert numbers == list(range(numbers[0], numbers[0] + 6))


def test_watch_sees_what_happens(proxy: Proxy, namespace: str) -> None:
    command = proxy.command("get", "configmaps", "-w", "-n", namespace, "-o", "name")
    with running(command, proxy.environment) as watch:
        assert watch.stdout is not None
        assert b"kube-root-ca.crt" in watch.stdout.readline()
        for name in ("one", "two"):
            proxy.kubectl("create", "configmap", name, "-n", namespace)
            assert watch.stdout.readline().decode().strip() == f"configmap/{name}"


def test_apply_wait_delete(proxy: Proxy, namespace: str) -> None:
    manifest = pod("short", "sleep 600").encode()
    proxy.kubectl("apply", "-n", namespace, "-f", "-", input=manifest)
    ready = ("--for=condition=Ready", "pod/short", "--timeout=30s")
    proxy.kubectl("wait", "-n", namespace, *ready)
    proxy.kubectl("delete", "-n", namespace, "pod/short", "--timeout=30s")
    gone = proxy.kubectl("get", "-n", namespace, "pod/short", check=False)
    assert b"NotFound" in gone.stderr


def test_kubectl_proxy(proxy: Proxy) -> None:
    local = free_port()
    command = proxy.command("proxy", "--port", str(local))
    with running(command, proxy.environment) as kubectl_proxy:
        assert kubectl_proxy.stdout is not None
        assert b"Starting to serve" in kubectl_proxy.stdout.readline()
        with urlopen(f"http://127.0.0.1:{local}/version", timeout=10) as answer:
            assert "gitVersion" in json.load(answer)


def test_auth_can_i_tells_the_truth(proxy: Proxy, cluster: Cluster) -> None:
    assert proxy.out("auth", "can-i", "create", "deployments").strip() == "yes"
    cluster.kubectl("create", "serviceaccount", "nobody-much")
    token = cluster.kubectl("create", "token", "nobody-much").stdout.strip()
    asked = proxy.kubectl("--token", token, "auth", "can-i", "create", "deployments", check=False)
    assert asked.stdout.decode().strip() == "no"


@pytest.mark.parametrize(
    "path", ["/version", "/openapi/v3", "/apis/apps/v1", "/readyz?verbose", "/metrics"]
)
def test_raw_gets(proxy: Proxy, path: str) -> None:
    assert proxy.out("get", "--raw", path)


def test_forty_at_once(proxy: Proxy) -> None:
    def ask(_: int) -> str:
        return proxy.out("get", "namespace", "default", "-o", "name")

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(ask, range(40))) == {"namespace/default\n"}


def test_two_hundred_mebibytes_arrive_whole(proxy: Proxy, workshop: Workshop) -> None:
    make = "i=0; while [ $i -lt 200 ]; do cat part; i=$((i+1)); done"
    prepare = f"head -c {MIB} /dev/urandom >part; {make} | sha256sum"
    words = ("exec", "-n", workshop.namespace, "ticker", "--", "sh", "-c")
    expected = proxy.out(*words, prepare).split()[0]
    command = proxy.command(*words, make)
    got = hashlib.sha256()
    size = 0
    with running(command, proxy.environment) as download:
        assert download.stdout is not None
        while chunk := download.stdout.read(MIB):
            got.update(chunk)
            size += len(chunk)
        assert download.wait(30) == 0
    assert size == 200 * MIB
    assert got.hexdigest() == expected


def test_helm_installs_lists_and_uninstalls(proxy: Proxy, namespace: str, tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: small\nversion: 1.0.0\n")
    (chart / "templates" / "pod.yaml").write_text(pod("{{ .Release.Name }}", "sleep 600"))

    def helm(*words: str) -> str:
        command = [str(proxy.cluster.bin / "helm"), "--kubeconfig", str(proxy.kubeconfig)]
        return subprocess.run(
            [*command, "-n", namespace, *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=90,
            env=proxy.environment,
        ).stdout

    helm("install", "tiny", str(chart), "--wait", "--timeout", "60s")
    assert "tiny" in helm("list")
    helm("uninstall", "tiny")
    assert "tiny" not in helm("list")


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
