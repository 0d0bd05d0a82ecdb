"""How a kubeconfig asks for a user's token: by `towrope get-token`, as an exec plugin (KEP-541)."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from towrope.client.get_token import API_VERSION
from towrope.client.profile import Account
from towrope.client.token_cache import ENVIRONMENT

INSTALL_HINT = "Install Towrope (pip install towrope), then write the kubeconfig anew."


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialPlugin:
    """A command that prints a credential; nothing in it is a secret."""

    command: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()

    def as_exec(self) -> dict[str, object]:
        """The `exec` of a kubeconfig's user."""
        return {
            "apiVersion": API_VERSION,
            "command": self.command,
            "args": list(self.arguments),
            "env": [{"name": name, "value": value} for name, value in self.environment] or None,
            "installHint": INSTALL_HINT,
            "interactiveMode": "IfAvailable",
            "provideClusterInfo": False,
        }


def plugin_for(account: Account, cluster_id: str) -> CredentialPlugin:
    """The plugin that gives the account's tokens for one cluster, here and with this folder."""
    command, *first = _executable()
    words = ["get-token", "--cluster", cluster_id, "--server", account.server]
    words += ["--account", account.name]
    if account.issuer_name:
        words += ["--issuer", account.issuer_name]
    folder = os.environ.get(ENVIRONMENT)
    environment = ((ENVIRONMENT, str(Path(folder).absolute())),) if folder else ()
    return CredentialPlugin(command=command, arguments=(*first, *words), environment=environment)


def _executable() -> list[str]:
    """What runs this very program, from whatever folder kubectl is started in."""
    # Beside the interpreter is where it is installed; it starts faster than a module.
    suffix = ".exe" if os.name == "nt" else ""
    for script in (Path(sys.argv[0]), Path(sys.executable).with_name(f"towrope{suffix}")):
        if script.stem == "towrope" and script.is_file() and os.access(script, os.X_OK):
            return [str(script.absolute())]
    # Without -P, modules of the folder that kubectl is started in would come first.
    return [sys.executable, "-P", "-m", "towrope.main"]
