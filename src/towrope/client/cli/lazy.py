"""Command groups that import a command when it runs, and know its summary before."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command at `module:attribute`."""

    target: str
    summary: str
    extra: str = ""
    """The extra of the package that brings what it needs beyond the client."""

    def load(self) -> click.Command:
        module, _, attribute = self.target.partition(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if not self.extra or str(error.name).startswith("towrope"):
                raise
            raise click.ClickException(
                f"This needs the module '{error.name}', which is not installed: run"
                f" pip install 'towrope[{self.extra}]'."
            ) from error
        assert isinstance(command, click.Command), f"{self.target} is no command"
        return command


class OutputClosed(Exception):
    """Nobody reads the output any more."""


class LazyGroup(click.Group):
    """A group of `Lazy` commands and of further groups, listed as given."""

    def __init__(
        self, name: str, *, commands: Mapping[str, "Lazy | LazyGroup"], **attributes: Any
    ) -> None:
        attributes.setdefault("context_settings", HELP_NAMES)
        super().__init__(name, **attributes)
        self._members = commands

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # click would end the process here, with an exit code of its own.
            raise OutputClosed from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        member = self._members.get(cmd_name)
        return member.load() if isinstance(member, Lazy) else member

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _summary(member)) for name, member in self._members.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list["CompletionItem"]:
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=_summary(member))
            for name, member in self._members.items()
            if name.startswith(incomplete)
        ]


def _summary(member: Lazy | LazyGroup) -> str:
    return member.summary if isinstance(member, Lazy) else (member.help or "")
