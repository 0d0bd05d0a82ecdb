"""What an audit event says as a line of JSON."""

import json
from dataclasses import replace

from towrope.agent import audit
from towrope.agent.audit import AuditEvent
from towrope.agent.request_info import parse

EVENT = AuditEvent(
    started_at=1_790_000_000.25,
    stream="s1",
    principal="alice",
    groups=("g1", "g2"),
    impersonated="jane",
    request=parse("GET", "/api/v1/namespaces/prod/pods/web/log?follow=true"),
    status=200,
    bytes_in=10,
    bytes_out=20,
    duration=1.5,
    audit_id="5cb1",
)


def test_a_line() -> None:
    line = audit.line(EVENT)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "time": "2026-09-21T14:13:20.250000+00:00",
        "stream": "s1",
        "principal": "alice",
        "groups": ["g1", "g2"],
        "groupCount": 2,
        "impersonated": "jane",
        "verb": "get",
        "path": "/api/v1/namespaces/prod/pods/web/log",
        "apiGroup": "",
        "apiVersion": "v1",
        "resource": "pods",
        "subresource": "log",
        "namespace": "prod",
        "name": "web",
        "status": 200,
        "bytesIn": 10,
        "bytesOut": 20,
        "duration": 1.5,
        "auditId": "5cb1",
        "revoked": "",
    }


def test_a_line_is_one_line_and_bounded() -> None:
    request = parse("GET", "/api/v1/namespaces/a/pods/" + "%0a%22%1b[31m" * 500)
    groups = tuple(f"group-{n}" for n in range(5000))
    line = audit.line(replace(EVENT, request=request, groups=groups))
    assert line.count(b"\n") == 1
    assert b"\x1b" not in line
    assert len(line) < 16_384
    said = json.loads(line)
    assert (len(said["groups"]), said["groupCount"]) == (audit.GROUPS_SHOWN, 5000)


def test_discarded_events_go_nowhere() -> None:
    audit.discard(EVENT)
