"""One event for each request: who asked for what, and how it ended. It never holds a token."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from towrope.agent.request_info import RequestInfo

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """`status` is 0 where no response went to the client. `started_at` is Unix seconds."""

    started_at: float
    stream: str
    principal: str
    """Who asked."""
    groups: tuple[str, ...]
    impersonated: str
    """Whom it acted as, where it asked to act as somebody else."""
    request: RequestInfo
    status: int
    bytes_in: int
    bytes_out: int
    duration: float
    audit_id: str = ""
    """The same request in the apiserver's audit log."""


Sink = Callable[[AuditEvent], None]


def log(event: AuditEvent) -> None:
    """A sink that writes the event to the log."""
    request = event.request
    _log.info(
        "request",
        stream=event.stream,
        principal=event.principal,
        impersonated=event.impersonated,
        verb=request.verb,
        path=request.path[:512],
        api_group=request.api_group,
        resource=request.resource,
        subresource=request.subresource,
        namespace=request.namespace,
        name=request.name,
        status=event.status,
        bytes_in=event.bytes_in,
        bytes_out=event.bytes_out,
        seconds=round(event.duration, 6),
    )
