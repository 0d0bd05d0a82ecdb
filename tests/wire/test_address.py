"""Addresses of the Hybrid Connections protocol: tricks first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.wire import address
from towrope.wire.address import Action
from towrope.wire.errors import Malformed

CONNECT = "sb-hc-action=connect"


@pytest.mark.parametrize(
    "target",
    [
        "/$hc/?" + CONNECT,
        "/$hc/%20/../x?" + CONNECT,
        "/$hc/../alpha?" + CONNECT,
        "/$hc/alpha/..?" + CONNECT,
        "/$hc/alpha/%2e%2e/beta?" + CONNECT,
        "/$hc/alpha/./beta?" + CONNECT,
        "/$hc/alpha//beta?" + CONNECT,
        "/$hc/alpha%2F%2Fbeta?" + CONNECT,
        "/$hc/al%00pha?" + CONNECT,
        "/$hc/al%0D%0Apha?" + CONNECT,
        "/$hc/al%FFpha?" + CONNECT,
        "/$hc/" + "a" * 513 + "?" + CONNECT,
        "/$hc/" + "a/" * 17 + "a?" + CONNECT,
    ],
)
def test_a_path_that_is_not_plain_is_refused(target: str) -> None:
    with pytest.raises(Malformed, match="name"):
        address.parse(target)


@pytest.mark.parametrize(
    "query", ["", "?", "?a=b", "?sb-hc-action", "?sb-hc-action=", "?sb-hc-action=destroy"]
)
def test_an_action_is_needed(query: str) -> None:
    with pytest.raises(Malformed, match="expected one of listen, accept, connect, standby"):
        address.parse(f"/$hc/alpha{query}")


@pytest.mark.parametrize(
    "query",
    [
        "sb-hc-action=connect&sb-hc-action=listen",
        "sb-hc-action=connect&SB-HC-Action=connect",
        "sb-hc-action=connect&sb%2Dhc%2Daction=listen",
        "sb-hc-action=connect&sb-hc-token=a&sb-hc-token=b",
        "sb-hc-action=accept&sb-hc-id=a&sb-hc-id=b",
    ],
)
def test_a_parameter_given_twice_is_refused(query: str) -> None:
    with pytest.raises(Malformed, match="twice"):
        address.parse(f"/$hc/alpha?{query}")


def test_encoding_is_undone_once_only() -> None:
    assert address.parse(f"/$hc/alpha%2Fbeta?{CONNECT}").path == "alpha/beta"
    assert address.parse(f"/$hc/alpha%252F..?{CONNECT}").path == "alpha%2F.."
    assert address.parse(f"/$hc/%252e%252e?{CONNECT}").path == "%2e%2e"


def test_the_token_never_shows() -> None:
    target = address.parse(f"/$hc/alpha?{CONNECT}&sb-hc-token=secret")
    assert target.reserved["token"] == "secret"
    assert "secret" not in repr(target)
    assert "secret" not in target.query


@pytest.mark.parametrize(
    ("target", "is_tunnel"),
    [
        ("/$hc/alpha", True),
        ("/%24hc/alpha", True),
        ("/$hc/", True),
        ("/$hc", False),
        ("/$HC/alpha", False),
        ("//$hc/alpha", False),
        ("/%2524hc/alpha", False),
        ("/a/../$hc/alpha", False),
        ("https://host/$hc/alpha", False),
        ("*", False),
    ],
)
def test_what_is_tunnel_traffic(target: str, is_tunnel: bool) -> None:
    assert address.is_tunnel(target) is is_tunnel


def test_what_a_sender_asks_for() -> None:
    target = address.parse(
        "/$hc/Team/alpha/rest/?a=1&sb-hc-action=Connect&b=%202&sb-hc-id=x%20y+z&&c"
    )
    assert target.path == "Team/alpha/rest"
    assert target.action is Action.CONNECT
    assert dict(target.reserved) == {"action": "Connect", "id": "x y z"}
    assert target.query == "a=1&b=%202&&c"


def test_a_trailing_separator_is_harmless() -> None:
    assert address.parse("/$hc/alpha?sb-hc-action=listen&").action is Action.LISTEN


def test_prefixes_are_longest_first() -> None:
    assert list(address.prefixes("a/b/c")) == ["a/b/c", "a/b", "a"]


@given(
    st.lists(
        st.text("abc %/?&=#é", min_size=1).filter(lambda s: "/" not in s.strip("/")),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(Action),
    st.text(),
    st.sampled_from(["", "a=1", "a=1&b=%20"]),
)
def test_what_is_built_is_read_again(
    segments: list[str], action: Action, waiting_id: str, query: str
) -> None:
    path = "/".join(segment.strip("/") or "x" for segment in segments)
    url = address.build("wss://host:1", path, action, {"id": waiting_id}, query)
    assert url.isascii()
    target = address.parse(url.removeprefix("wss://host:1"))
    assert target == address.Target(
        path=path, action=action, reserved={"action": action, "id": waiting_id}, query=query
    )
