"""A command of the tree: what all of them have, and what becomes of the value that it returns.

The function of a command returns ARM's JSON (or nothing); `-o` and `--query` decide how it looks.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from towrope.client import defaults
from towrope.client.cli.context import SUBSCRIPTION
from towrope.client.cli.lazy import HELP_NAMES
from towrope.client.output import Columns, Format, compile_query, render

_QUERY = "towrope.query"
_OUTPUT = "towrope.output"
_DEBUG = "towrope.debug"

Function = Callable[..., Any]


class Command(click.Command):
    """Adds the options that every command has, and prints the result."""

    def __init__(
        self,
        *args: Any,
        example: str,
        columns: Columns | None = None,
        text: Callable[[Any], str] | None = None,
        **attributes: Any,
    ) -> None:
        attributes.setdefault("context_settings", HELP_NAMES)
        super().__init__(*args, **attributes)
        self.example = example
        self.columns = columns
        self.text = text
        self.params.extend(_global_options())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        lists = {name for each in self.params if isinstance(each, Words) for name in each.opts}
        return super().parse_args(ctx, _spread(args, lists))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for line in self.example.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")

    def invoke(self, ctx: click.Context) -> None:
        from towrope.ops import logs

        logs.configure(verbose=ctx.meta.get(_DEBUG, False))
        self._show(ctx, super().invoke(ctx))

    def _show(self, ctx: click.Context, result: Any) -> None:
        query = ctx.meta.get(_QUERY)
        if self.text is not None and not query and _is_left_out(ctx, "output"):
            click.echo(self.text(result))
            return
        columns = None if query else self.columns
        try:
            shown = query(result) if query and result is not None else result
        except ValueError as error:
            raise click.UsageError(f"The --query does not fit the result: {error}", ctx) from None
        text = render(shown, Format(ctx.meta[_OUTPUT]), columns, width=_width())
        if text:
            click.echo(text)


def _width() -> int | None:
    """Of the terminal; a file or another program gets whole cells."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _is_left_out(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.DEFAULT


def command(
    name: str,
    *,
    example: str,
    columns: Columns | None = None,
    text: Callable[[Any], str] | None = None,
) -> Callable[[Function], Command]:
    """Makes a function a `Command`; `example` is shown by its help, one command a line.

    `text` says the result to a person; it is what is printed where no format is asked for.
    """
    return click.command(name, cls=Command, example=example, columns=columns, text=text)


def _global_options() -> list[click.Option]:
    return [
        Defaulted(
            ["-o", "--output"],
            key=defaults.OUTPUT,
            type=click.Choice([each.value for each in Format]),
            default=Format.JSON.value,
            show_default=True,
            expose_value=False,
            callback=_keep(_OUTPUT),
            help="How the result is printed.",
        ),
        click.Option(
            ["--query"],
            metavar="JMESPATH",
            expose_value=False,
            callback=_keep_query,
            help="What of the result is printed.",
        ),
        click.Option(
            ["-s", "--subscription"],
            metavar="NAME_OR_ID",
            expose_value=False,
            is_eager=True,
            callback=_keep(SUBSCRIPTION),
            help="The account to use, by its subscription; else the default one.",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_keep(_DEBUG),
            help="Say on stderr what is done. Secrets are left out.",
        ),
    ]


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        context.meta[name] = value
        return value

    return keep


def _keep_query(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Compiled before the command does anything, so that a slip is no half-done work."""
    if value is None:
        return
    try:
        context.meta[_QUERY] = compile_query(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


class Defaulted(click.Option):
    """An option that `towrope config`, or the environment, gives a value where it is left out."""

    def __init__(self, *args: Any, key: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.key = key

    def get_default(self, ctx: click.Context, call: bool = True) -> Any:
        return defaults.default(self.key) or super().get_default(ctx, call)


def group_option(function: Function) -> Function:
    return _group(function, required=True, text="The resource group.")


def group_filter_option(function: Function) -> Function:
    return _group(function, required=False, text="The resource group; else all of them.")


def _group(function: Function, *, required: bool, text: str) -> Function:
    return click.option(
        "-g",
        "--resource-group",
        cls=Defaulted,
        key=defaults.GROUP,
        required=required,
        help=f"{text} See 'towrope config set {defaults.GROUP}=NAME'.",
    )(function)


def location_option(text: str) -> Callable[[Function], Function]:
    return click.option("-l", "--location", cls=Defaulted, key=defaults.LOCATION, help=text)


def kubeconfig_options(function: Function) -> Function:
    """`--kube-config` and `--kube-context`: the cluster itself, not by way of the server."""
    for option in (
        click.option("--kube-context", help="The context in it; else its current one."),
        click.option(
            "--kube-config",
            type=click.Path(path_type=Path),
            help="The cluster's kubeconfig; else that of KUBECONFIG, or ~/.kube/config.",
        ),
    ):
        function = option(function)
    return function


def name_option(what: str) -> Callable[[Function], Function]:
    return click.option("-n", "--name", required=True, help=f"The name of the {what}.")


def tags_option(function: Function) -> Function:
    return click.option(
        "--tags",
        cls=Words,
        metavar="KEY=VALUE...",
        callback=_tags,
        help="Tags, separated by spaces.",
    )(function)


class Words(click.Option):
    """An option that takes all words up to the next option, as `az` has them."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **{"multiple": True, "default": (), **attributes})


def _spread(args: list[str], lists: set[str]) -> list[str]:
    """`--tags a b` as `--tags a --tags b`, which click understands."""
    spread: list[str] = []
    current, named = "", False
    for word in args:
        if word.startswith("-"):
            current, named = (word if word in lists else ""), True
            spread.append(word)
            continue
        if current and not named:
            spread.append(current)
        spread.append(word)
        named = False
    return spread


def _tags(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> Any:
    pairs = [word.partition("=") for word in value if word]  # `--tags ""` means none, as in az
    if any(not key for key, _, _ in pairs):
        raise click.BadParameter("expected KEY=VALUE.", context, parameter)
    return {key: text for key, _, text in pairs}


def confirm(question: str, *, yes: bool) -> None:
    """Asks before something is lost; refuses where nobody can be asked and `--yes` is missing."""
    if yes:
        return
    if not is_interactive():
        raise click.UsageError(f"{question} Nobody can be asked here: give --yes.")
    if not click.confirm(question, err=True):
        raise click.Abort


def is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
no_wait_option = click.option("--no-wait", is_flag=True, help="Do not wait until it is done.")
