"""`--ids` in place of a group and names."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from towrope.client.cli.command import command, group_option, name_option
from towrope.client.cli.context import SUBSCRIPTION
from towrope.client.cli.resource_ids import ids_option
from towrope.wire.errors import Malformed

KIND = "Microsoft.Relay/namespaces/hybridConnections"
ONE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Relay/namespaces/n/hybridConnections/h"


@command("sample", example="towrope sample")
@ids_option(KIND, "namespace", "name")
@group_option
@click.option("--namespace", required=True)
@name_option("sample")
@click.option("--flag", is_flag=True)
def sample(**given: Any) -> Any:
    """A sample."""
    return {**given, "subscription": click.get_current_context().meta.get(SUBSCRIPTION)}


def invoke(*words: str) -> Result:
    return CliRunner().invoke(sample, list(words))


def test_an_id_gives_every_name() -> None:
    shown = json.loads(invoke("--ids", ONE, "--flag").stdout)
    expected = {"flag": True, "name": "h", "namespace": "n", "resource_group": "g"}
    assert shown == {**expected, "subscription": "s"}


def test_case_and_slashes_make_no_difference() -> None:
    lowered = ONE.lower().replace("/resourcegroups", "/RESOURCEGROUPS") + "/"
    assert json.loads(invoke("--ids", lowered).stdout)["name"] == "h"


def test_several_make_a_list() -> None:
    shown = json.loads(invoke("--ids", ONE, f"{ONE[:-1]}i").stdout)
    assert [each["name"] for each in shown] == ["h", "i"]


def test_names_work_as_before() -> None:
    shown = json.loads(invoke("-g", "g", "--namespace", "n", "-n", "h").stdout)
    assert shown["subscription"] is None
    assert shown["name"] == "h"


@pytest.mark.parametrize("missing", ["-g", "--namespace", "-n"])
def test_a_missing_name_is_told(missing: str) -> None:
    given = {"-g": "g", "--namespace": "n", "-n": "h"}
    del given[missing]
    refused = invoke(*(word for pair in given.items() for word in pair))
    assert refused.exit_code == 2
    assert f"Missing option {missing}" in refused.stderr
    assert "--ids" in refused.stderr


def test_both_are_refused_but_for_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = invoke("--ids", ONE, "-g", "g")
    assert refused.exit_code == 2
    assert "not both" in refused.stderr
    monkeypatch.setenv("TOWROPE_DEFAULTS_GROUP", "other")
    assert json.loads(invoke("--ids", ONE).stdout)["resource_group"] == "g"


@pytest.mark.parametrize(
    "wrong",
    [
        "h",
        ONE.replace("Relay", "Kubernetes"),
        ONE.removesuffix("/h"),
        f"{ONE}/authorizationRules/r",
        ONE.replace("/n/", "//"),
    ],
)
def test_an_id_of_another_kind_does_nothing(wrong: str) -> None:
    refused = invoke("--ids", ONE, wrong)
    assert isinstance(refused.exception, Malformed)
    assert "Expected /subscriptions/NAME/resourceGroups/NAME/providers/Microsoft.Relay" in str(
        refused.exception
    )
    assert refused.stdout == ""
