"""What of an API server's metrics says that impersonation is constrained there."""

from collections.abc import Iterator

import pytest
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Cluster, User
from lightkube.core.client import Client

from tests.client.conftest import Answer, Scripted
from towrope.client import constrained_impersonation

FILTER = 'apiserver_request_filter_duration_seconds_count{filter="%s"} 634'
GATE = 'kubernetes_feature_enabled{name="%s",stage="BETA"} %s'


@pytest.fixture
def client(scripted: Scripted) -> Iterator[Client]:
    config = KubeConfig.from_one(
        cluster=Cluster(server=scripted.url, insecure=True),
        user=User(token="t"),
    ).get()
    with Client(config=config, trust_env=False) as made:
        yield made


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([FILTER % "constrainedimpersonation"], True),
        ([GATE % ("ConstrainedImpersonation", 1)], True),
        ([FILTER % "impersonation", GATE % ("ConstrainedImpersonation", 0)], False),
        ([GATE % ("Other", 1), "# " + FILTER % "constrainedimpersonation"], False),
        ([], False),
    ],
)
def test_a_sign(client: Client, scripted: Scripted, lines: list[str], expected: bool) -> None:
    metrics = "\n".join(["# HELP x y", "x 1", *lines, "z 2", ""])
    scripted.answers = [Answer(body=metrics)]
    assert constrained_impersonation.is_in_force(client) is expected
    assert scripted.asked[-1].path == "/metrics"


def test_metrics_that_are_not_shown(client: Client, scripted: Scripted) -> None:
    scripted.answers = [Answer(status=403, body=FILTER % "constrainedimpersonation")]
    assert constrained_impersonation.is_in_force(client) is False


def test_metrics_without_end(
    client: Client, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constrained_impersonation, "SIZE_LIMIT", 100)
    metrics = "x 1\n" * 100 + FILTER % "constrainedimpersonation"
    scripted.answers = [Answer(body=metrics)]
    assert constrained_impersonation.is_in_force(client) is False


def test_an_apiserver_that_is_gone(client: Client, scripted: Scripted) -> None:
    server = KubeConfig.from_one(
        cluster=Cluster(server="https://127.0.0.1:1"), user=User(token="t")
    ).get()
    with Client(config=server, trust_env=False) as gone:
        assert constrained_impersonation.is_in_force(gone) is False
