"""`towrope completion SHELL`: the script that teaches a shell to complete `towrope`."""

import click
from click.shell_completion import get_completion_class

from towrope.client.cli.lazy import HELP_NAMES

PROGRAM = "towrope"
VARIABLE = "_TOWROPE_COMPLETE"


@click.command("completion", context_settings=HELP_NAMES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion for a shell.

    \b
    Examples:
      bash  echo 'eval "$(towrope completion bash)"' >> ~/.bashrc
      zsh   echo 'eval "$(towrope completion zsh)"' >> ~/.zshrc
      fish  towrope completion fish > ~/.config/fish/completions/towrope.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, f"click completes {shell}"
    click.echo(kind(context.find_root().command, {}, PROGRAM, VARIABLE).source())
