"""Something on the path fails and comes back: the next kubectl works, with no step by hand."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import GROUP, Installation, Proxy, installed, until

AGAIN_WITHIN = 5.0
"""Seconds from the moment when the path is whole to a kubectl that works."""


@pytest.fixture(scope="module")
def beside(
    second_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation of its own, whose agent runs as a process beside the cluster."""
    folder = tmp_path_factory.mktemp("beside")
    with installed(second_cluster, folder, name="shop-19", agent="local") as made:
        yield made
        made.link.heal()
        made.delete()


@pytest.fixture
def through(beside: Installation) -> Iterator[Proxy]:
    with beside.proxy() as proxy:
        assert works(proxy)
        yield proxy
        beside.link.heal()  # a test that failed leaves no broken path to the next one


def works(proxy: Proxy) -> bool:
    done = proxy.kubectl("get", "namespace", "default", check=False, timeout=40)
    return done.returncode == 0


def works_again(proxy: Proxy) -> None:
    started = time.monotonic()
    until(lambda: works(proxy), within=AGAIN_WITHIN, described="kubectl works again")
    print(f"kubectl worked {time.monotonic() - started:.2f} s after the path was whole")  # noqa: T201


def test_the_agent_is_killed(beside: Installation, through: Proxy) -> None:
    assert beside.agent is not None
    os.kill(beside.agent.pid, signal.SIGKILL)
    beside.agent.stop()
    assert not works(through)
    beside.start_agent()
    works_again(through)


def test_the_relay_restarts(beside: Installation, through: Proxy) -> None:
    beside.stop_server()
    beside.start_server()
    works_again(through)


def test_the_relay_is_killed(beside: Installation, through: Proxy) -> None:
    assert beside.server is not None
    os.kill(beside.server.pid, signal.SIGKILL)
    beside.stop_server()
    beside.start_server()
    works_again(through)


@pytest.mark.parametrize("side", ["agent", "user", "both"])
def test_the_network_is_cut_and_healed(beside: Installation, through: Proxy, side: str) -> None:
    is_agent = beside.is_agent
    chosen = {
        "agent": is_agent,
        "user": lambda pid: not is_agent(pid),
        "both": lambda _pid: True,
    }[side]
    beside.link.cut(chosen)
    assert not works(through)
    beside.link.heal()
    works_again(through)


def test_the_network_is_frozen_and_thawed(beside: Installation, through: Proxy) -> None:
    beside.link.freeze()
    stuck = subprocess.Popen(
        through.command("get", "namespace", "default", "--request-timeout=2s"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=through.environment,
    )
    _, errors = stuck.communicate(timeout=60)
    assert stuck.returncode != 0
    assert errors
    beside.link.heal()
    works_again(through)


def test_many_watches_end_with_an_error_and_the_next_ones_work(
    beside: Installation, through: Proxy
) -> None:
    command = through.command("get", "--raw", "/api/v1/namespaces?watch=true")
    watches = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=through.environment
        )
        for _ in range(10)
    ]
    for watch in watches:
        assert watch.stdout is not None
        assert watch.stdout.read(1)
    beside.link.reset()
    for watch in watches:
        _, errors = watch.communicate(timeout=30)
        assert watch.returncode != 0, "a cut watch must not look like one that ended"
        assert errors
    works_again(through)


def test_the_agent_stops_within_seconds_of_being_asked(
    beside: Installation, through: Proxy
) -> None:
    assert beside.agent is not None
    agent = psutil.Process(beside.agent.pid)
    agent.terminate()
    assert agent.wait(15) in (0, None)
    beside.agent.stop()
    beside.start_agent()
    works_again(through)


def test_the_apiserver_restarts(
    beside: Installation, through: Proxy, second_cluster: Cluster
) -> None:
    second_cluster.stop_apiserver()
    try:
        failed = through.kubectl("get", "namespace", "default", check=False)
        assert failed.returncode != 0
        assert b"apiserver" in failed.stderr, "the error names the hop"
    finally:
        second_cluster.start_apiserver()
    works_again(through)


def test_a_proxy_for_an_agent_that_is_gone_says_so(beside: Installation) -> None:
    assert beside.agent is not None
    beside.agent.stop()
    try:
        words = ["connectedk8s", "proxy", "-n", beside.name, "-g", GROUP, "--port", "0"]
        done = beside.towrope(*words, "--token-file", str(beside.token_file), check=False)
        assert done.returncode != 0
        assert "no agent is connected in the target arc resource" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        beside.start_agent()
