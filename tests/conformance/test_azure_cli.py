"""The real `az`: it learns of the server from its metadata, and signs in three ways."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.fixtures.azure_cli import CLOUD, Azure, azure_at
from tests.fixtures.browser import Chromium
from tests.fixtures.people import People, Person
from tests.fixtures.signing_in import device_code, enter_code, enter_password


@pytest.fixture(scope="module")
def azure(azure_python: Path, people: People, tmp_path_factory: pytest.TempPathFactory) -> Azure:
    made = azure_at(tmp_path_factory.mktemp("azure"), azure_python, people.authority)
    made.register(people.installation.url)
    return made


@pytest.fixture(scope="module")
def olga(people: People) -> Person:
    return people.user("olga")


def test_a_service_principal(azure: Azure, people: People) -> None:
    application = people.application("azure-robot")
    (account,) = azure.sign_in(application.app_id, application.secret, people.tenant)
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
