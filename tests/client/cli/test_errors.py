"""Exit codes and sentences."""

from collections.abc import Callable

import click
import pytest

from towrope.client.cli.errors import ExitCode, run
from towrope.client.rest import Conflict, Untrusted
from towrope.wire.errors import (
    Cut,
    Forbidden,
    Hop,
    Malformed,
    NotFound,
    Refused,
    TowropeError,
    Unauthenticated,
    Unreachable,
)


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TowropeError("x", hop=Hop.CLIENT), 1),
        (Refused("x", hop=Hop.SERVER), 1),
        (Cut("x", hop=Hop.RELAY), 1),
        (Malformed("x", hop=Hop.SERVER), 1),
        (Malformed("x", hop=Hop.CLIENT), 2),
        (click.UsageError("x"), 2),
        (click.ClickException("x"), 1),
        (NotFound("x", hop=Hop.SERVER), 3),
        (Unauthenticated("x", hop=Hop.SERVER), 4),
        (Unreachable("x", hop=Hop.SERVER), 5),
        (Untrusted("x", hop=Hop.SERVER), 5),
        (Conflict("x", hop=Hop.SERVER), 6),
        (Forbidden("x", hop=Hop.SERVER), 7),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_failure_has_its_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raising(error), []) == code
    said = capsys.readouterr()
    assert said.err == "ERROR: x\n"
    assert said.out == ""


def test_what_nobody_expected_says_how_to_report_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(KeyError("eyJhbGciOi.secret.x")), []) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert "KeyError" in said
    assert "--debug" in said
    assert "secret" not in said
    assert "Traceback" not in said


def test_debug_shows_the_traceback_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2VjcmV0"
    assert run(raising(KeyError(f"Bearer {token}")), ["--debug"]) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert token not in said


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupts_are_quiet(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(error), []) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_results_are_no_exit_codes() -> None:
    assert run(lambda: {"name": "x"}, []) == ExitCode.DONE
