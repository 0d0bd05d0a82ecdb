"""`towrope role definition`: roles of one's own."""

import json

from tests.client.conftest import Shell

PODS = "Microsoft.Kubernetes/connectedClusters/pods/read"
SECRETS = "Microsoft.Kubernetes/connectedClusters/secrets/read"
ROLE = ("role", "definition")


def subscription(shell: Shell) -> str:
    return "/subscriptions/" + shell.ok("account", "show", "--query", "id", "-o", "tsv").strip()


def test_life_of_a_role(inside: Shell) -> None:
    written = {
        "Name": "Pod Reader",
        "Description": "Reads pods.",
        "DataActions": [PODS],
        "AssignableScopes": [subscription(inside)],
    }
    path = inside.folder / "role.json"
    path.write_text(json.dumps(written))
    made = inside.json(*ROLE, "create", "--role-definition", f"@{path}")
    assert (made["roleName"], made["roleType"]) == ("Pod Reader", "CustomRole")
    assert made["permissions"][0]["dataActions"] == [PODS]
    shown = inside.json(*ROLE, "show", "--name", "pod reader")
    assert shown == made
    assert inside.json(*ROLE, "show", "--id", made["id"]) == made
    assert inside.json(*ROLE, "list", "--custom-role-only") == [made]
    shown["permissions"][0]["dataActions"].append(SECRETS)
    shown["roleName"] = "Pod and Secret Reader"
    changed = inside.json(*ROLE, "update", "--role-definition", json.dumps(shown))
    assert changed["id"] == made["id"]
    assert changed["roleName"] == "Pod and Secret Reader"
    assert changed["permissions"][0]["dataActions"] == [PODS, SECRETS]
    by_name = {"Name": "Pod and Secret Reader", "DataActions": [PODS]}
    changed = inside.json(*ROLE, "update", "--role-definition", json.dumps(by_name))
    assert changed["assignableScopes"] == made["assignableScopes"], "as they were"
    inside.ok(*ROLE, "delete", "--name", "Pod and Secret Reader")
    assert "Did you mean" in inside.error(3, *ROLE, "show", "--name", "Readr")
    assert inside.json(*ROLE, "list", "--custom-role-only") == []


def test_built_in_roles(inside: Shell) -> None:
    listed = inside.json(*ROLE, "list")
    named = [role["roleName"] for role in listed]
    assert named == sorted(named, key=str.lower)
    assert {"Owner", "Azure Arc Kubernetes Viewer"} <= set(named)
    (found,) = inside.json(*ROLE, "list", "--name", "azure arc kubernetes viewer")
    assert found["name"] == "63f0a09d-1495-4db4-a681-037d84835eb4"
    assert "stays as it is" in inside.error(1, *ROLE, "delete", "--name", "Owner")
    changed = '{"Name": "Owner", "Actions": []}'
    assert "stays as it is" in inside.error(1, *ROLE, "update", "--role-definition", changed)
    table = inside.ok(*ROLE, "list", "-o", "table").splitlines()
    assert table[0].split() == ["Name", "Type"]
    assert max(map(len, table)) <= 80


def test_what_is_wrong_is_told(inside: Shell) -> None:
    create = (*ROLE, "create", "--role-definition")
    assert "AssignableScopes" in inside.error(2, *create, '{"Name": "x"}')
    assert "as expected" in inside.error(2, *create, "{")
    assert "Cannot read" in inside.error(3, *create, "@none.json")
    assert "one of --name and --id" in inside.error(2, *ROLE, "show")
