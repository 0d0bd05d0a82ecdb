"""`towrope config`: what is meant where an option is left out."""

from tests.client.cli.inside import InsideShell
from tests.client.conftest import Shell


def test_life_of_a_default(shell: Shell) -> None:
    shell = InsideShell(folder=shell.folder)
    assert shell.json("config", "get") == []
    shell.ok("config", "set", "defaults.group=shops", "Core.Output=yaml")
    assert shell.ok("config", "get", "defaults.group", "--query", "value").strip() == "shops"
    shell.ok("config", "unset", "core.output", "defaults.location")
    expected = {"name": "defaults.group", "source": "config.json", "value": "shops"}
    assert shell.json("config", "get") == [expected]
    shown = shell.json("config", "get", TOWROPE_DEFAULTS_GROUP="tills")
    assert shown == [{**expected, "source": "TOWROPE_DEFAULTS_GROUP", "value": "tills"}]
    shell.ok("config", "unset", "defaults.group")
    assert "config set defaults.group=" in shell.error(3, "config", "get", "defaults.group")


def test_what_cannot_be_set(shell: Shell) -> None:
    shell = InsideShell(folder=shell.folder)
    for words in (["defaults.colour=red"], ["defaults.group"], ["defaults.group="]):
        shell.error(2, "config", "set", *words)
    assert "json, table" in shell.error(2, "config", "set", "core.output=pdf")
    assert "defaults.group" in shell.error(2, "config", "unset", "group")
    assert shell.json("config", "get") == []


def test_commands_use_them(inside: Shell) -> None:
    wanted = {"TOWROPE_DEFAULTS_GROUP": "nowhere"}
    assert "'nowhere'" in inside.error(3, "connectedk8s", "show", "-n", "x", **wanted)
    assert "'nowhere'" in inside.error(3, "connectedk8s", "list", **wanted)
    assert "'shops'" in inside.error(3, "connectedk8s", "show", "-n", "x", "-g", "shops", **wanted)
    assert "Missing option -g" in inside.error(2, "connectedk8s", "show", "-n", "x")
    table = inside.ok("group", "list", TOWROPE_CORE_OUTPUT="table")
    assert table.splitlines()[0].split() == ["Name", "Location"]
    assert "'far'" in inside.error(1, "group", "create", "-n", "x", TOWROPE_DEFAULTS_LOCATION="far")
