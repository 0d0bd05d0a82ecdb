"""The real `az` at the resource API: the commands of Azure's own instructions, as users type them.

The administrator runs them, at a server that no cluster stands behind.
"""

from pathlib import Path

from tests.conformance.conftest import CLUSTER, GROUP, Site
from tests.fixtures.azure_cli import CLOUD, azure_at
from towrope.wire import names


def test_the_account(site: Site) -> None:
    shown = site.az.json("account", "show")
    assert shown["environmentName"] == CLOUD
    assert shown["id"] == site.server.subscription
    assert shown["tenantId"] == site.server.tenant


def test_locations(site: Site) -> None:
    table = site.az.run("account", "list-locations", "-o", "table").stdout.splitlines()
    assert table[0].split() == ["DisplayName", "Name", "RegionalDisplayName"]
    assert [line.split()[1] for line in table[2:]] == ["local"]


def test_providers(site: Site) -> None:
    registered = ["provider", "register", "-n", "Microsoft.Kubernetes", "--wait"]
    assert site.az.run(*registered).returncode == 0
    shown = site.az.json("provider", "show", "-n", "Microsoft.Kubernetes")
    assert shown["registrationState"] == "Registered"
    types = {each["resourceType"].lower(): each for each in shown["resourceTypes"]}
    assert types["connectedclusters"]["locations"]
    assert types["connectedclusters"]["apiVersions"]
    table = site.az.run("provider", "list", "-o", "table").stdout
    assert "Microsoft.Kubernetes" in table
    assert "Microsoft.ExtendedLocation" in table


def test_an_unknown_provider_is_not_found(site: Site) -> None:
    said = site.az.fails(3, "provider", "show", "-n", "Microsoft.Nothing")
    assert "Microsoft.Nothing" in said


def test_resource_groups(site: Site) -> None:
    shown = site.az.json("group", "show", "-n", GROUP.upper())
    assert shown["name"] == GROUP
    assert shown["properties"]["provisioningState"] == "Succeeded"
    assert GROUP in [each["name"] for each in site.az.json("group", "list")]
    tagged = ["group", "list", "--query", "[].name", "--tag"]
    assert site.az.tsv(*tagged, "owner=me") == GROUP
    assert site.az.tsv(*tagged, "owner=you") == ""
    assert site.az.tsv("group", "exists", "-n", GROUP) == "true"
    assert site.az.tsv("group", "exists", "-n", "nothing") == "false"
    assert "ResourceGroupNotFound" in site.az.fails(3, "group", "show", "-n", "nothing")


def test_a_resource_group_comes_and_goes(site: Site) -> None:
    made = site.az.json("group", "create", "-n", "other", "-l", "local")
    assert made["id"].endswith("/resourceGroups/other")
    changed = site.az.json("group", "update", "-n", "other", "--set", "tags.team=till")
    assert changed["tags"] == {"team": "till"}
    site.az.run("group", "delete", "-n", "other", "--yes")
    assert site.az.tsv("group", "exists", "-n", "other") == "false"


def test_resources_are_listed(site: Site) -> None:
    every = site.az.json("resource", "list")
    assert [each["id"] for each in every] == [site.cluster_id]
    (here,) = site.az.json("resource", "list", "-g", GROUP, "--resource-type", names.CLUSTER_TYPE)
    assert (here["name"], here["type"], here["location"]) == (CLUSTER, names.CLUSTER_TYPE, "local")
    assert here["resourceGroup"] == GROUP
    none = ["resource", "list", "--resource-type", "Microsoft.Compute/virtualMachines"]
    assert site.az.json(*none) == []


def test_a_resource_is_shown_by_id_and_by_name(site: Site) -> None:
    by_id = site.az.json("resource", "show", "--ids", site.cluster_id)
    named = ["-g", GROUP, "-n", CLUSTER, "--resource-type", names.CLUSTER_TYPE]
    by_name = site.az.json("resource", "show", *named)
    assert by_id == by_name
    assert by_id["properties"]["connectivityStatus"] == "Connecting"
    shown = ["resource", "show", "--ids", site.cluster_id, "--query", "id"]
    assert site.az.tsv(*shown) == site.cluster_id


def test_a_tag_is_set(site: Site) -> None:
    site.az.run("resource", "tag", "--ids", site.cluster_id, "--tags", "floor=2")
    found = site.az.json("resource", "list", "--tag", "floor=2")
    assert [each["name"] for each in found] == [CLUSTER]
    assert site.az.json("resource", "list", "--tag", "floor=3") == []


def test_any_request(site: Site) -> None:
    url = f"{site.cluster_id}?api-version=2024-01-01"
    assert site.az.json("rest", "--method", "get", "--url", url)["id"] == site.cluster_id
    graph = f"{site.server.url}/v1.0/users/{site.user_principal_name}"
    assert site.az.json("rest", "--method", "get", "--url", graph)["id"] == site.user_id


def test_the_cloud_is_left_and_come_back_to(site: Site, azure_python: Path, tmp_path: Path) -> None:
    other = azure_at(tmp_path, azure_python, site.server.ca_file)
    other.register(site.server.url)
    other.sign_in(site.server.app_id, site.server.secret, site.server.tenant)
    other.run("cloud", "set", "-n", "AzureCloud")
    assert other.json("account", "list") == []
    other.run("cloud", "set", "-n", CLOUD)
    assert [each["name"] for each in other.json("account", "list")] == ["Towrope"]
    moved = ["--endpoint-resource-manager", site.server.url.replace("localhost", "127.0.0.1")]
    other.run("cloud", "update", "-n", CLOUD, *moved)
    assert other.tsv("cloud", "show", "--query", "endpoints.resourceManager") == moved[1]


def test_signing_out(site: Site, azure_python: Path, tmp_path: Path) -> None:
    other = azure_at(tmp_path, azure_python, site.server.ca_file)
    other.register(site.server.url)
    other.sign_in(site.server.app_id, site.server.secret, site.server.tenant)
    other.run("logout")
    assert "az login" in other.fails(1, "group", "list")
