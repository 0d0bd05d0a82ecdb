"""One event for each request: who asked for what, and how it ended. It never holds a token."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from towrope.agent.request_info import RequestInfo

GROUPS_SHOWN = 256
"""Groups of the caller that an event names; `groupCount` says how many there are."""
TEXT_LIMIT = 512


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
    revoked: str = ""
    """Why the agent ended it: what its caller may no longer do."""


Sink = Callable[[AuditEvent], None]


def discard(_: AuditEvent) -> None:
    """A sink for those who want no events."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event as it is written; sizes are bytes, `duration` is seconds."""

    time: str
    stream: str
    principal: str
    groups: tuple[str, ...]
    group_count: int
    impersonated: str
    verb: str
    path: str
    api_group: str
    api_version: str
    resource: str
    subresource: str
    namespace: str
    name: str
    status: int
    bytes_in: int
    bytes_out: int
    duration: float
    audit_id: str
    revoked: str


def line(event: AuditEvent) -> bytes:
    """The event as one line of JSON."""
    request = event.request
    started = datetime.datetime.fromtimestamp(event.started_at, datetime.UTC)
    return (
        msgspec.json.encode(
            _Line(
                time=started.isoformat(timespec="microseconds"),
                stream=event.stream,
                principal=event.principal,
                groups=event.groups[:GROUPS_SHOWN],
                group_count=len(event.groups),
                impersonated=event.impersonated,
                verb=request.verb,
                path=request.path[:TEXT_LIMIT],
                api_group=request.api_group[:TEXT_LIMIT],
                api_version=request.api_version[:TEXT_LIMIT],
                resource=request.resource[:TEXT_LIMIT],
                subresource=request.subresource[:TEXT_LIMIT],
                namespace=request.namespace[:TEXT_LIMIT],
                name=request.name[:TEXT_LIMIT],
                status=event.status,
                bytes_in=event.bytes_in,
                bytes_out=event.bytes_out,
                duration=round(event.duration, 6),
                audit_id=event.audit_id,
                revoked=event.revoked[:TEXT_LIMIT],
            )
        )
        + b"\n"
    )
