"""The user's commands, in `az`'s shape.

`COMMANDS` names every one of them with its summary, so that help and completion import none; a
command's module, and what it needs, is imported when it runs.
"""

from towrope.client.cli.lazy import Lazy, LazyGroup

_CLI = "towrope.client.cli"

RELAY = LazyGroup(
    "relay",
    help="Manage hybrid connections that are no clusters.",
    commands={
        "hyco": LazyGroup(
            "hyco",
            help="Manage hybrid connections.",
            commands={
                "create": Lazy(f"{_CLI}.relay:create", "Create a hybrid connection."),
                "list": Lazy(f"{_CLI}.relay:list_all", "List hybrid connections."),
                "show": Lazy(f"{_CLI}.relay:show", "Show a hybrid connection."),
                "delete": Lazy(f"{_CLI}.relay:delete", "Delete a hybrid connection."),
                "authorization-rule": LazyGroup(
                    "authorization-rule",
                    help="Manage who may listen and send.",
                    commands={
                        "create": Lazy(f"{_CLI}.rule:create", "Create an authorization rule."),
                        "list": Lazy(f"{_CLI}.rule:list_all", "List authorization rules."),
                        "show": Lazy(f"{_CLI}.rule:show", "Show an authorization rule."),
                        "delete": Lazy(f"{_CLI}.rule:delete", "Delete an authorization rule."),
                        "keys": LazyGroup(
                            "keys",
                            help="The keys of an authorization rule.",
                            commands={
                                "list": Lazy(f"{_CLI}.rule:list_keys", "List the keys of a rule.")
                            },
                        ),
                    },
                ),
            },
        )
    },
)

AD = LazyGroup(
    "ad",
    help="Manage the server's directory: who can sign in.",
    commands={
        "user": LazyGroup(
            "user",
            help="Manage users.",
            commands={
                "create": Lazy(f"{_CLI}.ad_user:create", "Create a user."),
                "list": Lazy(f"{_CLI}.ad_user:list_all", "List users."),
                "show": Lazy(f"{_CLI}.ad_user:show", "Show a user."),
                "update": Lazy(f"{_CLI}.ad_user:update", "Change a user."),
                "delete": Lazy(f"{_CLI}.ad_user:delete", "Delete a user."),
                "get-member-groups": Lazy(
                    f"{_CLI}.ad_user:get_member_groups", "List the groups that a user is in."
                ),
            },
        ),
        "group": LazyGroup(
            "group",
            help="Manage groups.",
            commands={
                "create": Lazy(f"{_CLI}.ad_group:create", "Create a group."),
                "list": Lazy(f"{_CLI}.ad_group:list_all", "List groups."),
                "show": Lazy(f"{_CLI}.ad_group:show", "Show a group."),
                "delete": Lazy(f"{_CLI}.ad_group:delete", "Delete a group."),
                "get-member-groups": Lazy(
                    f"{_CLI}.ad_group:get_member_groups", "List the groups that a group is in."
                ),
                "member": LazyGroup(
                    "member",
                    help="Manage who is in a group.",
                    commands={
                        "add": Lazy(f"{_CLI}.ad_group:add_member", "Add a member."),
                        "remove": Lazy(f"{_CLI}.ad_group:remove_member", "Remove a member."),
                        "list": Lazy(f"{_CLI}.ad_group:list_members", "List the members."),
                        "check": Lazy(
                            f"{_CLI}.ad_group:check_member", "Tell whether somebody is in it."
                        ),
                    },
                ),
            },
        ),
        "sp": LazyGroup(
            "sp",
            help="Manage service principals: programs that sign in by themselves.",
            commands={
                "create-for-rbac": Lazy(
                    f"{_CLI}.ad_sp:create_for_rbac",
                    "Create a service principal with a credential.",
                ),
                "list": Lazy(f"{_CLI}.ad_sp:list_all", "List service principals."),
                "show": Lazy(f"{_CLI}.ad_sp:show", "Show a service principal."),
                "delete": Lazy(f"{_CLI}.ad_sp:delete", "Delete a service principal."),
                "credential": LazyGroup(
                    "credential",
                    help="Manage the secrets and certificates of a service principal.",
                    commands={
                        "reset": Lazy(f"{_CLI}.ad_credential:reset", "Give it a new one."),
                        "list": Lazy(f"{_CLI}.ad_credential:list_all", "List them."),
                        "delete": Lazy(f"{_CLI}.ad_credential:delete", "Take one away."),
                    },
                ),
            },
        ),
        "signed-in-user": LazyGroup(
            "signed-in-user",
            help="The user who is signed in.",
            commands={
                "show": Lazy(f"{_CLI}.ad_user:show_signed_in", "Show the user who is signed in.")
            },
        ),
    },
)

ROLE = LazyGroup(
    "role",
    help="Manage who may do what.",
    commands={
        "assignment": LazyGroup(
            "assignment",
            help="Manage who has which role where.",
            commands={
                "create": Lazy(f"{_CLI}.role_assignment:create", "Give somebody a role."),
                "list": Lazy(f"{_CLI}.role_assignment:list_all", "List role assignments."),
                "delete": Lazy(f"{_CLI}.role_assignment:delete", "Take roles away."),
                "explain": Lazy(
                    f"{_CLI}.role_explanation:explain", "Tell why somebody may do something or not."
                ),
            },
        ),
        "definition": LazyGroup(
            "definition",
            help="Manage roles: what they allow.",
            commands={
                "list": Lazy(f"{_CLI}.role_definition:list_all", "List roles."),
                "show": Lazy(f"{_CLI}.role_definition:show", "Show a role."),
                "create": Lazy(f"{_CLI}.role_definition:create", "Create a role."),
                "update": Lazy(f"{_CLI}.role_definition:update", "Change a role."),
                "delete": Lazy(f"{_CLI}.role_definition:delete", "Delete a role."),
            },
        ),
    },
)

COMMANDS: dict[str, Lazy | LazyGroup] = {
    "login": Lazy(f"{_CLI}.login:login", "Sign in to a server."),
    "logout": Lazy(f"{_CLI}.login:logout", "Sign out, and forget what was stored."),
    "get-token": Lazy(f"{_CLI}.get_token:get_token", "Print a token for a cluster, for kubectl."),
    "account": LazyGroup(
        "account",
        help="The accounts that are signed in.",
        commands={
            "show": Lazy(f"{_CLI}.account:show", "Show the account in use."),
            "list": Lazy(f"{_CLI}.account:list_all", "List the accounts that are signed in."),
            "set": Lazy(f"{_CLI}.account:set_default", "Choose the account to use."),
            "list-locations": Lazy(f"{_CLI}.account:list_locations", "List the locations."),
            "clear": Lazy(f"{_CLI}.account:clear", "Sign out of all accounts."),
            "get-access-token": Lazy(
                f"{_CLI}.account:get_access_token", "Get a token for the server's API."
            ),
        },
    ),
    "cloud": LazyGroup(
        "cloud",
        help="Give servers names, and choose the one to use.",
        commands={
            "register": Lazy(f"{_CLI}.cloud:register", "Give a server a name."),
            "set": Lazy(f"{_CLI}.cloud:set_active", "Choose the server to use."),
            "list": Lazy(f"{_CLI}.cloud:list_all", "List the servers that have a name."),
            "show": Lazy(f"{_CLI}.cloud:show", "Show a server that has a name."),
            "unregister": Lazy(f"{_CLI}.cloud:unregister", "Forget the name of a server."),
            "az-setup": Lazy(f"{_CLI}.az_setup:az_setup", "Make the Azure CLI know the server."),
        },
    ),
    "group": LazyGroup(
        "group",
        help="Manage resource groups.",
        commands={
            "create": Lazy(f"{_CLI}.group:create", "Create a resource group."),
            "list": Lazy(f"{_CLI}.group:list_all", "List resource groups."),
            "show": Lazy(f"{_CLI}.group:show", "Show a resource group."),
            "delete": Lazy(f"{_CLI}.group:delete", "Delete a resource group."),
        },
    ),
    "connectedk8s": LazyGroup(
        "connectedk8s",
        help="Manage connected clusters, and reach them.",
        commands={
            "connect": Lazy(f"{_CLI}.connect:connect", "Connect a cluster."),
            "list": Lazy(f"{_CLI}.connectedk8s:list_all", "List connected clusters."),
            "show": Lazy(f"{_CLI}.connectedk8s:show", "Show a connected cluster."),
            "update": Lazy(f"{_CLI}.connectedk8s:update", "Change a connected cluster's tags."),
            "delete": Lazy(f"{_CLI}.disconnect:delete", "Disconnect a cluster."),
            "enable-features": Lazy(f"{_CLI}.features:enable", "Enable features of a cluster."),
            "disable-features": Lazy(f"{_CLI}.features:disable", "Disable features of a cluster."),
            "proxy": Lazy(f"{_CLI}.proxy:proxy", "Reach a cluster with kubectl."),
        },
    ),
    "role": ROLE,
    "ad": AD,
    "relay": RELAY,
    "issuer": LazyGroup(
        "issuer",
        help="Manage whose people and programs may sign in.",
        commands={
            "add": Lazy(f"{_CLI}.issuer:add", "Trust an issuer, or change one."),
            "list": Lazy(f"{_CLI}.issuer:list_all", "List the trusted issuers."),
            "show": Lazy(f"{_CLI}.issuer:show", "Show a trusted issuer."),
            "remove": Lazy(f"{_CLI}.issuer:remove", "Trust an issuer no more."),
        },
    ),
    "config": LazyGroup(
        "config",
        help="Set what is meant where an option is left out.",
        commands={
            "set": Lazy(f"{_CLI}.config:set_values", "Set defaults."),
            "get": Lazy(f"{_CLI}.config:get", "Show the defaults."),
            "unset": Lazy(f"{_CLI}.config:unset", "Forget defaults."),
        },
    ),
    "completion": Lazy(f"{_CLI}.completion:completion", "Print the completion for a shell."),
}
