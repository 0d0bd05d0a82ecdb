"""The command line in this process: a shell whose commands cost no start of Python."""

import contextlib
import io
import os
import subprocess
import sys
from typing import Any
from unittest import mock

from tests.client.conftest import Shell
from towrope.client.cli.errors import run
from towrope.programs.tree import cli


class InsideShell(Shell):
    def run(
        self,
        *words: str,
        input: str = "",  # noqa: A002 - as subprocess.run has it
        timeout: float = 60,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        stdout, stderr, arguments = io.StringIO(), io.StringIO(), list(words)
        with (
            mock.patch.dict(os.environ, self.env(**environment), clear=True),
            mock.patch.object(sys, "stdin", io.StringIO(input)),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            options: dict[str, Any] = {"prog_name": "towrope", "standalone_mode": False}
            code = run(lambda: cli.main(arguments, **options), arguments)
        return subprocess.CompletedProcess(words, code, stdout.getvalue(), stderr.getvalue())
