"""Steps, where nobody watches."""

import pytest

from towrope.client.cli.progress import progress


def test_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as tell:
        tell("One")
        tell("Two")
    said = capsys.readouterr()
    assert said.err == "One …\nTwo …\n"
    assert said.out == ""
