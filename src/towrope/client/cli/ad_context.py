"""From a command to the directory, and what the commands of the directory have in common."""

import os
import sys
from collections.abc import Callable

import click

from towrope.client.cli.command import Function, is_interactive
from towrope.client.cli.context import rest_from_context
from towrope.client.directory import Directory

PASSWORD_VARIABLE = "TOWROPE_PASSWORD"  # noqa: S105 - its name
PASSWORD_LIMIT = 4096
PASSWORD_HELP = (
    "The password; '-' reads it from standard input. Other users of the machine see what stands"
    f" here, so leave it out: it is taken from {PASSWORD_VARIABLE}, or asked for."
)


def directory_from_context() -> Directory:
    """The directory as the account in use sees it; close it, or use it in a `with`."""
    return Directory(rest_from_context())


def flag_option(name: str, text: str) -> Callable[[Function], Function]:
    """An option like `az`'s: `--x`, `--x true` and `--x false`; None where it is not there."""
    return click.option(
        name, type=click.BOOL, is_flag=False, flag_value="true", default=None, help=text
    )


def filter_option(function: Function) -> Function:
    return click.option(
        "--filter",
        "conditions",
        metavar="ODATA",
        help="An OData filter, such as \"displayName eq 'Ada'\".",
    )(function)


def read_password(given: str | None) -> str:
    """A new password, from where the user wants it read."""
    if given == "-":
        # The first line, so that `echo` and files with a newline at the end work.
        password = sys.stdin.readline(PASSWORD_LIMIT).strip("\r\n")
    else:
        password = given or os.environ.get(PASSWORD_VARIABLE, "")
    if not password and given is None and is_interactive():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not password:
        raise click.UsageError(
            "The password is missing: give it on standard input with --password -, or in"
            f" {PASSWORD_VARIABLE}."
        )
    return password
