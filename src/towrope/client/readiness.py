"""Waiting until an agent is connected, and saying why it is not.

The resource's `connectivityStatus` decides. When the time is over, the agent's pod is asked: its
state, the reason it waits for, its last lines.
"""

import time
from collections.abc import Iterator, Sequence

import httpx2
from lightkube.core.client import Client
from lightkube.core.exceptions import ApiError
from lightkube.models.core_v1 import ContainerStatus
from lightkube.models.core_v1 import Pod as PodModel
from lightkube.resources.core_v1 import Pod, Secret

from towrope.client.api import Api
from towrope.client.kubernetes import absent_as_none
from towrope.client.manifests import SELECTOR
from towrope.client.rest import Json
from towrope.wire import names
from towrope.wire.errors import Hop, Unreachable, foreign

CONNECTED = "Connected"
POLL_EVERY = 1.0
LAST_LINES = 3


class NotConnected(Unreachable):
    """The agent did not connect in time; all that was installed is still there."""

    retryable = False


def wait_until_connected(
    api: Api, client: Client, *, resource_group: str, name: str, within: float
) -> Json:
    """The resource, once its agent is connected. Raises `NotConnected` with what to look at."""
    deadline = time.monotonic() + within
    while True:
        resource = api.get_cluster(resource_group, name)
        # The agent takes its onboarding key away once it has enrolled. A cluster that is connected
        # again would look connected before that.
        if _status(resource) == CONNECTED and not _is_onboarding(client):
            return resource
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_EVERY)
    raise NotConnected(
        f"The cluster is registered and the agent is installed, but it did not connect within"
        f" {within:.0f} s: {diagnosis(client)} It goes on trying; look with 'kubectl -n"
        f" {names.NAMESPACE} logs deployment/{names.AGENT_NAME}', or remove it with 'towrope"
        f" connectedk8s delete -n {name} -g {resource_group}'.",
        hop=Hop.AGENT,
    )


def _status(resource: Json) -> str:
    return str((resource.get("properties") or {}).get("connectivityStatus"))


def _is_onboarding(client: Client) -> bool:
    secret = absent_as_none(
        lambda: client.get(Secret, names.ONBOARDING_SECRET, namespace=names.NAMESPACE)
    )
    return secret is not None


def diagnosis(client: Client) -> str:
    """A sentence or two about the agent's pod."""
    try:
        pods = list(client.list(Pod, namespace=names.NAMESPACE, labels=dict(SELECTOR)))
        return _of_pods(client, pods)
    except httpx2.HTTPError:
        return "its pods cannot be looked at."


def _of_pods(client: Client, pods: Sequence[PodModel]) -> str:
    if not pods:
        return "it has no pod yet; see 'kubectl -n towrope describe deployment'."
    newest = max(pods, key=lambda pod: str(pod.metadata and pod.metadata.creationTimestamp))
    assert newest.metadata is not None
    assert newest.metadata.name is not None
    state = pod_state(newest)
    lines = _last_lines(client, newest.metadata.name)
    said = f" Its last lines: {' | '.join(lines)}" if lines else ""
    return f"its pod {newest.metadata.name} is {state}.{said}"


def pod_state(pod: PodModel) -> str:
    """Its phase, and why it is no further."""
    status = pod.status
    reasons = [*_unscheduled(pod), *_waiting((status and status.containerStatuses) or [])]
    phase = (status and status.phase) or "unknown"
    return f"{phase} ({foreign('; '.join(reasons))})" if reasons else phase


def _unscheduled(pod: PodModel) -> Iterator[str]:
    for condition in (pod.status and pod.status.conditions) or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            yield f"{condition.reason}: {condition.message}"


def _waiting(containers: list[ContainerStatus]) -> Iterator[str]:
    """Such as ImagePullBackOff and CrashLoopBackOff, and how it ended last."""
    for container in containers:
        state, last = container.state, container.lastState
        if state and state.waiting:
            yield f"{state.waiting.reason}: {state.waiting.message or container.image}"
        ended = (state and state.terminated) or (last and last.terminated)
        if ended:
            yield f"ended with exit code {ended.exitCode}"


def _last_lines(client: Client, pod: str) -> list[str]:
    try:
        log = client.log(pod, namespace=names.NAMESPACE, tail_lines=LAST_LINES)
        return [foreign(line.strip()) for line in log if line.strip()]
    except (ApiError, httpx2.HTTPError):
        return []
