from towrope.wire import errors


def test_foreign_text_is_bounded_and_on_one_line() -> None:
    assert errors.foreign("plain") == "plain"
    assert errors.foreign(b"a\r\n\x1b[31mb\xff") == "a���[31mb�"
    assert errors.foreign("x" * 300) == "x" * 256 + "…"


def test_an_error_is_its_sentence_and_knows_its_hop() -> None:
    error = errors.Unreachable("The relay does not answer.", hop=errors.Hop.RELAY)
    assert str(error) == "The relay does not answer."
    assert error.hop is errors.Hop.RELAY
    assert error.retryable
    assert not errors.Forbidden("no", hop=errors.Hop.AGENT).retryable
