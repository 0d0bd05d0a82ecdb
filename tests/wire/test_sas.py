"""Shared access signatures: above all, what must not pass for one."""

import base64
import hashlib
import hmac
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.wire import sas
from towrope.wire.errors import Forbidden, Unauthenticated
from towrope.wire.sas import Right, Slot

MASTER = b"m" * 32
NOW = 1_700_000_000.0
PATH = "team/alpha"
SEND = frozenset({Right.SEND})
AUDIENCE = f"http://relay.example:8443/{PATH}"


def key(path: str = PATH, rights: sas.Rights = SEND, slot: Slot = Slot.PRIMARY) -> str:
    return sas.derive_key(MASTER, path=path, rule="rule", rights=rights, slot=slot)


def mint(audience: str = AUDIENCE, *, path: str = PATH, expires_at: float = NOW + 60) -> str:
    return sas.mint(audience=audience, key=key(path), rule="rule", expires_at=expires_at)


def verify(token: str, *, path: str = PATH, right: Right = Right.SEND, **more: str) -> sas.SasToken:
    return sas.verify(token, master=MASTER, path=path, right=right, now=NOW, **more)


def signed_by_hand(resource: str, *, expiry: str = "1700000060") -> str:
    """A token over `resource` exactly as it stands, as another client's encoder would make it."""
    digest = hmac.new(key().encode(), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn=rule"


def fields(token: str) -> dict[str, str]:
    pairs = token.removeprefix(sas.SCHEME).split("&")
    return dict(pair.split("=", 1) for pair in pairs)


def joined(members: dict[str, str]) -> str:
    return sas.SCHEME + "&".join(f"{name}={value}" for name, value in members.items())


# What is refused as malformed.


@pytest.mark.parametrize(
    "token",
    [
        "",
        "SharedAccessSignature",
        "SharedAccessSignature ",
        "Bearer abc",
        mint()[:-20],
        mint()[1:],
        mint().replace("&", ";"),
        mint() + "&",
        mint() + "&extra=1",
        mint() + "&se=9999999999",
        mint() + "&skn=rule",
        joined(fields(mint()) | {"se": ""}),
        joined(fields(mint()) | {"se": "-1"}),
        joined(fields(mint()) | {"se": "1e12"}),
        joined(fields(mint()) | {"se": "١٧٠٠٠٠٠٠٦٠"}),
        joined(fields(mint()) | {"se": "9" * 13}),
        joined(fields(mint()) | {"sig": "not base64!"}),
        joined(fields(mint()) | {"sig": "%C3%A9%C3%A9"}),
        joined(fields(mint()) | {"skn": ""}),
        joined(fields(mint()) | {"skn": "r" * 257}),
        joined(fields(mint()) | {"sr": "relay.example%2Falpha"}),
        joined(fields(mint()) | {"sr": "file%3A%2F%2F%2Fetc"}),
        joined(fields(mint()) | {"sr": "http%3A%2F%2F%5B"}),
        joined(fields(mint()) | {"sr": "http%3A%2F%2Fhost%2F%FF"}),
        joined(fields(mint()) | {"sr": "http%3A%2F%2Fhost%2F%25FF"}),
        "SharedAccessSignature " + "x" * sas.TOKEN_LIMIT,
    ],
)
def test_a_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated, match="malformed"):
        verify(token)


@pytest.mark.parametrize("name", ["sr", "sig", "se", "skn"])
def test_a_missing_field_is_named(name: str) -> None:
    members = fields(mint())
    del members[name]
    with pytest.raises(Unauthenticated, match=f"no field '{name}'"):
        verify(joined(members))


@given(st.text())
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    for token in (text, sas.SCHEME + text, joined(fields(mint()) | {"sr": text, "sig": text})):
        with pytest.raises(Unauthenticated):
            verify(token)


# What is refused as not signed by us.


def test_swapped_fields_are_refused() -> None:
    members = fields(mint())
    members["sr"], members["skn"] = members["skn"], members["sr"]
    with pytest.raises(Unauthenticated):
        verify(joined(members))


@pytest.mark.parametrize("name", ["sr", "sig", "se", "skn"])
def test_any_changed_field_breaks_the_signature(name: str) -> None:
    other = sas.mint(
        audience="http://relay.example/team/alpha",
        key=key(slot=Slot.SECONDARY),
        rule="another",
        expires_at=NOW + 61,
    )
    with pytest.raises(Unauthenticated, match="signature is not valid"):
        verify(joined(fields(mint()) | {name: fields(other)[name]}))


def test_a_longer_life_is_not_had_by_writing_it() -> None:
    with pytest.raises(Unauthenticated, match="signature is not valid"):
        verify(joined(fields(mint()) | {"se": "01700000060"}))


def test_another_master_secret_is_another_relay() -> None:
    with pytest.raises(Unauthenticated, match="signature is not valid"):
        sas.verify(mint(), master=b"n" * 32, path=PATH, right=Right.SEND, now=NOW)


def test_the_key_of_a_parent_counts_for_nothing() -> None:
    with pytest.raises(Forbidden):
        verify(mint("http://relay.example/team", path="team"))
    with pytest.raises(Unauthenticated):
        verify(mint(AUDIENCE, path="tea"))


# What is refused although it is signed.


@pytest.mark.parametrize("age", [0.0, 1.0, 1e6])
def test_an_expired_token_is_refused(age: float) -> None:
    with pytest.raises(Unauthenticated, match="expired"):
        verify(mint(expires_at=NOW - age))


@pytest.mark.parametrize("other", ["team/beta", "team/alphabet", "team", "x/team/alpha"])
def test_a_token_of_another_path_is_refused(other: str) -> None:
    with pytest.raises(Forbidden, match="another hybrid connection"):
        verify(mint(f"http://relay.example/{other}", path=other))


def test_our_key_does_not_sign_for_another_audience() -> None:
    with pytest.raises(Forbidden, match="another hybrid connection"):
        verify(mint("http://relay.example/team/beta"))


def test_a_token_for_what_follows_the_path_is_for_that_only() -> None:
    token = mint(AUDIENCE + "/rest")
    assert verify(token, target=f"{PATH}/rest/more").rule == "rule"
    with pytest.raises(Forbidden):
        verify(token, target=f"{PATH}/other")
    with pytest.raises(Forbidden):
        verify(token)


def test_another_right_is_refused() -> None:
    with pytest.raises(Forbidden, match="no 'Listen' right"):
        verify(mint(), right=Right.LISTEN)


# What passes.


@pytest.mark.parametrize(
    "audience",
    [
        AUDIENCE,
        AUDIENCE + "/",
        "http://relay.example/TEAM/Alpha",
        "https://relay.example:443/team/alpha",
        "sb://relay.example/team/alpha/",
        "wss://relay.example/team/alpha",
        "http://relay.example/team",
        "http://relay.example/",
        "sb://relay.example:8443",
        "http://relay.example/team%2Falpha",
    ],
)
def test_audiences_are_taken_as_clients_write_them(audience: str) -> None:
    assert verify(mint(audience)).expires_at == NOW + 60


@pytest.mark.parametrize(
    "resource",
    ["http%3a%2f%2frelay.example%2fteam%2falpha", "http%3A//relay.example/team/alpha"],
)
def test_the_signature_is_over_the_bytes_as_they_came(resource: str) -> None:
    assert verify(signed_by_hand(resource)).path == PATH


def test_a_plus_sign_in_the_signature_may_be_bare() -> None:
    members = fields(mint())
    tried = 0
    for second in range(200):
        members = fields(mint(expires_at=NOW + 60 + second))
        if "%2B" in members["sig"]:
            tried += 1
            members["sig"] = members["sig"].replace("%2B", "+")
            assert verify(joined(members)).rule == "rule"
    assert tried


def test_names_with_spaces_pass_through_both_encodings() -> None:
    path = "team/alpha one"
    token = mint(sas.audience("relay.example", path), path=path)
    assert verify(token, path=path).path == path


@pytest.mark.parametrize("slot", list(Slot))
@pytest.mark.parametrize("rights", sas.RIGHTS_SETS)
def test_each_key_of_each_rule_gives_its_rights(rights: sas.Rights, slot: Slot) -> None:
    token = sas.mint(
        audience=AUDIENCE, key=key(rights=rights, slot=slot), rule="rule", expires_at=NOW + 1
    )
    for right in Right:
        if right in rights:
            assert verify(token, right=right).rule == "rule"
        else:
            with pytest.raises(Forbidden):
                verify(token, right=right)


def test_the_far_future_is_no_reason_to_refuse() -> None:
    assert verify(mint(expires_at=99_999_999_999)).expires_at == 99_999_999_999


def test_keys_differ_by_everything_they_derive_from() -> None:
    keys = {
        sas.derive_key(master, path=path, rule=rule, rights=rights, slot=slot)
        for master in (MASTER, b"n" * 32)
        for path, rule in (("a/b", "c"), ("a", "b/c"), ("a/bc", ""), ("a/b", "c2"))
        for rights in sas.RIGHTS_SETS
        for slot in Slot
    }
    assert len(keys) == 2 * 4 * 4 * 2
    assert key("Team/ALPHA") == key("team/alpha")


def test_a_known_token_of_another_client() -> None:
    """The string that Azure's documented algorithm signs; a change here breaks every client."""
    digest = hmac.new(b"secret", b"http%3A%2F%2Fns%2Ffoo\n1700000060", hashlib.sha256).digest()
    expected = quote(base64.b64encode(digest).decode(), safe="")
    token = sas.mint(audience="http://ns/foo", key="secret", rule="r", expires_at=1_700_000_060)
    assert token == (
        f"SharedAccessSignature sr=http%3A%2F%2Fns%2Ffoo&sig={expected}&se=1700000060&skn=r"
    )
