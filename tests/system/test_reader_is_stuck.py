"""A reader that stops reading costs bounded memory at each hop and delays no other stream."""

import contextlib
import time

import psutil

from tests.fixtures.installation import Installation, Proxy, until
from tests.fixtures.raw import ask, raw_connection
from tests.fixtures.workshop import Workshop

MIB = 1024 * 1024
STUCK = 10
BOUND = 8 * MIB
"""Resident memory that one stuck stream may cost a process; its buffers are well below."""


def test_stuck_readers_stay_within_bounds(
    installation: Installation, proxy: Proxy, workshop: Workshop
) -> None:
    assert installation.server is not None
    hops = {
        "proxy": proxy.child.pid,
        "relay": installation.server.pid,
        "agent": installation.agent_pids()[0],
    }
    proxy.out("get", "pods", "-A")  # every hop is warm
    before = {name: resident(pid) for name, pid in hops.items()}
    files = f"/api/v1/namespaces/{workshop.namespace}/pods/web:{workshop.web_port}/proxy"
    with contextlib.ExitStack() as stack:
        for _ in range(STUCK):
            session = stack.enter_context(raw_connection(proxy))
            ask(session, installation.token, f"{files}/flood")
            assert session.recv(12) == b"HTTP/1.1 200"  # it flows, and is never read again
        settle(hops)
        for name, pid in hops.items():
            grown = resident(pid) - before[name]
            assert grown < STUCK * BOUND, f"{name} grew by {grown / MIB:.0f} MiB"
        assert "hello" in proxy.out("get", "--raw", f"{files}/index.html")


def resident(pid: int) -> int:
    size: int = psutil.Process(pid).memory_info().rss
    return size


def settle(hops: dict[str, int]) -> None:
    """Waits until no hop moves bytes any more: each has stopped its writer."""
    last: dict[str, float] = {}

    def is_still() -> bool:
        nonlocal last
        used = {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in hops.items()}
        still = last == used
        last = used
        time.sleep(0.5)
        return still

    until(is_still, within=30, described="the hops stand still behind stuck readers")
