import pytest

from towrope.control import custom_roles
from towrope.control.arm_error import ArmError
from towrope.control.roles.definition import Permission

OURS = "/subscriptions/s"
CLUSTER = f"{OURS}/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/c"
READ_PODS = "Microsoft.Kubernetes/connectedClusters/pods/read"


def refused(error: pytest.ExceptionInfo[ArmError]) -> str:
    assert error.value.answer == 400
    return error.value.code


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "a" * 129])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ArmError) as error:
        custom_roles.name(name)
    assert refused(error) == "RoleDefinitionNameInvalid"


def test_a_name_and_a_description() -> None:
    assert custom_roles.name("Leser für Läden") == "Leser für Läden"
    assert custom_roles.description("x" * 2048)
    with pytest.raises(ArmError) as error:
        custom_roles.description("x" * 2049)
    assert refused(error) == "RoleDefinitionDescriptionTooLong"


@pytest.mark.parametrize(
    "scope",
    [
        "/subscriptions/other",
        "/subscriptions",
        "/subscriptions/s/resourceGroups/*",
        "/providers/Microsoft.Management/managementGroups/m",
        f"{CLUSTER}/namespaces/n",
    ],
)
def test_a_scope_where_no_role_can_be_assigned(scope: str) -> None:
    with pytest.raises(ArmError) as error:
        custom_roles.assignable_scopes([OURS, scope], subscription="s")
    assert refused(error) == "InvalidAssignableScope"


def test_scopes() -> None:
    group = f"{OURS}/resourceGroups/g"
    given = ["/", OURS, group, f"{group}/", OURS.upper()]
    found = custom_roles.assignable_scopes(given, subscription="s")
    assert found == ("/", OURS, group, OURS.upper())
    for number in (0, 101):
        with pytest.raises(ArmError) as error:
            custom_roles.assignable_scopes([OURS] * number, subscription="s")
        assert refused(error) == "MissingAssignableScopes"


@pytest.mark.parametrize(
    "permission",
    [
        Permission(actions=("",)),
        Permission(actions=("a b",)),
        Permission(not_actions=("a\n",)),
        Permission(actions=("*/*/*",)),
        Permission(actions=("x" * 257,)),
        Permission(data_actions=("Microsoft.Storage/blobs/read",)),
        Permission(actions=("*",), not_data_actions=("ä",)),
    ],
)
def test_an_action_that_is_none(permission: Permission) -> None:
    with pytest.raises(ArmError) as error:
        custom_roles.permissions([permission])
    assert refused(error) == "InvalidActionOrNotAction"


def test_permissions() -> None:
    good = [
        Permission(actions=("*",), not_actions=("Microsoft.Authorization/*/write",)),
        Permission(data_actions=(READ_PODS, "*"), not_data_actions=("*/delete",)),
    ]
    assert custom_roles.permissions(good) == tuple(good)
    for given in ([], [Permission()], good * 9, [Permission(actions=("a/b",) * 1025)]):
        with pytest.raises(ArmError) as error:
            custom_roles.permissions(given)
        assert refused(error) == "InvalidPermissions"
