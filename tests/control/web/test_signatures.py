from towrope.control.web.signatures import Signatures


def test_parts_cannot_be_shifted() -> None:
    signatures = Signatures(b"m" * 32)
    assert signatures.sign("use", "ab", "c") != signatures.sign("use", "a", "bc")
    assert signatures.sign("use", "ab") != signatures.sign("usea", "b")
    assert signatures.sign("use", "a", "") != signatures.sign("use", "a")
    assert signatures.sign("use", "a") != Signatures(b"n" * 32).sign("use", "a")


def test_a_signature_is_good_for_what_was_signed() -> None:
    signatures = Signatures(b"m" * 32)
    signature = signatures.sign("use", "a")
    assert signatures.is_good(signature, "use", "a")
    for other in ("", signature.upper(), signature[:-1], "\u00e9", "\ud800"):
        assert not signatures.is_good(other, "use", "a")
