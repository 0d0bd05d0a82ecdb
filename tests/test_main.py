"""The command line as a whole: what it lists, what it costs to start, how it ends."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from towrope.client.cli.command import Command
from towrope.client.cli.lazy import Lazy, LazyGroup
from towrope.programs.tree import PROGRAMS, cli

COMMAND = (sys.executable, "-m", "towrope.main")


# Each takes what was typed as its arguments, and prints what is offered, a line each.
BASH = """
eval "$(towrope completion bash)"
COMP_WORDS=(towrope "$@") COMP_CWORD=$# COMPREPLY=()
$(complete -p towrope | sed 's/.*-F \\([^ ]*\\).*/\\1/') towrope
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { completing=$1 }
_describe() { print -l -- "${(P)3[@]}" }
compadd() { print -l -- "${(P)5[@]}" }
eval "$(towrope completion zsh)"
words=(towrope "$@") CURRENT=$(($# + 1))
$completing
"""
FISH = """
towrope completion fish | source
complete -C "towrope $argv[2..]"
"""
SHELLS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def run(*words: str, home: Path, **options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "TOWROPE_CONFIG_DIR": str(home / "config")}
    return subprocess.run(
        [*COMMAND, *words],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        env={**environment, **options},
        check=False,
    )


def leaves(group: LazyGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        member = group.get_command(context, name) if name not in PROGRAMS else None
        if isinstance(member, LazyGroup):
            yield from leaves(member, (*path, name))
        elif member is not None:
            yield (*path, name)


def find(path: tuple[str, ...]) -> click.Command:
    found: click.Command = cli
    for name in path:
        assert isinstance(found, LazyGroup)
        member = found.get_command(click.Context(found), name)
        assert member is not None
        found = member
    return found


@pytest.mark.parametrize("path", list(leaves(cli)), ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    command = find(path)
    context = click.Context(command, info_name="towrope", **command.context_settings)
    text = command.get_help(context)
    assert "-h, --help" in text
    assert "Examples:" in text
    if isinstance(command, Command):
        # The example is of this very command.
        assert all(f"towrope {' '.join(path)}" in line for line in examples(command))


def examples(command: Command) -> list[str]:
    return [line for line in command.example.strip().splitlines() if line.strip()]


def test_examples_are_accepted() -> None:
    for path in leaves(cli):
        command = find(path)
        if isinstance(command, Command):
            for line in examples(command):
                _, _, text = line.partition(f"towrope {' '.join(path)}")
                parse(command, shlex.split(text.split(" < ")[0].split(" > ")[0]))


def parse(command: click.Command, words: list[str]) -> None:
    command.make_context("towrope", words).close()


def test_help_imports_no_program_and_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys; from towrope.main import main; sys.argv = ['towrope', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stderr.split())
    heavy = {"httpx2", "structlog", "lightkube", "rich", "jmespath", "stamina", "asyncio"}
    assert not loaded & heavy
    assert "connectedk8s" in done.stdout


def test_groups_list_without_importing_their_commands(tmp_path: Path) -> None:
    done = run("connectedk8s", "-h", home=tmp_path)
    assert done.returncode == 0
    assert "proxy" in done.stdout


def test_version(tmp_path: Path) -> None:
    assert run("--version", home=tmp_path).stdout.startswith("towrope ")


@pytest.mark.parametrize("words", [["nope"], ["group", "nope"], ["group", "list", "--nope"]])
def test_unknown_words_are_usage_errors(words: list[str], tmp_path: Path) -> None:
    done = run(*words, home=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("ERROR: ")
    assert done.stderr.count("\n") == 1
    assert "--help" in done.stderr


def test_group_without_a_command_shows_its_help(tmp_path: Path) -> None:
    done = run("group", home=tmp_path)
    assert done.returncode == 2
    assert "Usage: towrope group" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell: str, tmp_path: Path) -> None:
    done = run("completion", shell, home=tmp_path)
    assert done.returncode == 0
    assert "_TOWROPE_COMPLETE" in done.stdout


def test_completion_of_a_subcommand(tmp_path: Path) -> None:
    words = {"COMP_WORDS": "towrope connectedk8s ", "COMP_CWORD": "2"}
    done = run(home=tmp_path, _TOWROPE_COMPLETE="bash_complete", **words)
    assert "plain,connect" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("role", "assignment", "cr"), {"create"}),
        (("role", ""), {"assignment", "definition"}),
        (("role", "assignment", "list", "--include-"), {"--include-inherited", "--include-groups"}),
        (("group", "list", "-o", "t"), {"table", "tsv"}),
        (("completion", ""), {"bash", "zsh", "fish"}),
    ],
)
@pytest.mark.parametrize("shell", SHELLS)
def test_completion_in_a_real_shell(
    shell: str, typed: tuple[str, ...], offered: set[str], tmp_path: Path
) -> None:
    """The shell itself runs the script, and the function in it."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    program = tmp_path / "towrope"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(0o700)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, "-c", SHELLS[shell], shell, *typed],
        env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    named = {re.split("[:\t]", line)[0] for line in done.stdout.splitlines()}
    assert named == offered, done.stderr


def test_missing_extra_names_what_to_install() -> None:
    lazy = Lazy("no_such_module_at_all:command", "Needs an extra.", "server")
    with pytest.raises(click.ClickException, match=r"pip install 'towrope\[server\]'"):
        lazy.load()


def test_output_that_nobody_reads_ends_quietly(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        reader, writer = os.pipe()
        os.close(reader)
        stack.callback(os.close, writer)
        done = subprocess.run(
            [*COMMAND, "completion", "bash"],
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 141
    assert done.stderr == b""


def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    """A server that takes connections and says nothing keeps the command waiting."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        words = ["login", "--service-principal", "-u", "a", "-p", "-", "--server", url]
        with subprocess.Popen(
            [*COMMAND, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TOWROPE_CONFIG_DIR": str(tmp_path)},
        ) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err
    assert b"ERROR" not in err
