"""`python -m bench`: measures, and prints Markdown for docs/performance.md."""

import contextlib
import json
import platform
import tempfile
from pathlib import Path

from tests.fixtures.cluster import built_programs, running_cluster
from tests.fixtures.installation import Installation, Proxy, free_port, installed

from bench import measures
from bench.ends import End, direct, through

STREAMS = 100
BLOB_MIB = 200


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="towrope-bench-") as scratch,
        running_cluster(built_programs(), Path(scratch) / "cluster") as cluster,
        installed(
            cluster, Path(scratch) / "towrope", name="bench", agent="local", linked=False
        ) as installation,
        installation.proxy() as proxy,
    ):
        ends = [direct(cluster, installation.token), through(proxy, installation.token)]
        print(f"Python {platform.python_version()}, {platform.machine()}, one run.\n")
        _print_latency("small GET, kept-alive connection", measures.keep_alive(ends))
        _print_latency("new connection and a small GET", measures.new_connection(ends))
        _print_throughput(measures.throughput(ends, _blob(installation)))
        pids = _processes(installation, proxy)
        _print_processor_time(measures.processor_time(ends[1], pids))
        _print_memory(pids, ends[1])


def _blob(installation: Installation) -> str:
    """A pod that serves a large file; its path through the apiserver's proxy."""
    port = free_port()
    script = f"head -c {BLOB_MIB * 1024 * 1024} /dev/zero >blob; exec python3 -m http.server {port}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "blob"},
        "spec": {
            "containers": [{"name": "main", "image": "none", "command": ["sh", "-c", script]}]
        },
    }
    probe = {"httpGet": {"port": port, "path": "/"}, "periodSeconds": 1}
    pod["spec"]["containers"][0]["readinessProbe"] = probe  # type: ignore[index]  # nested literal
    installation.cluster.kubectl("apply", "-f", "-", input=json.dumps(pod))
    installation.cluster.kubectl("wait", "--for=condition=Ready", "pod/blob", "--timeout=60s")
    return f"/api/v1/namespaces/default/pods/blob:{port}/proxy/blob"


def _print_latency(what: str, results: dict[str, measures.Latency]) -> None:
    print(f"| {what} | p50 ms | p99 ms |\n|---|---|---|")
    for name, latency in results.items():
        print(f"| {name} | {latency.p50:.2f} | {latency.p99:.2f} |")
    ratio = results["tunnel"].p50 / results["direct"].p50
    print(f"| tunnel : direct | {ratio:.1f} | |\n")


def _print_throughput(results: dict[str, float]) -> None:
    print(f"| one stream, {BLOB_MIB} MiB from a pod | MB/s |\n|---|---|")
    for name, rate in results.items():
        print(f"| {name} | {rate:.0f} |")
    print(f"| tunnel : direct | {results['tunnel'] / results['direct']:.2f} |\n")


def _processes(installation: Installation, proxy: Proxy) -> dict[str, int]:
    assert installation.server is not None
    return {
        "server with relay": installation.server.pid,
        "agent": installation.agent_pids()[0],
        "local proxy": proxy.child.pid,
    }


def _print_processor_time(used: dict[str, float]) -> None:
    print("| processor time of a small GET | ms |\n|---|---|")
    for name, milliseconds in used.items():
        print(f"| {name} | {milliseconds:.2f} |")
    print()


def _print_memory(pids: dict[str, int], end: End) -> None:
    idle = measures.resident(pids)
    with contextlib.ExitStack() as stack:
        for _ in range(STREAMS):
            connection = stack.enter_context(contextlib.closing(end.connect()))
            end.get(connection, "/api/v1/namespaces?watch=true").read(1)
        busy = measures.resident(pids)
    print(f"| resident memory | idle MiB | with {STREAMS} watches MiB | KiB a stream |")
    print("|---|---|---|---|")
    for name in pids:
        each = (busy[name] - idle[name]) * 1024 / STREAMS
        print(f"| {name} | {idle[name]:.0f} | {busy[name]:.0f} | {each:.0f} |")


if __name__ == "__main__":
    main()
