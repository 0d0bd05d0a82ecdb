"""A server that answers as a test says, and the command line as a process."""

import contextlib
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.fixtures.cluster import Cluster, running_cluster
from tests.fixtures.server import Server, running_server

Sign = Callable[..., str]
COMMAND = (sys.executable, "-m", "towrope.main")


@dataclass(kw_only=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(kw_only=True)
class Answer:
    status: int = 200
    body: object = field(default_factory=dict)
    """Text as it is, all else as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)


class Scripted:
    """An HTTPS server on loopback that gives `answers` in turn, the last one for ever."""

    def __init__(self, authority: trustme.CA) -> None:
        self.answers: list[Answer] = [Answer()]
        self.asked: list[Asked] = []
        self.authority_pem = authority.cert_pem.bytes()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(tls)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._http.server_port}"

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority_pem.decode())

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                scripted.asked.append(
                    Asked(method=self.command, path=self.path, headers=headers, body=body)
                )
                left = scripted.answers
                self._answer(left.pop(0) if len(left) > 1 else left[0])

            do_GET = do_PUT = do_POST = do_DELETE = handle_any

            def _answer(self, answer: Answer) -> None:
                text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
                content = text.encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
                pass

        return Handler


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def scripted(authority: trustme.CA) -> Iterator[Scripted]:
    server = Scripted(authority)
    try:
        yield server
    finally:
        server.close()


@dataclass(kw_only=True)
class Shell:
    """Runs `towrope` with a folder of its own for everything that it keeps."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def run(
        self,
        *words: str,
        input: str = "",  # noqa: A002 - as subprocess.run has it
        timeout: float = 60,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.env(**environment),
            check=False,
        )

    def env(self, **environment: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TOWROPE_", "KUBE"))}
        own = {"HOME": str(self.folder), "TOWROPE_CONFIG_DIR": str(self.config), "COLUMNS": "100"}
        return {**inherited, **own, **self.environment, **environment}

    def ok(self, *words: str, **options: Any) -> str:
        """Its output; the command must succeed."""
        done = self.run(*words, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words: str, **options: Any) -> Any:
        return json.loads(self.ok(*words, **options))

    def error(self, code: int, *words: str, **options: Any) -> str:
        """The one sentence on stderr; the command must fail so, and print nothing else."""
        done = self.run(*words, **options)
        lines = done.stderr.splitlines()
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        assert lines, "an error says something"
        # Steps that were done before it failed may stand above.
        assert all(line.endswith(" …") for line in lines[:-1]), done.stderr
        assert lines[-1].startswith("ERROR: ")
        return lines[-1]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(folder=tmp_path)


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of the command line share."""
    with running_server(tmp_path_factory.mktemp("cli-server")) as running:
        yield running


def sign_in(shell: Shell, server: Server) -> None:
    words = ["login", "--service-principal", "--server", server.url, "-u", server.app_id]
    words += ["-p", "-", "--ca-fingerprint", server.ca_fingerprint, "-o", "none"]
    shell.ok(*words, input=server.secret)


@pytest.fixture(scope="session")
def signed_in(live_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell of somebody who is signed in, with the resource group `shops`."""
    made = Shell(folder=tmp_path_factory.mktemp("signed-in"))
    sign_in(made, live_server)
    made.ok("group", "create", "-n", "shops", "-o", "none")
    return made


@pytest.fixture(scope="session")
def bare_cluster(
    testbed_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster of these tests alone: a cluster is connected once, and they do it themselves."""
    with running_cluster(testbed_programs, tmp_path_factory.mktemp("bare-cluster")) as running:
        yield running


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextlib.contextmanager
def closing(close: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    finally:
        close()


@pytest.fixture(scope="session")
def signing_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "k-1"})


@pytest.fixture(scope="session")
def jwks(signing_key: RSAKey) -> dict[str, Any]:
    return dict(KeySet([signing_key]).as_dict())


@pytest.fixture(scope="session")
def sign(signing_key: RSAKey) -> Sign:
    """Makes identity tokens."""

    def sign(claims: dict[str, Any], **header: Any) -> str:
        header = {"alg": "RS256", "kid": "k-1", **header}
        return jwt.encode(
            {name: value for name, value in header.items() if value is not None},
            claims,
            signing_key,
            algorithms=["RS256", "PS256"],
        )

    return sign
