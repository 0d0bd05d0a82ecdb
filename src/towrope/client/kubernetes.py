"""The cluster that a kubeconfig names: opened, and its failures as the project's errors.

lightkube does the work. What it does not know of kubeconfigs is done here: several files in
KUBECONFIG, exec plugins of every version (see `exec_plugin`), no HTTP proxy to loopback.
"""

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import User
from lightkube.core.client import Client
from lightkube.core.exceptions import ApiError, ConfigError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from towrope.client.exec_plugin import resolve
from towrope.wire.errors import (
    Forbidden,
    Hop,
    NotFound,
    Refused,
    TowropeError,
    Unauthenticated,
    Unreachable,
    foreign,
)

TIMEOUT = httpx2.Timeout(15.0, connect=10.0)
T = TypeVar("T")

FIELD_MANAGER = "towrope-connect"
KINDS = {401: Unauthenticated, 403: Forbidden, 404: NotFound}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A context of a kubeconfig."""

    path: Path
    context: str
    document: dict[str, Any]
    cluster: dict[str, Any]
    """The kubeconfig's `cluster`, as it is written there."""

    @property
    def server(self) -> str:
        return str(self.cluster.get("server", ""))


def find_target(kube_config: Path | None, kube_context: str | None) -> Target:
    """The context that is meant, as kubectl would find it. Nothing is connected to yet."""
    paths = [kube_config.expanduser()] if kube_config else _default_paths()
    for path in paths:
        document = _load(path, required=kube_config is not None or len(paths) == 1)
        contexts = _named(document, "context")
        wanted = kube_context or str(document.get("current-context"))
        if wanted in contexts:
            clusters = _named(document, "cluster")
            cluster = clusters.get(str(contexts[wanted].get("cluster")))
            if cluster is None:
                raise _broken(
                    path, f"the context '{foreign(wanted)}' names a cluster that is missing"
                )
            return Target(path=path, context=wanted, document=document, cluster=cluster)
    where = ", ".join(map(str, paths))
    what = f"no context '{foreign(kube_context)}'" if kube_context else "no current context"
    raise NotFound(
        f"There is {what} in {where}. Name a context with --kube-context, or another kubeconfig"
        " with --kube-config.",
        hop=Hop.CLIENT,
    )


def _default_paths() -> list[Path]:
    named = os.environ.get("KUBECONFIG", "")
    paths = [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    return paths or [Path.home() / ".kube" / "config"]


def _load(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        document = YAML(typ="safe", pure=True).load(path.read_bytes())
    except FileNotFoundError:
        if not required:
            return {}
        raise NotFound(
            f"There is no kubeconfig at {path}. Name the cluster's with --kube-config.",
            hop=Hop.CLIENT,
        ) from None
    except OSError as error:
        raise TowropeError(
            f"Cannot read the kubeconfig {path}: {error.strerror}.", hop=Hop.CLIENT
        ) from None
    except (YAMLError, UnicodeDecodeError):
        raise _broken(path, "it is not YAML") from None
    if document is not None and not isinstance(document, dict):
        raise _broken(path, "it is not a mapping")
    return document or {}


def _named(document: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    entries = document.get(f"{kind}s") or []
    return {
        entry["name"]: entry[kind]
        for entry in entries
        if isinstance(entry, dict) and "name" in entry and isinstance(entry.get(kind), dict)
    }


def _broken(path: Path, why: str) -> TowropeError:
    return TowropeError(
        f"The kubeconfig {path} is broken: {why}. Mend it, or name another with --kube-config.",
        hop=Hop.CLIENT,
    )


@contextlib.contextmanager
def open_cluster(target: Target) -> Iterator[Client]:
    """A client of the cluster; within, every failure to speak to it is one of our errors."""
    with _client(target) as client, _as_our_errors(target):
        yield client


def _client(target: Target) -> Client:
    try:
        config = KubeConfig.from_dict(target.document, fname=target.path).get(target.context)
        assert config is not None, "a context that is there was asked for"
        # Without a user the request is anonymous, and the API server says what it thinks of it.
        user = config.user or User()
        if user.exec is not None:
            user = resolve(user, target.cluster)
        return Client(
            config=config._replace(user=user),
            timeout=TIMEOUT,
            field_manager=FIELD_MANAGER,
            trust_env=not is_loopback(target.server),
        )
    except KeyError as error:
        raise _broken(target.path, f"{foreign(str(error))} is missing") from error
    except OSError as error:
        why = f"a certificate or key of it cannot be used ({error.strerror or error})"
        raise _broken(target.path, foreign(why)) from error
    except (ConfigError, msgspec.ValidationError, ValueError) as error:
        raise _broken(target.path, foreign(str(error)).rstrip(".")) from error


def is_loopback(server: str) -> bool:
    """Whether an apiserver's address is of this machine, where no HTTP proxy leads."""
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def _as_our_errors(target: Target) -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        code = error.status.code or error.response.status_code
        kind = KINDS.get(code, Refused)
        raise kind(
            f"The cluster's API server refuses: {foreign(error.status.message or str(code))}."
            f" Check the rights of the context '{foreign(target.context)}'.",
            hop=Hop.APISERVER,
        ) from error
    except httpx2.HTTPError as error:
        raise Unreachable(
            f"Cannot reach the cluster at {foreign(target.server)} (context"
            f" '{foreign(target.context)}' of {target.path}): {_reason(error)}. Check that it runs"
            " and that this machine has a route to it.",
            hop=Hop.APISERVER,
        ) from error


def _reason(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it does not answer in time"
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    certificate = isinstance(cause, ssl.SSLCertVerificationError)
    text = cause.verify_message if certificate else getattr(cause, "strerror", None)  # type: ignore[union-attr]  # narrowed by `certificate`
    return foreign(text or str(error) or type(error).__name__)


def absent_as_none(call: Callable[[], T]) -> T | None:
    """What `call` gives, or None where there is no such object."""
    try:
        return call()
    except ApiError as error:
        if error.status.code != HTTPStatus.NOT_FOUND:
            raise
        return None
