"""The apiserver's refusals that are not about the caller, as the caller gets them."""

from dataclasses import replace

import pytest

from towrope.agent import objections
from towrope.agent.identity import Decision
from towrope.wire.errors import Forbidden, Hop, Unauthenticated, Unreachable

IMPERSONATED = Decision(principal="alice", credential=(), is_impersonated=True)
OWN = Decision(principal="unverified bearer", credential=())
HINTED = Decision(principal="unverified bearer", credential=(), hint="The issuer is unknown.")

AGENT = "system:serviceaccount:towrope:towrope-agent"
LEGACY = (
    f'users \\"a\\" is forbidden: User \\"{AGENT}\\" cannot impersonate resource \\"users\\" in API'
    ' group \\"\\" at the cluster scope'
)
EXTRA = (
    f'userextras.authentication.k8s.io "all" is forbidden: User "{AGENT}" cannot impersonate'
    ' resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope'
)
ON = (
    f'pods is forbidden: User "{AGENT}" cannot impersonate-on:user-info:list resource "pods" in API'
    ' group "" at the cluster scope'
)
PATH = f'forbidden: User "{AGENT}" cannot impersonate-on:user-info:get path "/version"'


@pytest.mark.parametrize(
    ("decision", "status", "expected"),
    [
        (IMPERSONATED, 401, True),
        (IMPERSONATED, 403, True),
        (IMPERSONATED, 200, False),
        (IMPERSONATED, 404, False),
        (OWN, 401, False),
        (OWN, 403, False),
        (HINTED, 401, True),
        (HINTED, 403, False),
    ],
)
def test_which_answers_are_looked_at(decision: Decision, status: int, expected: bool) -> None:
    assert objections.may_be(decision, status) is expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (LEGACY, "'impersonate' the resource 'users' in API group ''"),
        (EXTRA, "'impersonate' the resource 'userextras/scopes' in API group 'authentication."),
        (ON, "'impersonate-on:user-info:list' the resource 'pods' in API group ''"),
        (PATH, "'impersonate-on:user-info:get' the resource '/version'"),
        (f"k8s\0\n\f\n\x02v1\x12\x06Status\x12\x8a{ON}\x1a", "impersonate-on:user-info:list"),
    ],
)
def test_a_right_that_the_agent_lacks_is_named(body: str, said: str) -> None:
    error = objections.of(IMPERSONATED, 403, body.encode("latin-1"))
    assert isinstance(error, Forbidden)
    assert said in error.message
    assert "towrope connectedk8s connect" in error.message
    assert error.hop is Hop.AGENT
    acting = objections.of(replace(IMPERSONATED, subject="jane"), 403, body.encode("latin-1"))
    assert acting is not None
    assert said in acting.message
    assert "system:masters" in acting.message
    assert "towrope-agent" in acting.message


@pytest.mark.parametrize(
    "body",
    ["", "no", 'pods is forbidden: User "alice" cannot list resource "pods" in API group ""'],
)
def test_the_callers_own_denial_is_passed_on(body: str) -> None:
    assert objections.of(IMPERSONATED, 403, body.encode()) is None


def test_the_agents_credential_is_not_the_callers_fault() -> None:
    error = objections.of(IMPERSONATED, 401, b"Unauthorized")
    assert isinstance(error, Unreachable)
    assert error.hop is Hop.AGENT


def test_a_hint() -> None:
    error = objections.of(HINTED, 401, b"Unauthorized")
    assert isinstance(error, Unauthenticated)
    assert error.message == "The issuer is unknown."
