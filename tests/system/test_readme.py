"""The README's own commands, run in the order in which it gives them."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.cluster import Cluster, running_cluster
from tests.fixtures.installation import TOWROPE, free_port
from tests.fixtures.people import browser_environment
from towrope.programs.child import Child

README = Path(__file__).parents[2] / "README.md"
PASSWORD = "correct horse battery staple"
EXAMPLE = "https://towrope.example.com:8443"


def commands() -> list[list[str]]:
    """Each command of the README's shell blocks, as words, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    text = "\n".join(blocks).replace("\\\n", " ")
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


@pytest.fixture
def own_cluster(testbed_programs: Path, tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(testbed_programs, tmp_path / "cluster") as running:
        yield running


def test_the_commands_of_the_readme(own_cluster: Cluster, tmp_path: Path) -> None:
    said = [words for words in commands() if words[0] in ("towrope", "kubectl")]
    server, login, group, connect, user, *roles, sign_in, proxy, kubectl = said
    assert [words[1] for words in roles] == ["connectedk8s", "role", "role"]
    port = free_port()
    url = f"https://localhost:{port}"
    environment = {
        **own_cluster.environment,
        "TOWROPE_CONFIG_DIR": str(tmp_path / "config"),
        "TOWROPE_STATE_DIR": str(tmp_path / "state"),
    }

    def run(words: list[str], text: str = "", **more: str) -> str:
        return subprocess.run(
            [*TOWROPE, *words[1:]] if words[0] == "towrope" else words,
            input=text,
            env={**environment, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    def start(words: list[str], sign: str, **more: str) -> Child:
        log = tmp_path / f"{words[1]}.log"
        seen = {**environment, **more}
        child = Child([*TOWROPE, *words[1:]], name=words[1], log=log, environment=seen)
        child.wait_until_ready(sign, within=60)
        return child

    credential = tmp_path / "administrator.json"
    more = ["--port", str(port), "--admin-credential-file", str(credential)]
    serving = start([word.replace(EXAMPLE, url) for word in server] + more, "listening on")
    try:
        facts = json.loads(credential.read_text())
        known = {EXAMPLE: url, "SHA256:…": facts["caFingerprint"], "APP_ID": facts["appId"]}
        run([known.get(word, word) for word in login], text=facts["password"])
        run(group)
        run(connect)
        run(user, text=PASSWORD)
        for words in roles:
            run(words)
        authority = tmp_path / "state" / "tls" / "ca.pem"
        # Another machine, and a browser on it.
        hers = {
            "TOWROPE_CONFIG_DIR": str(tmp_path / "hers"),
            "KUBECONFIG": str(tmp_path / "hers" / "kubeconfig"),
            **browser_environment(authority, username="ada@example.com", password=PASSWORD),
        }
        run([known.get(word, word) for word in sign_in], **hers)
        more = ["--port", str(free_port())]
        proxying = start([*proxy, *more], "Start sending kubectl requests", **hers)
        try:
            assert "towrope-agent" in run(kubectl, **hers)
        finally:
            proxying.stop()
    finally:
        serving.stop()


def test_every_target_that_the_readme_names_exists() -> None:
    makefile = (README.parent / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", README.read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_page_that_the_readme_names_exists() -> None:
    for page in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (README.parent / page).exists(), page
