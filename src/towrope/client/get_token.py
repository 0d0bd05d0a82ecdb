"""The credential plugin of a kubeconfig, as long as it needs nobody else.

kubectl runs it at every start, often many at once, so it imports nothing that the interpreter has
not loaded anyway. A token that lasts is printed; otherwise one process at a time takes the long
way, and those that waited print what it brought.
"""

import os
import sys
import time

from towrope.client import token_cache

API_VERSION = "client.authentication.k8s.io/v1"
INFO_VARIABLE = "KUBERNETES_EXEC_INFO"
NEEDED = frozenset({"--cluster", "--server", "--account"})
KNOWN = NEEDED | {"--issuer"}
DEFAULT_SCOPE = "/.default"
TURN_WITHIN = 60.0
"""Seconds; whoever waited longer goes the long way too."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def run(arguments: "list[str]", ask: "Callable[[], int]") -> int:
    """Prints the token that is kept for a kubeconfig's arguments; `ask` is the long way."""
    path = _path(arguments)
    if path is None:
        return ask()
    if _answer(path):
        return 0
    return _in_turn(path, ask)


def _path(arguments: "list[str]") -> str | None:
    """Where the token would be, if these are arguments that `proxy` wrote."""
    given = dict(zip(arguments[::2], arguments[1::2], strict=False))
    is_plain = len(given) * 2 == len(arguments) and KNOWN >= given.keys() >= NEEDED
    if not is_plain:
        return None
    issuer = given.get("--issuer", "")
    principal = token_cache.principal_key(given["--server"], issuer, given["--account"])
    # As `sessions.cached_scope` has it.
    scope = "" if issuer else given["--cluster"] + DEFAULT_SCOPE
    return token_cache.token_path(token_cache.config_folder(), principal, scope)


def _answer(path: str) -> bool:
    """Prints the token that is kept, if it lasts."""
    found = token_cache.fresh(path)
    if found is None:
        return False
    sys.stdout.write(credential(*found) + "\n")
    return True


def credential(token: str, ends: int) -> str:
    """An ExecCredential (KEP-541); nothing in a token has a meaning in JSON."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
    return (
        f'{{"apiVersion":"{api_version()}","kind":"ExecCredential",'
        f'"status":{{"token":"{token}","expirationTimestamp":"{until}"}}}}'
    )


def api_version() -> str:
    """What kubectl expects: the version of the kubeconfig, which somebody may have changed."""
    beta = f"{API_VERSION}beta1"
    return beta if beta in os.environ.get(INFO_VARIABLE, "") else API_VERSION


def _in_turn(path: str, ask: "Callable[[], int]") -> int:
    from pathlib import Path

    from towrope.client.file_lock import locked
    from towrope.wire.errors import TowropeError

    try:
        with locked(Path(path), within=TURN_WITHIN, stale_after=TURN_WITHIN):
            return 0 if _answer(path) else ask()
    except (TowropeError, OSError):
        # There is no turn to be had; whether there is a folder at all is the long way's to say.
        return ask()
