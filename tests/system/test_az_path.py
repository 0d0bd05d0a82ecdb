"""The documented path of Azure RBAC with the real `az`, by the commands of docs/azure-cli.md as
they stand there; it ends in real kubectl.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.azure_cli import beside
from tests.fixtures.installation import Installation, until
from tests.fixtures.people import People, Person, browser_environment
from tests.fixtures.shell import Shell, commands, shell_blocks
from tests.fixtures.workplace import Proxy, Workplace, free_port

PAGE = Path(__file__).parents[2] / "docs" / "azure-cli.md"
CONFORMANCE = Path(__file__).parents[1] / "conformance"
BLOCKS = shell_blocks(PAGE)
EXAMPLE = "https://towrope.example.com:8443"
SENTENCE = (
    "User doesn't have access to the resource in Azure. Update role assignment to allow access."
)
WITHIN = 10.0
"""Seconds, of a machine that is busy; it takes a fraction of one."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Somebody's: `az` and `towrope` with that person's folders, and a shell."""

    place: Workplace
    shell: Shell


def machine(place: Workplace, azure_python: Path, known: dict[str, str], **more: str) -> Machine:
    programs = place.folder / "bin"
    programs.mkdir()
    az = programs / "az"
    az.write_text(f'#!/bin/sh\nexec {azure_python} -m azure.cli "$@"\n')
    az.chmod(0o700)
    environment = place.environment
    paths = [programs, place.cluster.bin, environment["PATH"]]
    environment |= {
        "PATH": ":".join(map(str, paths)),
        "AZURE_CONFIG_DIR": str(place.folder / "azure"),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_CORE_LOGIN_EXPERIENCE_V2": "off",
        **more,
    }
    shell = Shell(folder=place.folder, environment=environment, known=known)
    return Machine(place=place, shell=shell)


@pytest.fixture(scope="module")
def administrator(installation: Installation, azure_python: Path) -> Machine:
    """By what `az-setup` prints, and signed in as the program that the administrator is."""
    facts = json.loads((installation.folder / "administrator.json").read_text())
    known = {"APP_ID": facts["appId"], "SECRET": facts["password"], "TENANT": facts["tenant"]}
    kubeconfig = str(installation.cluster.kubeconfig)
    made = machine(installation, azure_python, known, KUBECONFIG=kubeconfig)
    *setup, sign_in = made.shell.out("towrope cloud az-setup").splitlines()
    assert sign_in == "az login"
    made.shell.run("\n".join(setup))
    _, by_itself = BLOCKS["Sign in"]
    made.shell.run(by_itself)
    return made


@pytest.fixture(scope="module")
def vera(people: People, azure_python: Path) -> Machine:
    person = people.user("vera", reaches=False)
    known = {EXAMPLE: people.installation.url}
    browser = browser_environment(
        people.authority, username=person.user_principal_name, password=person.password
    )
    return machine(person, azure_python, known, **beside(browser))


@pytest.fixture(scope="module")
def granted(administrator: Machine, vera: Machine) -> Iterator[Machine]:
    """Vera's machine, after the administrator let her use the cluster."""
    enable, *assign = BLOCKS["Let somebody use a cluster"][0].splitlines(keepends=True)
    administrator.shell.run(f"{enable.rstrip()} --yes")
    administrator.shell.run("".join(assign))
    yield vera
    off = enable.replace("enable-features", "disable-features").rstrip()
    administrator.shell.run(f"{off} --yes")


@pytest.fixture(scope="module")
def proxied(granted: Machine, people: People) -> Iterator[Proxy]:
    """Her proxy, by the page's commands."""
    sign_in, proxy, _ = commands(BLOCKS["Let somebody use a cluster"][1])
    person = granted.place
    assert isinstance(person, Person)
    known = {EXAMPLE: person.server, "towrope-ca.pem": str(people.authority)}
    person.towrope(*(known.get(word, word) for word in sign_in[1:]))
    port = free_port()
    words = [*proxy[1:], "--port", str(port)]
    child = person.start(words, name="proxy", sign="Start sending kubectl requests")
    try:
        yield Proxy(
            child=child,
            kubeconfig=Path(person.environment["KUBECONFIG"]),
            port=port,
            cluster=person.cluster,
            environment=person.environment,
        )
    finally:
        child.stop()


def refusal(machine: Machine, command: str) -> str:
    done = machine.shell.run(command, check=False)
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_az_works_by_what_az_setup_prints(administrator: Machine) -> None:
    who = "az account show --query user.name -o tsv"
    assert administrator.shell.out(who).strip() == administrator.shell.known["APP_ID"]


def test_looking_around(administrator: Machine, granted: Machine) -> None:
    said = administrator.shell.out(BLOCKS["Look around"][0])
    assert "Azure Arc Kubernetes Viewer" in said
    assert "vera@contoso.example" in said
    assert "shop-17" in said
    assert granted is not None


def test_az_is_made_to_know_the_server_by_hand(granted: Machine, people: People) -> None:
    said = granted.shell.out(BLOCKS["Make `az` know the server, once"][0])
    facts = json.loads((people.installation.folder / "administrator.json").read_text())
    printed = said.partition("=")[2].split()[0].replace(":", "").lower()
    assert facts["caFingerprint"] == f"SHA256:{printed}"
    with_browser, _ = BLOCKS["Sign in"]
    granted.shell.run(with_browser)
    me = "az ad signed-in-user show --query userPrincipalName -o tsv"
    assert granted.shell.out(me).strip() == "vera@contoso.example"
    mine = "az resource list --query [].name -o tsv"
    assert granted.shell.out(mine).strip() == "", "neither of her roles reads the resource"


def test_who_is_let_in_uses_kubectl_until_the_role_is_taken_away(
    administrator: Machine, granted: Machine, proxied: Proxy
) -> None:
    *_, kubectl = BLOCKS["Let somebody use a cluster"][1].splitlines()

    def sees_pods() -> bool:
        return "towrope-agent" in granted.shell.run(kubectl, check=False).stdout

    until(sees_pods, within=WITHIN, described="the role is there")
    assert "forbidden" in refusal(granted, "kubectl get secrets -A").lower()
    assert proxied.child is not None
    administrator.shell.run(BLOCKS["Let somebody use a cluster"][2])
    until(lambda: not sees_pods(), within=WITHIN, described="it is gone")
    assert SENTENCE in refusal(granted, kubectl)


def test_az_setup_does_it_too(granted: Machine, proxied: Proxy) -> None:
    assert proxied.child is not None
    granted.shell.run("rm -r $AZURE_CONFIG_DIR")
    lines = granted.shell.out("towrope cloud az-setup --run").splitlines()
    assert lines[-1] == "az login"
    granted.shell.run("\n".join(lines))
    shown = "az cloud show --query endpoints.resourceManager -o tsv"
    assert granted.shell.out(shown).strip() == granted.shell.known[EXAMPLE]


def test_a_test_runs_every_command_that_the_page_says_works() -> None:
    table = PAGE.read_text().partition("## What works")[2].partition("\n## ")[0]
    named = re.findall(r"`az ([a-z- ]+)`", table)
    assert len(named) > 40
    tests = [*CONFORMANCE.glob("test_azure_cli*.py"), CONFORMANCE.parent / "fixtures/azure_cli.py"]
    source = " ".join(path.read_text() for path in tests)
    run = re.sub(r'[",\[(\s]+', " ", source)
    assert [each for each in named if f" {each} " not in run] == []
