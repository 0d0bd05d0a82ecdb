"""People of other issuers: npm's oidc-provider end to end, and Entra's tokens in their shapes."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from joserfc.jwk import RSAKey

from tests.fixtures.audit import events, impersonated
from tests.fixtures.cluster import Cluster
from tests.fixtures.entra import ADA, ROBOT, SERVER_APPLICATION, EntraServer
from tests.fixtures.installation import Installation
from tests.fixtures.oidc_provider import CLIENT, OidcProvider
from tests.fixtures.people import People, browser_environment
from tests.fixtures.raw import ask as send_get
from tests.fixtures.raw import raw_connection
from tests.fixtures.workplace import Proxy, Workplace
from towrope.control.store.groups import MemberKind
from towrope.wire.names import external_object_id, object_id_group

ISSUER = "partners"


@dataclass(kw_only=True)
class Guest(Workplace):
    """Somebody with an account at the provider, and none here."""

    authorities: Path
    account: str = "ada"

    @property
    def environment(self) -> dict[str, str]:
        fields = browser_environment(self.authorities, login=self.account, password="any")
        return {**super().environment, **fields}


@pytest.fixture(scope="module")
def partners(
    installation: Installation, oidc_provider: OidcProvider, cluster: Cluster
) -> Iterator[None]:
    """The provider is trusted, and its group `devs` may look at everything."""
    words = ["issuer", "add", "-n", ISSUER, "--issuer-url", oidc_provider.url]
    words += ["--audience", CLIENT, "-c", CLIENT, "--ca-file", str(oidc_provider.ca_file)]
    words += ["--username-claim", "email"]
    installation.towrope(*words, *(f"--scope={name}" for name in oidc_provider.settings["scopes"]))
    bind = ["create", "clusterrolebinding", ISSUER, "--clusterrole=view"]
    cluster.kubectl(*bind, f"--group={ISSUER}:devs")
    yield
    cluster.kubectl("delete", "clusterrolebinding", ISSUER)
    installation.towrope("issuer", "remove", "-n", ISSUER, "--yes")


@pytest.fixture(scope="module")
def guest(
    partners: None,
    installation: Installation,
    oidc_provider: OidcProvider,
    people: People,
    tmp_path_factory: pytest.TempPathFactory,
) -> Guest:
    folder = tmp_path_factory.mktemp("guest")
    (folder / "home").mkdir()
    made = Guest(
        folder=folder,
        cluster=installation.cluster,
        name=installation.name,
        authorities=folder / "authorities.pem",
    )
    made.authorities.write_text(people.authority.read_text() + oidc_provider.ca)
    people.let_reach(external_object_id(oidc_provider.url, "ada"), MemberKind.USER)
    words = ["login", "--issuer", ISSUER, "--server", installation.url]
    made.towrope(*words, "--ca-file", str(people.authority))
    return made


@pytest.fixture(scope="module")
def theirs(guest: Guest) -> Iterator[Proxy]:
    with guest.proxy() as proxy:
        yield proxy


def test_a_person_of_the_provider_acts_under_its_prefix(theirs: Proxy, cluster: Cluster) -> None:
    assert "towrope-agent" in theirs.out("get", "pods", "-A")
    theirs.kubectl("get", "configmap", "a-guest-was-here", check=False)
    seen = impersonated(cluster, "a-guest-was-here")
    assert seen["username"] == f"{ISSUER}:ada@example.org"
    own = object_id_group(seen["uid"], is_external=True)
    groups = [f"{ISSUER}:devs", f"{ISSUER}:ops", own]
    assert seen["groups"] == [*groups, "system:authenticated"]
    who = json.loads(theirs.out("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert who["username"] == f"{ISSUER}:ada@example.org"


def test_the_kubeconfig_holds_none_of_its_tokens(theirs: Proxy) -> None:
    assert "eyJ" not in theirs.kubeconfig.read_text()


def test_the_providers_own_system_masters_is_nobody(
    guest: Guest, theirs: Proxy, cluster: Cluster
) -> None:
    """Its account `system:admin` is in its group `system:masters`."""
    place = replace(guest, folder=guest.folder / "admin", account="system:admin")
    (place.folder / "home").mkdir(parents=True)
    server = guest.towrope("account", "show", "--query", "server", "-o", "tsv").stdout.strip()
    words = ["login", "--issuer", ISSUER, "--server", server]
    signed_in = place.towrope(*words, "--ca-file", str(guest.authorities), check=False)
    if signed_in.returncode == 0:
        with place.proxy() as proxy:
            refused = proxy.kubectl("get", "configmap", "masters-were-here", check=False)
        assert refused.returncode != 0
    assert events(cluster, "masters-were-here") == []


# Entra.


@pytest.fixture(scope="module")
def contoso(installation: Installation, entra_key: RSAKey) -> Iterator[EntraServer]:
    """A tenant whose tokens are trusted, without a prefix, as Arc has it."""
    entra_server = EntraServer(str(uuid.uuid4()), entra_key)
    ca = installation.folder / "entra-ca.pem"
    ca.write_text(entra_server.ca)
    words = ["issuer", "add", "-n", "contoso", "--kind", "entra"]
    words += ["--tenant", entra_server.tokens.tenant, "--issuer-url", entra_server.url]
    words += ["--audience", SERVER_APPLICATION, "--ca-file", str(ca)]
    words += ["--username-prefix", "", "--groups-prefix", ""]
    installation.towrope(*words)
    yield entra_server
    installation.towrope("issuer", "remove", "-n", "contoso", "--yes")
    entra_server.close()


def ask(proxy: Proxy, token: str, marker: str) -> int:
    with raw_connection(proxy) as session:
        send_get(session, token, f"/api/v1/namespaces/default/configmaps/{marker}")
        return int(session.recv(65536).split()[1])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_user_of_entra_goes_by_the_principal_name(
    contoso: EntraServer, proxy: Proxy, cluster: Cluster, version: str
) -> None:
    marker = f"entra-{version}"
    token = contoso.tokens.v1() if version == "v1" else contoso.tokens.v2()
    assert ask(proxy, token, marker) == 403
    seen = impersonated(cluster, marker)
    assert seen["username"] == "ada@contoso.example"
    groups = ["0f3cfa0b-8a4f-4d6c-8a80-6a3e0b6c5d01", object_id_group(ADA, is_external=True)]
    assert seen["groups"] == [*groups, "system:authenticated"]
    assert seen["uid"] == ADA


def test_a_guest_and_an_application_go_by_the_object_id(
    contoso: EntraServer, proxy: Proxy, cluster: Cluster
) -> None:
    assert ask(proxy, contoso.tokens.guest(), "entra-guest") == 403
    assert impersonated(cluster, "entra-guest")["username"] == ADA
    assert ask(proxy, contoso.tokens.application(), "entra-application") == 403
    assert impersonated(cluster, "entra-application")["username"] == ROBOT


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "00000003-0000-0000-c000-000000000000"},
        {"tid": "00000000-0000-0000-0000-000000000000"},
        {"exp": 1_000_000_000},
        {"upn": "system:admin"},
        {"groups": ["system:masters"]},
    ],
    ids=["for Graph", "of another tenant", "expired", "a user of the cluster", "its masters"],
)
def test_a_token_of_entra_that_is_not_for_this_gets_401(
    contoso: EntraServer, proxy: Proxy, cluster: Cluster, claims: dict[str, object]
) -> None:
    assert ask(proxy, contoso.tokens.v1(**claims), "entra-wrong") == 401
    assert events(cluster, "entra-wrong") == []


def test_overage_that_nobody_can_resolve_gets_arcs_sentence(
    contoso: EntraServer, proxy: Proxy, cluster: Cluster
) -> None:
    with raw_connection(proxy) as session:
        send_get(session, contoso.tokens.overage(), "/api/v1/pods?marker=entra-overage")
        answer = session.recv(65536).decode()
        answer += session.recv(65536).decode() if "Overage" not in answer else ""
    assert answer.startswith("HTTP/1.1 401 ")
    assert "Overage claim (users with more than 200 group membership)" in answer
    assert events(cluster, "entra-overage") == []
