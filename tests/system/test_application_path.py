"""The documented path of an application: its object id is bound, and it signs in by itself."""

import json
from collections.abc import Iterator

import pytest

from tests.fixtures.audit import events, impersonated
from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import Installation, until
from tests.fixtures.people import People
from tests.fixtures.workplace import Proxy, Workplace
from towrope.wire.names import object_id_group

BINDING = "documented-application"


@pytest.fixture(scope="module")
def made(installation: Installation) -> dict[str, str]:
    words = ["ad", "sp", "create-for-rbac", "-n", "shop-deployer", "-o", "json"]
    credential: dict[str, str] = json.loads(installation.towrope(*words).stdout)
    return credential


@pytest.fixture(scope="module")
def object_id(made: dict[str, str], installation: Installation, cluster: Cluster) -> Iterator[str]:
    words = ["ad", "sp", "show", "--id", made["appId"], "--query", "id", "-o", "tsv"]
    found = installation.towrope(*words).stdout.strip()
    bind = ["create", "clusterrolebinding", BINDING, "--clusterrole", "cluster-admin"]
    cluster.kubectl(*bind, f"--user={found}")
    yield found
    cluster.kubectl("delete", "clusterrolebinding", BINDING)


@pytest.fixture(scope="module")
def its(
    made: dict[str, str],
    object_id: str,
    installation: Installation,
    people: People,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    """A proxy where nobody but the application ever signed in."""
    people.let_reach(object_id)
    folder = tmp_path_factory.mktemp("deployer")
    (folder / "home").mkdir()
    place = Workplace(folder=folder, cluster=installation.cluster, name=installation.name)
    words = ["login", "--service-principal", "-u", made["appId"], "-p", "-"]
    words += ["--server", installation.url, "--ca-file", str(people.authority)]
    place.towrope(*words, "--tenant", made["tenant"], input=made["password"])
    with place.proxy() as proxy:
        yield proxy


def test_kubectl_acts_as_the_application(its: Proxy, object_id: str, cluster: Cluster) -> None:
    assert "towrope-agent" in its.out("get", "pods", "-A")
    its.kubectl("get", "configmap", "the-deployer-was-here", check=False)
    seen = impersonated(cluster, "the-deployer-was-here")
    assert seen["username"] == object_id
    assert seen["groups"] == [object_id_group(object_id), "system:authenticated"]
    who = json.loads(its.out("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert (who["username"], who["uid"]) == (object_id, object_id)


def test_it_may_act_as_another_only_by_a_right_to(its: Proxy, people: People) -> None:
    """It is `cluster-admin`, and so may; a person without a right may not."""
    named = its.out("--as", "somebody", "auth", "whoami", "-o", "json")
    assert json.loads(named)["status"]["userInfo"]["username"] == "somebody"


def test_somebody_without_the_right_acts_as_nobody_else(people: People, cluster: Cluster) -> None:
    person = people.user("nat")
    person.sign_in()
    marker = "nat-as-somebody"
    with person.proxy() as proxy:
        # Not `get configmap`: kubectl asks for the API's resources first, and hides why it may not.
        words = ("get", "--raw", f"/api/v1/namespaces/default/configmaps/{marker}")
        refused = proxy.kubectl("--as", "somebody", *words, check=False)
        masters = proxy.kubectl(
            "--as", "somebody", "--as-group", "system:masters", *words, check=False
        )
    for answer in (refused, masters):
        assert b"cannot impersonate" in answer.stderr, answer.stderr
    assert events(cluster, marker) == []


def test_a_secret_that_is_reset_ends_what_it_gave(
    its: Proxy, made: dict[str, str], people: People
) -> None:
    (principal,) = people.directory.list_service_principals([f"appId eq '{made['appId']}'"])
    (credential,) = principal["passwordCredentials"]
    people.directory.remove_password(principal["id"], credential["keyId"])

    def is_refused() -> bool:
        return its.kubectl("get", "pods", check=False).returncode != 0

    until(is_refused, within=5, described="the application is refused")
