"""`towrope server` as its own process: what it needs, says, keeps, and leaves behind."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2
import psutil
import pytest
import trustme
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.fixtures.installation import until
from tests.fixtures.server import COMMAND, Server, running_server
from towrope.ops.certificates import fingerprint
from towrope.wire import sas

READY = b"Towrope server is listening on "


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected to end by itself."""
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def fails(done: subprocess.CompletedProcess[str], *, because: str, code: int = 1) -> None:
    assert done.returncode == code, done.stderr
    assert because in done.stderr
    assert "Traceback" not in done.stderr
    assert READY.decode() not in done.stdout
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.fixture(scope="module")
def group(server: Server) -> str:
    path = f"/subscriptions/{server.subscription}/resourceGroups/shops"
    server.api.put(path, json={"location": "local"}).raise_for_status()
    return path


def test_it_answers_on_its_port(server: Server) -> None:
    with httpx2.Client(verify=server.tls(), base_url=server.url, trust_env=False) as anybody:
        assert anybody.get("/healthz").json() == {"status": "ok"}
        metadata = anybody.get("/metadata/endpoints").json()
        assert metadata["authentication"]["tenant"] == server.tenant
        shown = anybody.get("/.well-known/towrope/ca.pem").content
        assert shown == server.ca_file.read_bytes()
        assert fingerprint(shown) == server.ca_fingerprint
        assert anybody.get("/subscriptions").status_code == 401
    assert server.api.get("/subscriptions").status_code == 200


def hybrid_connection(server: Server, group: str, name: str) -> str:
    path = f"{group}/providers/Microsoft.Relay/namespaces/printers/hybridConnections/{name}"
    server.api.put(path, json={}).raise_for_status()
    return path


def tunnel(server: Server, name: str, action: str, key: str) -> ClientConnection:
    """A WebSocket of the relay, by an independent client."""
    netloc = server.url.removeprefix("https://")
    token = sas.mint(
        audience=f"http://{netloc}/{name}", key=key, rule="both", expires_at=time.time() + 60
    )
    return connect(
        f"wss://{netloc}/$hc/{name}?sb-hc-action={action}",
        ssl=server.tls(),
        additional_headers={"ServiceBusAuthorization": token},
        proxy=None,
        max_size=None,
    )


def key_of(server: Server, path: str) -> str:
    rule = f"{path}/authorizationRules/both"
    body = {"properties": {"rights": ["Listen", "Send"]}}
    server.api.put(rule, json=body).raise_for_status()
    key: str = server.api.post(f"{rule}/listKeys").json()["primaryKey"]
    return key


def test_relay_and_api_are_one(server: Server, group: str) -> None:
    path = hybrid_connection(server, group, "label-printer")
    key = key_of(server, path)
    with tunnel(server, "label-printer", "listen", key) as listener:
        shown = server.api.get(path).json()
        assert shown["properties"]["listenerCount"] == 1
        # What is deleted ends, and cannot be found again.
        server.api.delete(path).raise_for_status()
        for _ in listener:
            pass
        assert listener.close_code == 1001
    with pytest.raises(InvalidStatus) as refused, tunnel(server, "label-printer", "listen", key):
        pass
    assert refused.value.response.status_code == 404


def test_a_key_of_one_is_worth_nothing_at_another(server: Server, group: str) -> None:
    key = key_of(server, hybrid_connection(server, group, "one"))
    hybrid_connection(server, group, "another")
    with pytest.raises(InvalidStatus) as refused, tunnel(server, "another", "listen", key):
        pass
    assert refused.value.response.status_code == 401


def test_nothing_in_the_state_folder_is_for_others(server: Server) -> None:
    paths = list(server.state_dir.rglob("*"))
    assert len(paths) > 8
    for path in [server.state_dir, *paths]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_no_secret_is_where_it_does_not_belong(server: Server, group: str) -> None:
    key = key_of(server, hybrid_connection(server, group, "scanner"))
    token = server.token()
    master = (server.state_dir / "master.key").read_bytes()
    [key_file] = (server.state_dir / "signing-keys").glob("*.pem")
    signing = key_file.read_bytes().splitlines()[1]
    secrets = [server.secret.encode(), key.encode(), token.encode(), master, signing]
    database = b"".join(p.read_bytes() for p in server.state_dir.glob("towrope.db*"))
    assert server.app_id.encode() in database
    log = server.log.read_bytes()
    assert b'"request"' in log
    shown = [*psutil.Process(server.pid).cmdline(), *psutil.Process(server.pid).environ().values()]
    for secret in secrets:
        assert secret not in database
        assert secret not in log
        assert all(secret not in word.encode() for word in shown)


def test_the_credential_file_is_its_owners_alone(server: Server) -> None:
    file = server.state_dir.parent / "administrator.json"
    assert file.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text())["server"] == server.url


def test_a_second_one_on_the_state_folder_is_refused(server: Server) -> None:
    done = run("--state-dir", str(server.state_dir), "--port", "0")
    fails(done, because=f"Another server uses the state folder '{server.state_dir}'")


def test_a_busy_port_is_named(server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    done = run("--state-dir", str(tmp_path / "state"), "--host", "127.0.0.1", "--port", port)
    fails(done, because=f"Port {port} on 127.0.0.1 is in use")
    # The administrator's secret is not lost by that: the first start that listens shows it.
    with running_server(tmp_path) as later:
        assert later.api.get("/subscriptions").status_code == 200


@pytest.mark.parametrize(
    ("words", "because"),
    [
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
        (["--host", "no.such.host.invalid", "--port", "1"], "cannot listen on no.such"),
        (["--public-url", "http://example.org"], "expected 'https://HOST[:PORT]'"),
        (["--state-dir", "/proc/towrope"], "The state folder '/proc/towrope' cannot be used"),
        (["--database-url", "sqlite+aiosqlite:////proc/x/y.db"], "The database cannot be opened"),
        (["--database-url", "nonsense"], "The database URL"),
        (["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "certificate '/nowhere'"),
        (["--admin-credential-file", "/proc/x"], "file '/proc/x' cannot be written"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_it_cannot_use_is_one_sentence(
    tmp_path: Path, words: Sequence[str], because: str
) -> None:
    fails(run("--state-dir", str(tmp_path / "s"), "--port", "0", *words), because=because)


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    done = run("--state-dir", str(tmp_path / "s"), "--tls-cert", "x.pem")
    assert done.returncode == 2
    assert "--tls-cert and --tls-key belong together" in done.stderr


@pytest.mark.parametrize(
    ("given", "because"),
    [
        (["West Europe"], "expected 'NAME=DISPLAY NAME"),
        (["local", "west", "local=Local"], "names 'local' twice"),
    ],
)
def test_bad_locations_are_told(tmp_path: Path, given: Sequence[str], because: str) -> None:
    words = [word for location in given for word in ("--location", location)]
    done = run("--state-dir", str(tmp_path / "s"), *words)
    assert done.returncode == 2
    assert because in done.stderr


def test_its_locations_are_those_that_it_was_given(tmp_path: Path) -> None:
    north = "northpole=North Pole=relay1.example"
    with running_server(tmp_path, "--location", north, "--location", "local") as server:
        path = f"/subscriptions/{server.subscription}/locations"
        listed = server.api.get(path).raise_for_status().json()["value"]
        assert [each["displayName"] for each in listed] == ["North Pole", "Local"]
        allowed = server.api.get("/urls/allowlist", params={"location": "northpole"}).json()
        assert allowed == ["localhost", "relay1.example"]


def test_the_first_start_shows_the_credential_once(tmp_path: Path) -> None:
    def start() -> tuple[int, str]:
        words = ["--state-dir", str(tmp_path / "s"), "--host", "127.0.0.1", "--port", "0"]
        with subprocess.Popen(
            [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            shown = b""
            for line in process.stdout:
                shown += line
                if line.startswith(READY):
                    break
            process.send_signal(signal.SIGINT)
            return process.wait(20), shown.decode()

    code, shown = start()
    assert code == 0
    found = re.search(
        r"^  towrope login --service-principal --server (https://localhost:\d+)"
        r" --ca-fingerprint (SHA256:[0-9a-f]{64}) -u ([0-9a-f-]{36}) -p -$",
        shown,
        re.MULTILINE,
    )
    assert found is not None
    assert re.search(r"^  secret +\S{43}$", shown, re.MULTILINE)
    assert f"listening on {found[1]}\n" in shown
    code, shown = start()
    assert code == 0
    assert len(shown.splitlines()) == 1


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        subscription, token, url = server.subscription, server.token(), server.url
        path = f"/subscriptions/{subscription}/resourceGroups/kept"
        server.api.put(path, json={"location": "local"}).raise_for_status()
        authority = server.ca_file.read_bytes()
        server.restart()
        assert server.url == url
        assert server.ca_file.read_bytes() == authority
        headers = {"authorization": f"Bearer {token}"}
        again = httpx2.get(
            url + path,
            params={"api-version": "1"},
            headers=headers,
            verify=server.tls(),
            trust_env=False,
        )
        assert again.status_code == 200


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        groups = f"/subscriptions/{server.subscription}/resourceGroups"
        for number in range(20):
            answer = server.api.put(f"{groups}/g{number}", json={"location": "local"})
            answer.raise_for_status()
        os.kill(server.pid, signal.SIGKILL)
        server.restart()
        listed = server.api.get(groups).json()["value"]
        assert len(listed) == 20


def test_it_stops_while_connections_are_open(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        group = f"/subscriptions/{server.subscription}/resourceGroups/shops"
        server.api.put(group, json={"location": "local"}).raise_for_status()
        key = key_of(server, hybrid_connection(server, group, "one"))
        host, port = "127.0.0.1", int(server.url.rpartition(":")[2])
        with tunnel(server, "one", "listen", key), socket.create_connection((host, port)):
            process = psutil.Process(server.pid)
            process.terminate()
            assert process.wait(10) == 0


def trusts(server: Server) -> bool:
    try:
        httpx2.get(server.url + "/healthz", verify=server.tls(), trust_env=False)
    except httpx2.ConnectError:
        return False
    return True


def test_a_certificate_of_the_operator_is_followed(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("tls.crt", "tls.key")}

    def issue() -> trustme.CA:
        authority = trustme.CA()
        leaf = authority.issue_cert("localhost")
        leaf.private_key_pem.write_to_path(str(files["tls.key"]))
        leaf.cert_chain_pems[0].write_to_path(str(files["tls.crt"]))
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        return authority

    issue()
    options = ["--tls-cert", str(files["tls.crt"]), "--tls-key", str(files["tls.key"])]

    class Operated(Server):
        @property
        def ca_file(self) -> Path:
            return tmp_path / "ca.pem"

    server = Operated(tmp_path, *options)
    try:
        assert server.api.get("/.well-known/towrope/ca.pem").status_code == 404
        issue()
        until(lambda: trusts(server), within=20, described="the new certificate is served")
        # The connection that was open stayed so.
        assert server.api.get("/subscriptions").status_code == 200
    finally:
        server.close()
