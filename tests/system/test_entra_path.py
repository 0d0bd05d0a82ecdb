"""The documented path of a person: sign in, bind a role to the person's name, proxy, kubectl."""

import concurrent.futures
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.audit import impersonated
from tests.fixtures.browser import Chromium
from tests.fixtures.cluster import Cluster
from tests.fixtures.people import People, Person
from tests.fixtures.signing_in import device_code, enter_code
from tests.fixtures.workplace import Proxy, Workplace
from tests.fixtures.workshop import Workshop
from towrope.wire.names import object_id_group

BINDING = "documented-person"


@pytest.fixture(scope="module")
def grace(people: People, chromium: Chromium) -> Person:
    """Signed in by device code, in Chromium."""
    person = people.user("grace")
    words = ["--use-device-code", "--server", person.server, "--ca-file", str(person.authority)]
    with device_code(person, "login", *words) as code:
        chromium.visit(person.server, lambda page: enter_code(page, code, person))
    return person


@pytest.fixture(scope="module")
def entity(grace: Person, cluster: Cluster) -> Iterator[str]:
    """`AAD_ENTITY_ID`, which may do everything in the cluster."""
    words = ["ad", "signed-in-user", "show", "--query", "userPrincipalName", "-o", "tsv"]
    name = grace.towrope(*words).stdout.strip()
    bind = ["create", "clusterrolebinding", BINDING, "--clusterrole", "cluster-admin"]
    cluster.kubectl(*bind, f"--user={name}")
    yield name
    cluster.kubectl("delete", "clusterrolebinding", BINDING)


@pytest.fixture(scope="module")
def hers(grace: Person, entity: str) -> Iterator[Proxy]:
    with grace.proxy() as proxy:
        yield proxy


def test_kubectl_acts_as_the_person(
    hers: Proxy, entity: str, grace: Person, cluster: Cluster
) -> None:
    assert entity == grace.user_principal_name
    assert "towrope-agent" in hers.out("get", "pods", "-A")
    hers.kubectl("get", "configmap", "grace-was-here", check=False)
    seen = impersonated(cluster, "grace-was-here")
    assert seen["username"] == entity
    assert seen["groups"] == [object_id_group(grace.object_id), "system:authenticated"]
    assert seen["uid"] == grace.object_id


def test_whoami_tells_the_truth(hers: Proxy, entity: str, grace: Person) -> None:
    who = json.loads(hers.out("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert who["username"] == entity
    assert who["uid"] == grace.object_id
    assert who["groups"] == [object_id_group(grace.object_id), "system:authenticated"]
    assert hers.out("auth", "can-i", "*", "*").strip() == "yes"


def test_the_kubeconfig_holds_no_secret(hers: Proxy, grace: Person) -> None:
    view = json.loads(hers.out("config", "view", "--raw", "--minify", "-o", "json"))
    (user,) = view["users"]
    assert set(user["user"]) == {"exec"}
    text = hers.kubeconfig.read_text()
    assert "eyJ" not in text
    assert grace.password not in text


def test_what_streams_is_the_persons_too(hers: Proxy, workshop: Workshop) -> None:
    place = ["-n", workshop.namespace]
    assert (
        b"from the pod" in hers.kubectl("exec", *place, "web", "--", "echo", "from the pod").stdout
    )
    logs = hers.command("logs", *place, "-f", "ticker", "--tail=1")
    watch = hers.command("get", "pods", *place, "--watch", "-o", "name")
    for command in (logs, watch):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=hers.environment
        ) as running:
            assert running.stdout is not None
            assert running.stdout.readline()
            running.terminate()


def test_forty_at_once_ask_for_a_token_once(hers: Proxy, grace: Person) -> None:
    """The first of them finds no token; the others wait for what it gets."""
    grace.forget_tokens()
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        started = time.monotonic()
        names = list(
            pool.map(lambda _: hers.out("get", "namespace", "default", "-o", "name"), range(40))
        )
        elapsed = time.monotonic() - started
    assert names == ["namespace/default\n"] * 40
    assert elapsed < 60


def test_somebody_else_gets_nothing(people: People, ada: Person, entity: str) -> None:
    ada.sign_in()
    with ada.proxy() as proxy:
        refused = proxy.kubectl("get", "pods", "-A", check=False)
    assert refused.returncode != 0
    assert f'User "{ada.user_principal_name}" cannot list' in refused.stderr.decode()


def test_a_person_who_signs_out_is_told_to_sign_in(
    people: People, cluster: Cluster, tmp_path: Path
) -> None:
    person = people.user("ivy")
    person.sign_in()
    with person.proxy() as proxy:
        person.towrope("logout")
        refused = proxy.kubectl("get", "pods", check=False)
    assert refused.returncode != 0
    assert b"towrope login" in refused.stderr


def test_a_refresh_that_was_stolen_ends_with_its_use(people: People) -> None:
    """A copy of the folder: whoever refreshes second ends the session of both."""
    person = people.user("joan")
    person.sign_in()
    copied = Workplace(folder=person.folder / "copy", cluster=person.cluster, name=person.name)
    copied.folder.mkdir()
    subprocess.run(["cp", "-a", person.folder / "config", copied.folder / "config"], check=True)
    (copied.folder / "home").mkdir()
    for place in (person, copied):
        place.forget_tokens()
    assert person.towrope("account", "get-access-token", check=False).returncode == 0
    assert copied.towrope("account", "get-access-token", check=False).returncode != 0
    person.forget_tokens()
    ended = person.towrope("account", "get-access-token", check=False)
    assert ended.returncode != 0
    assert "towrope login" in ended.stderr
