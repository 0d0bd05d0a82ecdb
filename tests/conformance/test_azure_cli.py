"""The real `az`: it learns of the server from its metadata, and signs in three ways."""

import json
import os
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.fixtures.browser import Chromium
from tests.fixtures.people import People, Person
from tests.fixtures.signing_in import device_code, enter_code, enter_password

HERE = Path(__file__).parent
CLOUD = "towrope"


@pytest.fixture(scope="session")
def azure_python() -> Path:
    """The interpreter of the environment that has the Azure CLI."""
    done = subprocess.run(
        [HERE / "install-azure.sh"], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@dataclass(frozen=True, kw_only=True)
class Azure:
    """`az` with a folder of its own, which knows the server as a cloud."""

    program: tuple[str, ...]
    environment: dict[str, str]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            env=self.environment,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"az {words[:2]} failed: {done.stderr}")
        return done

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "-o", "json").stdout)


@pytest.fixture(scope="module")
def azure(azure_python: Path, people: People, tmp_path_factory: pytest.TempPathFactory) -> Azure:
    folder = tmp_path_factory.mktemp("azure")
    bundle = folder / "authorities.pem"
    # Beside the system's, as az itself needs those for its extensions.
    system = ssl.get_default_verify_paths().cafile
    bundle.write_text((Path(system).read_text() if system else "") + people.authority.read_text())
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AZURE_CONFIG_DIR": str(folder / "azure"),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_CORE_LOGIN_EXPERIENCE_V2": "off",
        "REQUESTS_CA_BUNDLE": str(bundle),
    }
    made = Azure(program=(str(azure_python), "-m", "azure.cli"), environment=environment)
    server = people.installation.url
    made.run("cloud", "register", "-n", CLOUD, "--endpoint-resource-manager", server)
    made.run("cloud", "set", "-n", CLOUD)
    return made


@pytest.fixture(scope="module")
def olga(people: People) -> Person:
    return people.user("olga")


def test_a_service_principal(azure: Azure, people: People) -> None:
    application = people.application("azure-robot")
    words = ["login", "--service-principal", "-u", application.app_id, "-p", application.secret]
    (account,) = azure.json(*words, "--tenant", people.tenant)
    assert account["user"] == {"name": application.app_id, "type": "servicePrincipal"}
    assert account["cloudName"] == CLOUD
    token = azure.json("account", "get-access-token")
    assert token["expires_on"] > time.time()
    assert token["tenant"] == people.tenant
    assert token["accessToken"].count(".") == 2


def test_a_wrong_secret_is_told_in_words(azure: Azure, people: People, ada: Person) -> None:
    application = people.application("azure-stranger")
    words = ["login", "--service-principal", "-u", application.app_id, "-p", "wrong"]
    refused = azure.run(*words, "--tenant", people.tenant, check=False)
    assert refused.returncode == 1
    assert "invalid_client" in refused.stderr or "AADSTS7000215" in refused.stderr


def test_a_person_with_a_device_code(
    azure: Azure, people: People, olga: Person, chromium: Chromium
) -> None:
    with device_code(
        olga, "login", "--use-device-code", program=azure.program, **azure.environment
    ) as code:
        chromium.visit(olga.server, lambda page: enter_code(page, code, olga))
    me = azure.json("ad", "signed-in-user", "show")
    assert me["userPrincipalName"] == olga.user_principal_name
    assert me["id"] == olga.object_id


def test_a_person_with_a_browser(
    azure: Azure, olga: Person, chromium: Chromium, tmp_path: Path
) -> None:
    """az opens the address that it wants to be opened; the answer is posted to its port."""
    opened = tmp_path / "opened"
    os.mkfifo(opened)
    note = f"import sys; open({str(opened)!r}, 'w').write(sys.argv[1])"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{note}" "$1"\n')
    script.chmod(0o700)
    environment = {**azure.environment, "BROWSER": f"{script} %s", "DISPLAY": ":0"}

    def sign_in(page: Page) -> None:
        page.goto(opened.read_text())
        enter_password(page, olga)
        page.wait_for_url("http://localhost:*/**")

    with subprocess.Popen(
        [*azure.program, "login", "-o", "json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as running:
        try:
            chromium.visit(olga.server, sign_in)
            output, errors = running.communicate(timeout=60)
        except BaseException:
            running.kill()
            raise
    assert running.returncode == 0, errors
    (account,) = json.loads(output)
    assert account["user"] == {"name": olga.user_principal_name, "type": "user"}
    (listed,) = [each for each in azure.json("account", "list") if each["isDefault"]]
    assert listed["id"] == account["id"]
