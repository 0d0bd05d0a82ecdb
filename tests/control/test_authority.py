import pytest
from starlette.requests import Request
from starlette.routing import Mount

from tests.control.conftest import Plane
from towrope.control.authority import (
    LIST_CREDENTIAL,
    READ_SUBSCRIPTION,
    READ_TENANTS,
    may,
    visible,
    where_visible,
)
from towrope.control.principal import Principal
from towrope.control.roles.built_in import BUILT_IN_ROLES, CLUSTER_USER
from towrope.control.roles.decision import Held
from towrope.control.roles.definition import Permission, RoleDefinition
from towrope.control.roles.scope import ROOT, Scope, Scopes
from towrope.control.routing import CaselessRoute
from towrope.control.store.groups import ADMINISTRATORS, MemberKind

GROUP = Scope(path="/subscriptions/s/resourceGroups/shops")
CLUSTER = Scope(path=f"{GROUP.path}/providers/Microsoft.Kubernetes/connectedClusters/shop-17")
NAMESPACE = Scope(path=f"{CLUSTER.path}/namespaces/web")
READ = "Microsoft.Kubernetes/connectedClusters/read"
WRITE = "Microsoft.Kubernetes/connectedClusters/write"
LIST_KEYS = "Microsoft.Relay/namespaces/hybridConnections/authorizationRules/listKeys/action"
ADD_MEMBER = "Towrope.Directory/members/write"
READ_USERS = "Towrope.Directory/users/read"
CHANGE_PASSWORD = "Towrope.Directory/me/changePassword/action"


def principal(*held: Held, issuer: str = "", groups: frozenset[str] = frozenset()) -> Principal:
    return Principal(
        object_id="0b1f6471-1bf0-4dda-aec3-cb9272f09590",
        kind=MemberKind.USER,
        name="ada@example.org",
        groups=groups,
        held=held,
        issuer=issuer,
    )


def holding(role: str, scope: Scope) -> Held:
    [found] = [each for each in BUILT_IN_ROLES if each.name == role]
    return Held(assignment_id="a", scope=scope, role=found)


def custom(*actions: str, scope: Scope = ROOT) -> Held:
    role = RoleDefinition(id="r", name="r", permissions=(Permission(actions=actions),))
    return Held(assignment_id="a", scope=scope, role=role)


@pytest.mark.parametrize(
    "action",
    [READ, WRITE, LIST_CREDENTIAL, LIST_KEYS, ADD_MEMBER, READ_SUBSCRIPTION, "", "*", "*/read"],
)
@pytest.mark.parametrize("scope", [ROOT, GROUP, CLUSTER, NAMESPACE])
def test_who_holds_nothing_may_nothing(action: str, scope: Scope) -> None:
    assert not may(principal(), action, scope)
    assert may(principal(groups=frozenset({ADMINISTRATORS})), action, scope)


@pytest.mark.parametrize(
    ("role", "assigned", "action", "scope", "expected"),
    [
        ("Reader", GROUP, READ, CLUSTER, True),
        ("Reader", GROUP, READ.upper(), Scope(path=CLUSTER.path.upper()), True),
        ("Reader", GROUP, READ, Scope(path="/subscriptions/s"), False),
        ("Reader", GROUP, WRITE, CLUSTER, False),
        ("Reader", GROUP, LIST_CREDENTIAL, CLUSTER, False),
        ("Reader", GROUP, LIST_KEYS, GROUP, False),
        ("Contributor", GROUP, WRITE, CLUSTER, True),
        ("Contributor", GROUP, "Microsoft.Authorization/roleAssignments/write", CLUSTER, False),
        ("Owner", GROUP, "Microsoft.Authorization/roleAssignments/write", CLUSTER, True),
        (CLUSTER_USER.name, CLUSTER, LIST_CREDENTIAL, CLUSTER, True),
        (CLUSTER_USER.name, CLUSTER, LIST_CREDENTIAL, GROUP, False),
        (CLUSTER_USER.name, CLUSTER, READ, CLUSTER, False),
        ("Azure Arc Kubernetes Cluster Admin", CLUSTER, LIST_CREDENTIAL, CLUSTER, False),
        ("Owner", NAMESPACE, READ, CLUSTER, False),
        ("Owner", NAMESPACE, READ, NAMESPACE, False),
    ],
)
def test_a_role_holds_at_its_scope_and_below(
    role: str, assigned: Scope, action: str, scope: Scope, expected: bool
) -> None:
    assert may(principal(holding(role, assigned)), action, scope) is expected


@pytest.mark.parametrize("role", ["Owner", "Contributor", "Reader", "User Access Administrator"])
def test_no_role_of_azures_gives_what_is_this_servers_own(role: str) -> None:
    guest = principal(holding(role, ROOT), issuer="dex")
    for action in (ADD_MEMBER, READ_USERS, "Towrope.Identity/issuers/read"):
        assert not may(guest, action, ROOT)


def test_a_custom_role_gives_it_where_it_names_it() -> None:
    guest = principal(custom("Towrope.Directory/*/read", "*"), issuer="dex")
    assert may(guest, READ_USERS, ROOT)
    assert may(guest, READ_USERS.upper(), ROOT)
    assert not may(guest, ADD_MEMBER, ROOT)
    for wide in ("*", "Tow*", "Towrope*", "*.Directory/users/read"):
        assert not may(principal(custom(wide), issuer="dex"), READ_USERS, ROOT)


def test_members_read_the_directory_and_guests_only_their_account() -> None:
    for action in (READ_USERS, READ_USERS.upper(), CHANGE_PASSWORD, READ_TENANTS):
        assert may(principal(), action, ROOT)
        assert may(principal(issuer="dex"), action, ROOT) is (action.lower() != READ_USERS.lower())
    assert not may(principal(), "Towrope.Identity/issuers/read", ROOT)
    assert not may(principal(), "Towrope.Directory/users/revokeSignInSessions/action", ROOT)


def test_who_holds_anything_in_the_subscription_sees_it() -> None:
    for scope in (ROOT, Scope(path="/subscriptions/S"), GROUP, NAMESPACE):
        holder = principal(holding("Azure Arc Kubernetes Viewer", scope))
        assert may(holder, READ_SUBSCRIPTION, Scope(path="/subscriptions/s"))
    elsewhere = principal(custom("Microsoft.Support/*", scope=Scope(path="/subscriptions/other")))
    assert not may(elsewhere, READ_SUBSCRIPTION, Scope(path="/subscriptions/s"))


@pytest.mark.parametrize(
    "caller",
    [
        principal(),
        principal(groups=frozenset({ADMINISTRATORS})),
        principal(holding("Reader", CLUSTER), holding("Contributor", GROUP)),
        principal(holding("Reader", NAMESPACE), holding(CLUSTER_USER.name, CLUSTER)),
        principal(holding("Azure Arc Kubernetes Viewer", ROOT), issuer="dex"),
        principal(custom("*/write", scope=GROUP)),
    ],
)
@pytest.mark.parametrize("action", [READ, WRITE, READ_SUBSCRIPTION, READ_USERS, LIST_CREDENTIAL])
def test_a_list_shows_what_may_be_done_and_nothing_else(caller: Principal, action: str) -> None:
    request = Request({"type": "http", "towrope.principal": caller})
    is_visible = visible(request, action)
    among = Scopes(where_visible(request, action))
    other = Scope(path=f"{CLUSTER.path}8")
    for scope in (ROOT, Scope(path="/subscriptions/s"), GROUP, CLUSTER, other, NAMESPACE):
        assert is_visible(scope.path) is may(caller, action, scope)
        assert among.cover(scope) or not is_visible(scope.path)


async def test_every_route_behind_authentication_says_which_action_it_is(plane: Plane) -> None:
    [guarded] = [route for route in plane.control.asgi.routes if isinstance(route, Mount)]
    routes = [route for route in guarded.routes if isinstance(route, CaselessRoute)]
    assert len(routes) == len(guarded.routes) > 10
    without = [
        (route.path, method)
        for route in routes
        for method in (route.methods or ())
        if not route.actions.get(method) and method != "HEAD"
    ]
    assert without == []
    assert all(route.actions.get("HEAD", "x") for route in routes)
