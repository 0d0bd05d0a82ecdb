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

COMMANDS: dict[str, Lazy | LazyGroup] = {
    "login": Lazy(f"{_CLI}.login:login", "Sign in to a server."),
    "logout": Lazy(f"{_CLI}.login:logout", "Sign out, and forget what was stored."),
    "account": LazyGroup(
        "account",
        help="The accounts that are signed in.",
        commands={
            "show": Lazy(f"{_CLI}.account:show", "Show the account in use."),
            "list": Lazy(f"{_CLI}.account:list_all", "List the accounts that are signed in."),
            "set": Lazy(f"{_CLI}.account:set_default", "Choose the account to use."),
            "get-access-token": Lazy(
                f"{_CLI}.account:get_access_token", "Get a token for the server's API."
            ),
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
            "delete": Lazy(f"{_CLI}.disconnect:delete", "Disconnect a cluster."),
            "proxy": Lazy(f"{_CLI}.proxy:proxy", "Reach a cluster with kubectl."),
        },
    ),
    "relay": RELAY,
    "completion": Lazy(f"{_CLI}.completion:completion", "Print the completion for a shell."),
}
