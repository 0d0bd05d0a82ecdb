"""What runs through the relay holds no token, no request and no answer: all of it is recorded."""

import json
from collections.abc import Iterator

import psutil
import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import Installation, installed

MARKER = "a-name-that-the-answer-holds"


@pytest.fixture(scope="module")
def watched(
    second_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation whose link ends the outer TLS: it sees what the relay sees."""
    folder = tmp_path_factory.mktemp("watched")
    with installed(second_cluster, folder, name="shop-18", agent="pod", watched=True) as made:
        yield made
        made.delete()


def test_the_relay_sees_neither_token_nor_answer(
    watched: Installation, second_cluster: Cluster
) -> None:
    second_cluster.kubectl("create", "configmap", MARKER, "--from-literal=key=value")
    with watched.proxy() as proxy:
        watched.link.recorded.clear()
        answer = proxy.out("get", "configmap", MARKER, "-o", "json")
        assert json.loads(answer)["metadata"]["name"] == MARKER
    seen = bytes(watched.link.recorded)
    # The recording is no empty shell: the relay does see the rendezvous, and TLS records in it.
    assert b"sb-hc-action=connect" in seen
    assert len(seen) > len(answer)
    for secret in (watched.token, MARKER, '"kind"', "apiVersion", "Authorization: Bearer ey"):
        assert secret.encode() not in seen


def test_no_log_holds_a_secret(watched: Installation) -> None:
    administrator = json.loads((watched.folder / "administrator.json").read_text())
    logs = list(watched.folder.glob("*.log"))
    assert logs
    for log in logs:
        text = log.read_text(errors="replace")
        for secret in (watched.token, administrator["password"], "SharedAccessSignature", "eyJ"):
            assert secret not in text, log.name


def test_no_process_has_a_secret_in_its_arguments(watched: Installation) -> None:
    administrator = json.loads((watched.folder / "administrator.json").read_text())
    with watched.proxy():
        commands = [
            " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
        ]
    assert any("connectedk8s proxy" in command for command in commands)
    for command in commands:
        assert watched.token not in command
        assert administrator["password"] not in command


def test_no_file_of_a_secret_can_be_read_by_others(watched: Installation) -> None:
    administrator = json.loads((watched.folder / "administrator.json").read_text())
    secrets = (watched.token.encode(), administrator["password"].encode(), b"PRIVATE KEY")
    for file in watched.folder.rglob("*"):
        if file.is_file() and any(secret in file.read_bytes() for secret in secrets):
            assert file.stat().st_mode & 0o077 == 0, file.name
