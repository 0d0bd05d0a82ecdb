"""The server is killed amid a thousand writes: what it acknowledged is there when it is back."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.fixtures.server import API_VERSION, Server, running_server

WRITES = 1000
WRITERS = 8

pytestmark = [pytest.mark.both_databases, pytest.mark.timeout(300)]


@pytest.fixture
def server(tmp_path: Path, database_kind: str, new_database_url: str) -> Iterator[Server]:
    options = ("--database-url", new_database_url) if database_kind == "postgresql" else ()
    with running_server(tmp_path, *options) as made:
        yield made


def kill(server: Server) -> None:
    process = psutil.Process(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    process.wait(30)


def names(server: Server) -> set[str]:
    """Of all resource groups. A link is followed as it is."""
    headers = {"authorization": server.api.headers["authorization"]}
    link = f"/subscriptions/{server.subscription}/resourceGroups?api-version={API_VERSION}"
    found: set[str] = set()
    with httpx2.Client(
        base_url=server.url, headers=headers, verify=server.tls(), trust_env=False, timeout=20
    ) as client:
        while link:
            shown = client.get(link).raise_for_status().json()
            found |= {each["name"] for each in shown["value"]}
            link = shown.get("nextLink", "")
    return found


def test_no_acknowledged_write_is_lost(server: Server) -> None:
    path = f"/subscriptions/{server.subscription}/resourceGroups"
    acknowledged: list[str] = []
    is_halfway = threading.Event()

    def write(number: int) -> None:
        try:
            answer = server.api.put(f"{path}/g{number:04}", json={"location": "local"})
        except httpx2.TransportError:
            return
        assert answer.status_code == 201
        acknowledged.append(f"g{number:04}")
        if len(acknowledged) >= WRITES // 2:
            is_halfway.set()

    with ThreadPoolExecutor(WRITERS) as writers:
        asked = [writers.submit(write, number) for number in range(WRITES)]
        assert is_halfway.wait(120)
        kill(server)
    for each in asked:
        each.result()
    assert WRITES // 2 <= len(acknowledged) < WRITES
    server.restart()
    there = names(server)
    assert set(acknowledged) <= there
    # Those whose answer was lost on its way may be there, and no others.
    assert len(there) <= len(acknowledged) + WRITERS
    made = server.api.put(f"{path}/afterwards", json={"location": "local"})
    assert made.status_code == 201
