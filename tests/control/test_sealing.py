import base64

import pytest

from towrope.control.sealing import seal, unseal

MASTER = b"m" * 32


def test_a_secret_comes_back_for_its_purpose_alone() -> None:
    sealed = seal("s3cret ü", master=MASTER, purpose="graph of contoso")
    assert "s3cret" not in base64.b64decode(sealed).decode("latin-1")
    assert unseal(sealed, master=MASTER, purpose="graph of contoso") == "s3cret ü"
    assert unseal(sealed, master=MASTER, purpose="graph of fabrikam") is None
    assert unseal(sealed, master=b"n" * 32, purpose="graph of contoso") is None


def test_the_same_secret_is_never_sealed_the_same() -> None:
    sealed = {seal("x", master=MASTER, purpose="p") for _ in range(3)}
    assert len(sealed) == 3


@pytest.mark.parametrize("text", ["", "AAAA", "no base64!", "é", "A" * 16, "A" * 15])
def test_what_was_not_sealed_here_is_nothing(text: str) -> None:
    assert unseal(text, master=MASTER, purpose="p") is None


def test_a_changed_byte_is_seen() -> None:
    raw = bytearray(base64.b64decode(seal("secret", master=MASTER, purpose="p")))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        assert unseal(base64.b64encode(changed).decode(), master=MASTER, purpose="p") is None
