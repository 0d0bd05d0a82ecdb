"""Exec credential plugins of kubeconfigs (KEP-541), every version: the user that they answer with.

A plugin asks on the terminal what it must; its stdout is the answer, which is kept in memory only.
"""

import base64
import os
import subprocess
from typing import Any

import msgspec
from lightkube.config.models import User

from towrope.wire.errors import Hop, TowropeError, foreign

DEADLINE = 300.0
"""Seconds: a person may have to sign in."""


class _Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None


class _ExecCredential(msgspec.Struct, frozen=True, kw_only=True):
    status: _Status


def resolve(user: User, cluster: dict[str, Any]) -> User:
    """Runs the user's plugin; `cluster` is told to those that ask for it (provideClusterInfo)."""
    plugin = user.exec
    assert plugin is not None, "the user has a plugin"
    environment = {**os.environ, **{each.name: each.value for each in plugin.env or []}}
    environment["KUBERNETES_EXEC_INFO"] = _exec_info(plugin.apiVersion, cluster)
    try:
        done = subprocess.run(  # noqa: S603 - the user's own kubeconfig names it
            [plugin.command, *(plugin.args or [])],
            env=environment,
            stdout=subprocess.PIPE,
            timeout=DEADLINE,
            check=True,
        )
        status = msgspec.json.decode(done.stdout, type=_ExecCredential).status
    except FileNotFoundError:
        hint = f" {foreign(plugin.installHint)}" if plugin.installHint else " Install it."
        raise _failed(plugin.command, f"is not there.{hint}") from None
    except subprocess.CalledProcessError as error:
        raise _failed(plugin.command, f"ended with exit code {error.returncode}.") from None
    except subprocess.TimeoutExpired:
        raise _failed(plugin.command, f"did not end within {DEADLINE:.0f} s.") from None
    except (OSError, msgspec.DecodeError):
        raise _failed(plugin.command, "gave no ExecCredential.") from None
    return _user(status)


def _user(status: _Status) -> User:
    certificate, key = status.client_certificate_data, status.client_key_data
    return User(
        token=status.token,
        client_cert_data=_base64(certificate) if certificate else None,
        client_key_data=_base64(key) if key else None,
    )


def _base64(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


def _exec_info(version: str, cluster: dict[str, Any]) -> str:
    info = {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {"interactive": os.isatty(0), "cluster": cluster},
    }
    return msgspec.json.encode(info).decode()


def _failed(command: str, what: str) -> TowropeError:
    return TowropeError(
        f"The kubeconfig's credential plugin '{foreign(command)}' {what}", hop=Hop.CLIENT
    )
