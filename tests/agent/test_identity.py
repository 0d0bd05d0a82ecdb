"""Who the caller is: a function of the request's own credential, and of nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.agent.identity import as_it_came
from towrope.wire.errors import Unauthenticated
from towrope.wire.head import Field, Fields, RequestHead

BEARER = (b"Authorization", b"Bearer abc.DEF-123_~+/=")


def head(*items: Field) -> RequestHead:
    return RequestHead(b"GET", b"/api", Fields(((b"Host", b"cluster"), *items)))


@pytest.mark.parametrize(
    "value", [b"Bearer abc", b"bearer abc", b"BEARER  abc", b"Bearer kubeconfig-u-x:7hg=="]
)
def test_a_bearer_token_goes_upstream_as_it_came(value: bytes) -> None:
    decision = as_it_came(head((b"authorization", value)))
    assert decision.credential == ((b"authorization", value),)
    assert value.split()[-1].decode() not in decision.principal


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"Bearer", b"Bearer ", b"Bearerabc", b"Basic YTpi", b"Negotiate abc"),
        *(b"Bearer a b", b"Bearer a, Bearer b", b"Bearer a,b", b'Bearer "a"', b"Bearer \xff"),
    ],
)
def test_anything_else_is_no_credential(value: bytes) -> None:
    with pytest.raises(Unauthenticated) as caught:
        as_it_came(head((b"Authorization", value)))
    assert value.decode("latin-1") not in str(caught.value) or value == b""


def test_none_and_two_are_refused() -> None:
    for items in ((), (BEARER, BEARER), (BEARER, (b"AUTHORIZATION", b"Bearer other"))):
        with pytest.raises(Unauthenticated):
            as_it_came(head(*items))


@pytest.mark.parametrize("name", [b"Sec-WebSocket-Protocol", b"sec-websocket-protocol"])
def test_a_second_token_in_a_subprotocol_is_refused(name: bytes) -> None:
    protocols = b"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.YWJj"
    with pytest.raises(Unauthenticated):
        as_it_came(head(BEARER, (name, protocols)))


names = st.sampled_from(
    [b"Authorization", b"authorization", b"Impersonate-User", b"impersonate-group", b"X-Other"]
)
values = st.sampled_from([b"Bearer one", b"bearer two", b"Basic x", b"system:admin", b""])


@given(st.lists(st.tuples(names, values), max_size=6))
def test_what_goes_upstream_is_the_clients_own_or_nothing(items: list[Field]) -> None:
    """Whatever the client sends: its one bearer token and its own claims, or a refusal."""
    tokens = [item for item in items if item[0].lower() == b"authorization"]
    try:
        decision = as_it_came(head(*items))
    except Unauthenticated:
        assert len(tokens) != 1 or not tokens[0][1].lower().startswith(b"bearer ")
        return
    assert [item for item in decision.credential if item[0].lower() == b"authorization"] == tokens
    assert set(decision.credential) <= set(items)
