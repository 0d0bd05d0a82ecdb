"""`towrope connectedk8s list|show`, and Arc's words for what is not there."""

import pytest

from tests.client.conftest import Shell


def test_nothing_is_connected(signed_in: Shell) -> None:
    assert signed_in.json("connectedk8s", "list", "-g", "shops") == []
    assert signed_in.ok("connectedk8s", "list", "-o", "table") == ""


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["show", "-n", "shop-17", "-g", "shops"], "shop-17"),
        (["show", "-n", "shop-17", "-g", "nope"], "nope"),
        (["list", "-g", "nope"], "nope"),
    ],
)
def test_not_there(words: list[str], missing: str, signed_in: Shell) -> None:
    assert missing in signed_in.error(3, "connectedk8s", *words)


def test_nobody_is_signed_in(shell: Shell) -> None:
    assert "towrope login" in shell.error(4, "connectedk8s", "list")
