"""How a command ends: one sentence on stderr, and an exit code that scripts may rely on.

    0    done
    1    failed, for any reason not below
    2    the command line is wrong
    3    no such thing
    4    nobody is signed in, or the credential is not accepted
    5    something on the way could not be reached, or its certificate is not trusted
    6    it contradicts what is there
    7    the account may not do this
    130  interrupted (Ctrl-C)
    141  nobody reads the output any more

No traceback, unless `--debug` asks for one.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from enum import IntEnum
from http import HTTPStatus
from typing import Any

import click

from towrope.client.cli.lazy import OutputClosed
from towrope.wire.errors import Forbidden, Hop, Malformed, TowropeError, Unreachable

DEBUG = "--debug"


class ExitCode(IntEnum):
    """See the module."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNAUTHENTICATED = 4
    UNREACHABLE = 5
    CONFLICT = 6
    FORBIDDEN = 7
    INTERRUPTED = 130
    BROKEN_PIPE = 141


BY_STATUS = {
    HTTPStatus.NOT_FOUND: ExitCode.NOT_FOUND,
    HTTPStatus.UNAUTHORIZED: ExitCode.UNAUTHENTICATED,
    HTTPStatus.CONFLICT: ExitCode.CONFLICT,
}


def exit_code_of(error: TowropeError) -> ExitCode:
    if isinstance(error, Unreachable):
        return ExitCode.UNREACHABLE
    if isinstance(error, Malformed) and error.hop is Hop.CLIENT:
        return ExitCode.USAGE
    if isinstance(error, Forbidden):
        return ExitCode.FORBIDDEN
    return BY_STATUS.get(error.status, ExitCode.FAILED)


def run(command: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Runs a command to its exit code; what goes wrong is said on stderr."""
    try:
        result = command()
        # Output that was not written yet would fail after us, with nobody to say so.
        sys.stdout.flush()
    except Exception as error:
        return _ended_by(error, debug=DEBUG in arguments)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    # Without its standalone mode click returns the code of a `Context.exit`.
    return result if isinstance(result, int) else ExitCode.DONE


def _ended_by(error: Exception, *, debug: bool) -> int:
    if isinstance(error, click.Abort):
        return ExitCode.INTERRUPTED
    if isinstance(error, OutputClosed | BrokenPipeError):
        _discard_output()
        return ExitCode.BROKEN_PIPE
    if debug:
        _show_traceback(error)
    if isinstance(error, click.ClickException):
        return _say_usage(error)
    if isinstance(error, TowropeError):
        say(error.message)
        return exit_code_of(error)
    say(
        f"Towrope failed in a way that it does not know ({type(error).__name__}). Run the command"
        " again with --debug, and report what it prints."
    )
    return ExitCode.FAILED


def say(sentence: str) -> None:
    click.echo(f"ERROR: {sentence}", err=True)


def _say_usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    hint = f" See '{context.command_path} --help'." if context else ""
    say(message + hint)
    return error.exit_code


def _show_traceback(error: Exception) -> None:
    from towrope.ops.logs import redact

    text = "".join(traceback.format_exception(error))
    click.echo(redact(None, "", {"text": text})["text"], err=True, nl=False)


def _discard_output() -> None:
    """So that the interpreter's own last flush finds a reader."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
