import pytest

from towrope.control.roles.decision import Held, allowed_by
from towrope.control.roles.definition import Permission, RoleDefinition
from towrope.control.roles.scope import Scope

GROUP = Scope(path="/subscriptions/s/resourceGroups/shops")
CLUSTER = Scope(path=f"{GROUP.path}/providers/Microsoft.Kubernetes/connectedClusters/shop-17")
NAMESPACE = Scope(path=f"{CLUSTER.path}/namespaces/web")
READ = "Microsoft.Kubernetes/connectedClusters/read"
WRITE = "Microsoft.Kubernetes/connectedClusters/write"


def held(scope: Scope, *permissions: Permission) -> Held:
    role = RoleDefinition(id="role", name="Role", permissions=permissions)
    return Held(assignment_id=scope.path, scope=scope, role=role)


READER = Permission(actions=("*/read",))
ALL_BUT_WRITE = Permission(actions=("*",), not_actions=("*/write",))
IN_CLUSTER = Permission(data_actions=("*",))


def test_nobody_may_anything_without_an_assignment() -> None:
    assert allowed_by([], action=READ, scope=CLUSTER) is None


def test_the_assignment_that_allows_is_named() -> None:
    wanted = held(GROUP, READER)
    others = [held(Scope(path="/subscriptions/other"), READER), held(GROUP, IN_CLUSTER)]
    assert allowed_by([*others, wanted], action=READ, scope=CLUSTER) is wanted


@pytest.mark.parametrize(
    ("given", "action", "scope"),
    [
        (held(GROUP, READER), WRITE, CLUSTER),
        (held(CLUSTER, READER), READ, GROUP),
        (held(GROUP, ALL_BUT_WRITE), WRITE, CLUSTER),
        (held(GROUP, IN_CLUSTER), READ, CLUSTER),
        (held(GROUP), READ, CLUSTER),
        (held(NAMESPACE, READER), READ, NAMESPACE),
        (held(NAMESPACE, READER), READ, CLUSTER),
    ],
)
def test_what_is_not_allowed(given: Held, action: str, scope: Scope) -> None:
    assert allowed_by([given], action=action, scope=scope) is None


def test_permissions_add_up() -> None:
    both = held(GROUP, ALL_BUT_WRITE, Permission(actions=(WRITE,)))
    assert allowed_by([both], action=WRITE, scope=CLUSTER) is both
