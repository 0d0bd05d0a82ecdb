"""The requests that run: which of them last, and that each is there exactly while it runs."""

import pytest

from towrope.agent import request_info
from towrope.agent.identity import Decision
from towrope.agent.live_requests import SHORT, LiveRequest, LiveRequests
from towrope.wire.head import Fields, RequestHead


def request(target: str = "/api/v1/pods", method: str = "GET") -> LiveRequest:
    return LiveRequest(
        head=RequestHead(method.encode(), target.encode(), Fields(())),
        info=request_info.parse(method, target),
        decision=Decision(principal="ada", credential=()),
        cut=lambda _: None,
    )


@pytest.mark.parametrize(
    ("target", "lasts"),
    [
        ("/api/v1/pods?watch=1", True),
        ("/api/v1/namespaces/a/pods/b/exec", True),
        ("/api/v1/namespaces/a/pods/b/attach", True),
        ("/api/v1/namespaces/a/pods/b/log?follow=true", True),
        ("/api/v1/namespaces/a/pods/b/portforward", True),
        ("/api/v1/namespaces/a/services/b/proxy/c", True),
        ("/api/v1/pods", False),
        ("/api/v1/namespaces/a/pods/b", False),
        ("/metrics", False),
    ],
)
def test_what_lasts_from_its_beginning(target: str, lasts: bool) -> None:
    live = LiveRequests(clock=lambda: 1000.0)
    with live.running(request(target)):
        assert bool(live.lasting()) is lasts


def test_any_request_lasts_in_time() -> None:
    now = 1000.0
    live = LiveRequests(clock=lambda: now)
    with live.running(request()):
        now += SHORT - 0.01
        assert live.lasting() == []
        now += 0.01
        assert len(live.lasting()) == 1


def test_it_is_there_while_it_runs() -> None:
    live, given = LiveRequests(), request("/api/v1/pods?watch=1")
    begun: list[LiveRequest] = []
    live.on_begin = begun.append
    with pytest.raises(ZeroDivisionError), live.running(given):
        assert given in live
        assert live.lasting() == begun == [given]
        raise ZeroDivisionError
    assert given not in live


def test_it_is_cut_once() -> None:
    live, given = LiveRequests(), request("/api/v1/pods?watch=1")
    reasons: list[str] = []
    given.cut = reasons.append
    with live.running(given):
        live.cut(given, "gone")
        assert live.lasting() == []
    assert reasons == ["gone"]
