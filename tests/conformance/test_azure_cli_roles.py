"""The real `az role`: definitions, assignments, and what a person may do who has one."""

import json
import uuid
from pathlib import Path
from typing import Any

from tests.conformance.conftest import CLUSTER, GROUP, PASSWORD, Site
from tests.fixtures.azure_cli import azure_at
from tests.fixtures.people import browser_environment
from towrope.wire import names

VIEWER = "Azure Arc Kubernetes Viewer"
VIEWER_ID = "63f0a09d-1495-4db4-a681-037d84835eb4"


def test_role_definitions(site: Site) -> None:
    (viewer,) = site.az.json("role", "definition", "list", "--name", VIEWER)
    assert (viewer["name"], viewer["roleName"]) == (VIEWER_ID, VIEWER)
    assert viewer["roleType"] == "BuiltInRole"
    assert f"{names.CLUSTER_TYPE}/pods/read" in viewer["permissions"][0]["dataActions"]
    assert f"{names.CLUSTER_TYPE}/secrets/read" not in viewer["permissions"][0]["dataActions"]
    (same,) = site.az.json("role", "definition", "list", "--name", VIEWER_ID)
    assert same == viewer
    assert site.az.json("role", "definition", "list", "--name", "Nobodys Role") == []


def test_a_custom_role_comes_and_goes(site: Site, tmp_path: Path) -> None:
    scope = f"/subscriptions/{site.server.subscription}"
    role = {
        "Name": "Deployment Reader",
        "Description": "Sees deployments.",
        "Actions": [],
        "NotActions": [],
        "DataActions": [f"{names.CLUSTER_TYPE}/apps/deployments/read"],
        "NotDataActions": [],
        "AssignableScopes": [scope],
    }
    file = tmp_path / "role.json"
    file.write_text(json.dumps(role))
    made = site.az.json("role", "definition", "create", "--role-definition", f"@{file}")
    assert made["roleType"] == "CustomRole"
    (listed,) = site.az.json("role", "definition", "list", "--custom-role-only")
    assert listed["id"] == made["id"]
    file.write_text(json.dumps({**role, "Description": "Sees how many there are."}))
    changed = site.az.json("role", "definition", "update", "--role-definition", f"@{file}")
    assert (changed["name"], changed["description"]) == (made["name"], "Sees how many there are.")
    site.az.run("role", "definition", "delete", "--name", "Deployment Reader")
    assert site.az.json("role", "definition", "list", "--custom-role-only") == []


def assign(site: Site, *words: str) -> Any:
    command = ["role", "assignment", "create", "--role", VIEWER, "--scope", site.cluster_id]
    return site.az.json(*command, *words)


def assigned(site: Site, *words: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = site.az.json(
        "role", "assignment", "list", "--scope", site.cluster_id, *words
    )
    return listed


def test_a_role_is_assigned_to_a_user_by_name(site: Site) -> None:
    who = ["--assignee", site.user_principal_name]
    made = assign(site, *who)
    assert (made["principalId"], made["principalType"]) == (site.user_id, "User")
    assert made["scope"] == site.cluster_id
    again = assign(site, *who)
    assert again["id"] == made["id"], "what is there already is no error"
    (listed,) = assigned(site, *who)
    assert listed["roleDefinitionName"] == VIEWER
    assert listed["principalName"] == site.user_principal_name
    site.az.run("role", "assignment", "delete", "--ids", made["id"])
    assert assigned(site, *who) == []


def test_a_role_is_assigned_to_a_group_by_its_object_id(site: Site) -> None:
    made = assign(site, "--assignee", site.group_id)
    assert (made["principalId"], made["principalType"]) == (site.group_id, "Group")
    site.az.run(
        "role", "assignment", "delete", "--assignee", site.group_id, "--role", VIEWER,
        "--scope", site.cluster_id,
    )  # fmt: skip
    assert assigned(site, "--assignee", site.group_id) == []


def test_a_role_is_assigned_in_a_namespace(site: Site) -> None:
    scope = f"{site.cluster_id}/namespaces/tills"
    who = ["--assignee-object-id", site.user_id, "--assignee-principal-type", "User"]
    command = ["role", "assignment", "create", "--role", VIEWER_ID, "--scope", scope, *who]
    assert site.az.json(*command)["scope"] == scope
    (here,) = site.az.json("role", "assignment", "list", "--scope", scope)
    assert here["scope"] == scope
    assert assigned(site) == [], "it is below the cluster"
    (of_all,) = site.az.json("role", "assignment", "list", "--all", "--assignee", site.user_id)
    assert of_all["id"] == here["id"]
    site.az.run("role", "assignment", "delete", "--ids", here["id"])


def test_assignments_above_are_listed_where_they_are_asked_for(site: Site) -> None:
    scope = f"/subscriptions/{site.server.subscription}"
    command = ["role", "assignment", "create", "--role", "Reader", "--scope", scope]
    made = site.az.json(*command, "--assignee", site.user_principal_name)
    assert assigned(site) == []
    assert [each["id"] for each in assigned(site, "--include-inherited")] == [made["id"]]
    site.az.run("role", "assignment", "delete", "--ids", made["id"])


def test_whom_another_issuer_vouches_for_is_named_by_object_id(site: Site) -> None:
    who = ["--assignee-object-id", str(uuid.uuid4()), "--assignee-principal-type", "User"]
    made = assign(site, *who)
    (listed,) = assigned(site)
    assert listed["principalId"] == made["principalId"] == who[1]
    site.az.run("role", "assignment", "delete", "--ids", made["id"])


def test_what_cannot_be_assigned_is_told_in_words(site: Site) -> None:
    nobody = ["--assignee", "nobody@contoso.example"]
    command = ["role", "assignment", "create", "--scope", site.cluster_id]
    assert "Cannot find user" in site.az.fails(1, *command, "--role", VIEWER, *nobody)
    someone = ["--assignee", site.user_principal_name]
    assert "doesn't exist" in site.az.fails(1, *command, "--role", "Nobodys Role", *someone)


def test_a_person_with_a_role_sees_what_it_allows(
    site: Site, azure_python: Path, tmp_path: Path
) -> None:
    scope = ["--scope", f"{site.cluster_id.rpartition('/providers/')[0]}"]
    who = ["--assignee", site.user_principal_name]
    made = site.az.json("role", "assignment", "create", "--role", "Reader", *scope, *who)
    hers = azure_at(tmp_path, azure_python, site.server.ca_file)
    hers.register(site.server.url)
    hers.sign_in_with_browser(
        browser_environment(
            site.server.ca_file, username=site.user_principal_name, password=PASSWORD
        )
    )
    me = hers.json("ad", "signed-in-user", "show")
    assert (me["id"], me["userPrincipalName"]) == (site.user_id, site.user_principal_name)
    assert [each["name"] for each in hers.json("resource", "list")] == [CLUSTER]
    refused = hers.fails(1, "group", "delete", "-n", GROUP, "--yes")
    assert "AuthorizationFailed" in refused
    assert "resourceGroups/delete" in refused
    command = ["role", "assignment", "create", "--role", "Owner", *scope, *who]
    assert "Microsoft.Authorization/roleAssignments/write" in hers.fails(1, *command)
    site.az.run("role", "assignment", "delete", "--ids", made["id"])


def test_what_a_robot_needs_in_one_command(site: Site) -> None:
    words = ["-n", "robot", "--role", "Reader", "--scopes", site.cluster_id]
    made = site.az.json("ad", "sp", "create-for-rbac", *words)
    assert made.keys() == {"appId", "displayName", "password", "tenant"}
    (assigned,) = site.az.json("role", "assignment", "list", "--scope", site.cluster_id)
    assert assigned["principalName"] == made["appId"]
    assert assigned["roleDefinitionName"] == "Reader"
    site.az.run("ad", "sp", "delete", "--id", made["appId"])
