"""What is said of an agent's pod that does not come up."""

import pytest
from lightkube.models.core_v1 import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
    PodCondition,
    PodStatus,
)

from towrope.client.readiness import pod_state


def container(
    *, waiting: tuple[str, str | None] | None = None, ended: int | None = None
) -> ContainerStatus:
    state = ContainerState()
    if waiting is not None:
        state = ContainerState(waiting=ContainerStateWaiting(reason=waiting[0], message=waiting[1]))
    last = ContainerState()
    if ended is not None:
        last = ContainerState(terminated=ContainerStateTerminated(exitCode=ended))
    return ContainerStatus(
        image="ghcr.io/x:1",
        imageID="",
        name="agent",
        ready=False,
        restartCount=1,
        state=state,
        lastState=last,
    )


def unscheduled() -> PodCondition:
    return PodCondition(
        type="PodScheduled", status="False", reason="Unschedulable", message="0/1 nodes"
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "unknown"),
        (PodStatus(phase="Running"), "Running"),
        (
            PodStatus(
                phase="Pending",
                containerStatuses=[container(waiting=("ImagePullBackOff", "no such image"))],
            ),
            "Pending (ImagePullBackOff: no such image)",
        ),
        (
            PodStatus(
                phase="Pending", containerStatuses=[container(waiting=("ErrImagePull", None))]
            ),
            "Pending (ErrImagePull: ghcr.io/x:1)",
        ),
        (
            PodStatus(
                phase="Running",
                containerStatuses=[container(waiting=("CrashLoopBackOff", "later"), ended=1)],
            ),
            "Running (CrashLoopBackOff: later; ended with exit code 1)",
        ),
        (
            PodStatus(phase="Pending", conditions=[unscheduled()]),
            "Pending (Unschedulable: 0/1 nodes)",
        ),
    ],
)
def test_state_of_a_pod(status: PodStatus | None, said: str) -> None:
    assert pod_state(Pod(status=status)) == said
