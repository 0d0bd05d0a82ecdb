import pytest
from starlette.routing import Mount

from tests.control.conftest import Plane
from towrope.control.authority import LIST_CREDENTIAL, may
from towrope.control.principal import Principal
from towrope.control.routing import CaselessRoute
from towrope.control.store.groups import ADMINISTRATORS, MemberKind


def principal(*groups: str) -> Principal:
    return Principal(
        object_id="0b1f6471-1bf0-4dda-aec3-cb9272f09590",
        kind=MemberKind.USER,
        name="ada@example.org",
        groups=frozenset(groups),
    )


@pytest.mark.parametrize(
    ("action", "is_allowed"),
    [
        ("Microsoft.Kubernetes/connectedClusters/read", True),
        ("microsoft.kubernetes/CONNECTEDCLUSTERS/READ", True),
        (LIST_CREDENTIAL, True),
        (LIST_CREDENTIAL.upper(), True),
        ("Microsoft.Kubernetes/connectedClusters/write", False),
        ("Microsoft.Kubernetes/connectedClusters/delete", False),
        ("Microsoft.Kubernetes/connectedClusters/read/write", False),
        ("Microsoft.Relay/namespaces/hybridConnections/authorizationRules/listKeys/action", False),
        ("Microsoft.Kubernetes/connectedClusters/spread", False),
        ("Towrope.Directory/me/changePassword/action", True),
        ("Towrope.Directory/users/revokeSignInSessions/action", False),
        ("Towrope.Directory/members/write", False),
        ("", False),
    ],
)
def test_only_administrators_may_do_more_than_read_and_reach(action: str, is_allowed: bool) -> None:
    assert may(principal("another-group"), action) is is_allowed
    assert may(principal(ADMINISTRATORS), action)


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
