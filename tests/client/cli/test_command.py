"""What every command has: formats, queries, lists of words, the account to use."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from towrope.client.cli.command import Command, Words, command, confirm, tags_option
from towrope.client.cli.context import SUBSCRIPTION

ROWS = [{"name": "a", "count": 1}, {"name": "b", "count": 2}]


@command("sample", example="towrope sample", columns={"Name": "name"})
@tags_option
@click.option("--rights", cls=Words, type=click.Choice(["Listen", "Send"]))
@click.option("--flag", is_flag=True)
def sample(tags: dict[str, str], rights: tuple[str, ...], flag: bool) -> Any:
    """A sample."""
    if tags or rights or flag:
        return {"tags": tags, "rights": list(rights), "flag": flag}
    return ROWS


def invoke(*words: str, tested: Command = sample) -> Result:
    return CliRunner().invoke(tested, list(words))


def test_json_is_the_default() -> None:
    assert json.loads(invoke().stdout) == ROWS


def test_table_shows_the_columns_of_the_command() -> None:
    assert invoke("-o", "table").stdout == "Name\n----\na\nb\n"


def test_query_decides_the_columns() -> None:
    shown = invoke("-o", "table", "--query", "[].{Which:name,count:count}").stdout
    assert shown.splitlines()[0].split() == ["Which", "Count"]


def test_query_for_scripts() -> None:
    assert invoke("-o", "tsv", "--query", "[1].name").stdout == "b\n"


def test_none_prints_nothing() -> None:
    assert invoke("-o", "none").stdout == ""


def test_broken_query_is_refused_before_anything_is_done() -> None:
    done: list[str] = []

    @command("work", example="towrope work")
    def work() -> None:
        done.append("something")

    refused = invoke("--query", "a[", tested=work)
    assert refused.exit_code == 2
    assert not done


def test_words_up_to_the_next_option() -> None:
    shown = json.loads(invoke("--tags", "a=b", "c=", "--flag", "--rights", "Send", "Listen").stdout)
    assert shown == {"tags": {"a": "b", "c": ""}, "rights": ["Send", "Listen"], "flag": True}


def test_repeated_options_work_too() -> None:
    assert json.loads(invoke("--tags", "a=b", "--tags", "c=d").stdout)["tags"] == {
        "a": "b",
        "c": "d",
    }


@pytest.mark.parametrize("words", [["--tags", "=x"], ["--rights", "Send", "Fly"], ["stray"]])
def test_wrong_words_are_refused(words: list[str]) -> None:
    assert invoke(*words).exit_code == 2


def test_subscription_reaches_the_context() -> None:
    @command("who", example="towrope who")
    def who() -> Any:
        return click.get_current_context().meta[SUBSCRIPTION]

    assert json.loads(invoke("--subscription", "mine", tested=who).stdout) == "mine"


def test_nobody_to_ask_is_a_refusal() -> None:
    with pytest.raises(click.UsageError, match="--yes"):
        confirm("Delete it?", yes=False)
    confirm("Delete it?", yes=True)
