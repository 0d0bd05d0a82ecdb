"""`towrope role assignment explain`: what a person reads of it."""

import shlex

import pytest

from tests.client.conftest import Shell
from tests.client.people import User, make_user
from tests.fixtures.server import Server
from towrope.client.cli.role_explanation import said
from towrope.client.rest import Json

EXPLAIN = ("role", "assignment", "explain")
READ = "Microsoft.Kubernetes/connectedClusters/read"
CLUSTER = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/c"


@pytest.fixture(scope="module")
def user(live_server: Server) -> User:
    return make_user(live_server, "explained", reaches=False)


def test_what_is_missing_is_a_command_that_gives_it(inside: Shell, user: User) -> None:
    words = (*EXPLAIN, "--assignee", user.name, "-g", "shops", "--action", READ)
    text = inside.ok(*words)
    assert text.startswith("Not allowed. ")
    assert "has no role assignment" in text
    remedy = shlex.split(text.splitlines()[-1])
    assert remedy[0] == "towrope"
    inside.ok(*remedy[1:])
    text = inside.ok(*words)
    assert text.startswith("Allowed. ")
    assert "which allows it" in text
    answer = inside.json(*words, "-o", "json")
    assert answer["accessDecision"] == "Allowed"
    assert answer["principal"]["id"] == user.object_id
    inside.ok("role", "assignment", "delete", "--assignee", user.name, "-g", "shops")


def test_what_is_to_be_asked(inside: Shell, user: User) -> None:
    who = (*EXPLAIN, "--assignee", user.name)
    assert "Say what" in inside.error(2, *who, "-g", "shops")
    assert "Say what" in inside.error(2, *who, "-g", "shops", "--verb", "get")
    assert "Say who and where" in inside.error(2, *who, "--action", READ)
    assert "Say who and where" in inside.error(2, *EXPLAIN, "-g", "shops", "--action", READ)
    group = inside.ok("group", "show", "-n", "shops", "--query", "id", "-o", "tsv").strip()
    scope = f"{group}/providers/Microsoft.Kubernetes/connectedClusters/none"
    words = ("--scope", scope, "--verb", "get", "--resource", "deployments.apps/scale")
    assert "connectedClusters/none" in inside.error(3, *who, *words)


def test_the_whole_chain_is_said() -> None:
    """As the server answers for a cluster in which role assignments decide."""
    native = {
        "clusterRole": "towrope:role:r",
        "bindingKind": "RoleBinding",
        "binding": "towrope:role:r",
        "namespace": "tills",
        "rule": {"verbs": ["get"], "apiGroups": ["", "apps"], "resources": ["pods"]},
    }
    finding: Json = {
        "scope": f"{CLUSTER}/namespaces/tills",
        "role": {"roleName": "Viewer"},
        "through": [{"id": "1", "displayName": "Shops"}, {"id": "2", "displayName": None}],
        "lacks": None,
        "pattern": "*/read",
        "native": native,
    }
    elsewhere = {**native, "namespace": "", "rule": None}
    other = {**finding, "through": [], "lacks": "TakenAway", "pattern": None, "native": elsewhere}
    answer = {
        "accessDecision": "NotAllowed",
        "reason": "Because.",
        "principal": {"id": "ada", "name": None},
        "scope": CLUSTER,
        "namespace": "tills",
        "findings": [finding, other],
        "nearestRoles": [{"roleName": "Azure Arc Kubernetes Viewer"}],
    }
    remedy = "towrope role assignment create --role 'Azure Arc Kubernetes Viewer'"
    remedy += f" --assignee-object-id ada --scope {CLUSTER}/namespaces/tills"
    assert said(answer).splitlines() == [
        "Not allowed. Because.",
        "",
        "ada",
        "  in the group Shops > 2",
        "  has the role 'Viewer', which allows it",
        f"    at       {CLUSTER}/namespaces/tills",
        "    pattern  */read",
        "    native   RoleBinding towrope:role:r in namespace tills",
        "    rule     get on pods (core, apps)",
        "  has the role 'Viewer', which takes it away",
        f"    at       {CLUSTER}/namespaces/tills",
        "    native   RoleBinding towrope:role:r",
        "",
        "These roles would allow it, the smallest first:",
        "  Azure Arc Kubernetes Viewer",
        "",
        "Give one:",
        f"  {remedy}",
    ]
