"""A stream that is cut, at any stage, ends in an error at the client: never in a short success."""

import ssl
import subprocess
from collections.abc import Iterator

import pytest

from tests.fixtures.installation import Installation, Proxy
from tests.fixtures.raw import ask, raw_connection
from tests.fixtures.workshop import Workshop

STAGES = [0, 1, 1_000, 100_000, 2_000_000]
WHOLE = 3_000_000


@pytest.fixture
def healed(installation: Installation) -> Iterator[None]:
    """Whatever a test did to the link, the next one finds it whole."""
    yield
    installation.link.heal()


def blob_path(workshop: Workshop) -> str:
    return f"/api/v1/namespaces/{workshop.namespace}/pods/web:{workshop.web_port}/proxy/blob"


@pytest.mark.usefixtures("healed")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("side", ["agent", "user"])
def test_a_cut_download_is_an_error(
    installation: Installation, proxy: Proxy, workshop: Workshop, stage: int, side: str
) -> None:
    received = 0
    is_agent = installation.is_agent
    ends = (ssl.SSLError, ConnectionError)  # a deadline that passes is none
    with raw_connection(proxy) as session, pytest.raises(ends):
        ask(session, installation.token, blob_path(workshop))
        while received < stage:
            received += len(session.recv(min(stage - received, 16384)))
        installation.link.reset(is_agent if side == "agent" else lambda pid: not is_agent(pid))
        while session.recv(65536):
            pass
    assert received <= WHOLE


@pytest.mark.usefixtures("healed")
def test_kubectl_says_that_it_failed(
    installation: Installation, proxy: Proxy, workshop: Workshop
) -> None:
    command = proxy.command("logs", "-f", "-n", workshop.namespace, "ticker")
    logs = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=proxy.environment
    )
    assert logs.stdout is not None
    assert logs.stdout.readline()
    installation.link.reset()
    _, errors = logs.communicate(timeout=30)
    assert logs.returncode != 0
    assert b"error" in errors.lower()


@pytest.mark.usefixtures("healed")
def test_exec_says_that_it_failed(
    installation: Installation, proxy: Proxy, workshop: Workshop
) -> None:
    command = proxy.command("exec", "-n", workshop.namespace, "ticker", "--")
    running = subprocess.Popen(
        [*command, "sh", "-c", "echo started; sleep 600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=proxy.environment,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"started\n"
    installation.link.reset()
    _, errors = running.communicate(timeout=30)
    assert running.returncode != 0
    assert errors
