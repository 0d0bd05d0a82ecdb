from towrope.control.roles.breadth import breadth
from towrope.control.roles.built_in import BUILT_IN_ROLES
from towrope.control.roles.definition import Permission, RoleDefinition
from towrope.wire.data_actions import PREFIX

BY_NAME = {
    role.name.removeprefix("Azure Arc Kubernetes "): breadth(role) for role in BUILT_IN_ROLES
}


def test_the_built_in_roles_in_their_order() -> None:
    for order in (
        ["Viewer", "Writer", "Admin", "Cluster Admin"],
        ["Reader", "User Access Administrator", "Contributor", "Owner"],
    ):
        sizes = [BY_NAME[name] for name in order]
        assert sizes == sorted(set(sizes))


def test_a_custom_role_is_as_small_as_what_it_allows() -> None:
    def of(*data_actions: str, without: tuple[str, ...] = ()) -> int:
        permission = Permission(data_actions=data_actions, not_data_actions=without)
        return breadth(RoleDefinition(id="r", name="R", permissions=(permission,)))

    assert of() == 0
    assert of(f"{PREFIX}pods/read") == 1
    assert of(f"{PREFIX}pods/read") < of(f"{PREFIX}pods/*") < of(f"{PREFIX}*")
    assert of("*", without=(f"{PREFIX}secrets/*",)) < of("*")
