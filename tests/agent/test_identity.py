"""Who the caller is: a function of the request's own credential, and of nothing else."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent import signing
from tests.agent.signing import CLUSTER, GROUP, ISS, NOW, OID, as_json, claims, rsa_key, signed
from towrope.agent import identity
from towrope.agent.caller import Caller
from towrope.agent.identity import Decision, Identification, as_it_came
from towrope.agent.memberships import Memberships
from towrope.agent.tokens import TOKEN_LIMIT
from towrope.agent.trust import CurrentTrust
from towrope.wire.agent_api import (
    TRUST,
    Configuration,
    FetchConfiguration,
    ResolvedPrincipal,
    ResolvePrincipal,
    Trust,
)
from towrope.wire.errors import Hop, Unauthenticated, Unreachable
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


async def test_where_nobody_is_trusted_all_go_as_they_came() -> None:
    decision = await identity.decide(head(BEARER))
    assert decision == as_it_came(head(BEARER))
    assert not decision.is_impersonated


ADA = Caller(
    username="ada@contoso.example",
    groups=(GROUP,),
    uid=OID,
    extra={"oid": (OID,)},
    issuer="towrope",
    object_ids=(OID,),
)
FOREIGN = "https://elsewhere.test/"


class Played:
    """A server and a cluster, and who was found to call."""

    def __init__(self) -> None:
        self.trust = Trust(issuers=(signing.trusted(),))
        self.fetched: list[FetchConfiguration] = []
        self.resolved: list[ResolvePrincipal] = []
        self.principal = ResolvedPrincipal(is_active=True, groups=())
        self.is_away = False
        self.callers: list[Caller] = []
        self.now = float(NOW)
        self.current = CurrentTrust(self.trust, self._fetch, clock=lambda: self.now)
        self.who = Identification(
            self.current,
            Memberships(self._resolve, self, clock=lambda: self.now),
            self._impersonate,
            clock=lambda: self.now,
        )

    async def groups(self) -> frozenset[str]:
        return frozenset({GROUP})

    async def _fetch(self, request: FetchConfiguration) -> Configuration:
        self._reach()
        self.fetched.append(request)
        return Configuration(resource_id=CLUSTER, tls_server_name="a.test", trust=self.trust)

    async def _resolve(self, question: ResolvePrincipal) -> ResolvedPrincipal:
        self._reach()
        self.resolved.append(question)
        return self.principal

    def _reach(self) -> None:
        if self.is_away:
            raise Unreachable("away", hop=Hop.SERVER)

    async def _impersonate(self, caller: Caller, _: RequestHead) -> Decision:
        self.callers.append(caller)
        return Decision(principal=caller.username, credential=(), is_impersonated=True)

    async def decide(self, token: str, *more: Field) -> Decision:
        return await self.who.decide(head((b"Authorization", f"Bearer {token}".encode()), *more))

    async def refusal(self, token: str) -> str:
        before = len(self.callers)
        with pytest.raises(Unauthenticated) as caught:
            await self.decide(token)
        assert len(self.callers) == before
        assert caught.value.hop is Hop.AGENT
        assert not any(part in caught.value.message for part in token.split(".") if part)
        return caught.value.message


async def test_a_trusted_issuers_token_makes_a_caller() -> None:
    played = Played()
    decision = await played.decide(signing.token())
    assert decision.is_impersonated
    assert played.callers == [ADA]
    assert not played.fetched
    assert not played.resolved


async def test_why_a_token_is_refused_is_said() -> None:
    played = Played()
    expired = await played.refusal(signing.token(exp=NOW - 100))
    assert expired.startswith("The token of the issuer 'towrope' is refused: it expired at 2027-")
    assert "not for this cluster" in await played.refusal(signing.token(aud="other"))
    assert "signature" in await played.refusal(signing.token()[:-1])
    assert "system:" in await played.refusal(signing.token(upn="system:admin"))


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "kubeconfig-u-x:7hg", "a" * TOKEN_LIMIT])
async def test_any_other_token_goes_as_it_came(token: str) -> None:
    played = Played()
    given = (b"Authorization", b"Bearer " + token.encode())
    decision = await played.who.decide(head(given, (b"Impersonate-User", b"jane")))
    assert decision.credential == (given, (b"Impersonate-User", b"jane"))
    assert (decision.is_impersonated, decision.hint) == (False, "")
    assert played.callers == []


async def test_a_token_that_is_too_long_is_refused() -> None:
    assert "is over 65536 bytes" in await Played().refusal("a" * (TOKEN_LIMIT + 1))


async def test_of_an_unknown_issuer_there_is_a_hint() -> None:
    played = Played()
    decision = await played.decide(signing.token(iss=FOREIGN))
    assert not decision.is_impersonated
    assert f"'{FOREIGN}'" in decision.hint
    assert ISS in decision.hint
    played.trust = Trust()
    played.current.notified(TRUST)
    assert "trusted: none" in (await played.decide(signing.token(iss=FOREIGN))).hint


async def test_a_token_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    played, token = Played(), signing.token()
    await played.decide(token)
    monkeypatch.setattr("towrope.agent.tokens.verify", None)
    await played.decide(token)
    assert played.callers == [ADA, ADA]
    with pytest.raises(TypeError):
        await played.decide(signing.token(upn="bob@contoso.example"))


async def test_a_verified_token_still_ends() -> None:
    played, token = Played(), signing.token()
    await played.decide(token)
    played.now += 3600 + 61
    assert "expired" in await played.refusal(token)


async def test_a_verified_token_is_worth_nothing_when_the_trust_is_gone() -> None:
    played, token = Played(), signing.token()
    await played.decide(token)
    played.trust = Trust(issuers=(signing.trusted(rsa_key("b")),))
    played.current.notified(TRUST)
    assert "not among the issuer's keys" in await played.refusal(token)
    await played.decide(signing.token(rsa_key("b")))
    played.trust = Trust()
    played.current.notified(TRUST)
    assert "not trusted" in (await played.decide(token)).hint
    assert len(played.callers) == 2


async def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "KNOWN_LIMIT", 2)
    played = Played()
    for name in "abc":
        await played.decide(signing.token(upn=f"{name}@contoso.example"))
    assert len(played.who._known) == 2


async def test_an_issuers_next_key_is_fetched() -> None:
    played = Played()
    played.trust = Trust(issuers=(signing.trusted(rsa_key(), rsa_key("b")),))
    await played.decide(signing.token(rsa_key("b")))
    assert played.callers == [ADA]
    assert [key.key_id for key in played.fetched[0].unknown_keys] == ["b"]
    assert "not among" in await played.refusal(signing.token(rsa_key("c")))
    assert len(played.fetched) == 1
    played.now += 10
    assert "not among" in await played.refusal(signing.token(rsa_key("c")))
    assert len(played.fetched) == 2


async def test_an_issuer_that_went_with_its_keys() -> None:
    played = Played()
    played.trust = Trust()
    assert "not among" in await played.refusal(signing.token(rsa_key("b")))


async def test_after_a_hint_no_issuers_token_is_served_without_the_server() -> None:
    played, token = Played(), signing.token()
    await played.decide(token)
    played.current.notified(TRUST)
    played.is_away = True
    for again in (token, signing.token(upn="bob@contoso.example")):
        with pytest.raises(Unreachable) as caught:
            await played.decide(again)
        assert caught.value.hop is Hop.SERVER
    assert len(played.callers) == 1
    for other in ("opaque", signing.token(iss=FOREIGN)):
        assert not (await played.decide(other)).is_impersonated
    played.is_away = False
    await played.decide(token)
    assert len(played.callers) == 2


async def test_an_issuer_that_was_just_added_is_known() -> None:
    played = Played()
    other = signing.trusted(name="other", issuers=(FOREIGN,))
    played.trust = Trust(issuers=(signing.trusted(), other))
    played.current.notified(TRUST)
    await played.decide(signing.token(iss=FOREIGN))
    assert played.callers[0].issuer == "other"


async def test_for_a_service_account_the_server_is_not_asked() -> None:
    played = Played()
    played.current.notified(TRUST)
    account = signing.token(iss="https://kubernetes.default.svc", sub="system:serviceaccount:a:b")
    assert not (await played.decide(account)).is_impersonated
    assert played.fetched == []


async def test_a_removed_member_is_out_at_once() -> None:
    played, token = Played(), signing.token()
    await played.decide(token)
    played.trust = Trust(issuers=(signing.trusted(),), directory_changed_at=NOW)
    played.current.notified(TRUST)
    await played.decide(token)
    assert [caller.groups for caller in played.callers] == [(GROUP,), ()]
    played.principal = ResolvedPrincipal(is_active=True, groups=(GROUP,))
    played.current.notified(TRUST)  # within the same second, so that the trust says the same
    await played.decide(token)
    assert played.callers[2] == ADA
    played.principal = ResolvedPrincipal(is_active=False, groups=(GROUP,))
    played.current.notified(TRUST)
    assert "sign in again" in await played.refusal(token)


async def test_groups_that_cannot_be_told() -> None:
    played = Played()
    overage = signing.token(groups=None, _claim_names={"groups": "src1"})
    reason = "Overage claim (users with more than 200 group membership) is not supported"
    played.principal = ResolvedPrincipal(is_active=True, groups=None, reason=reason)
    assert reason in await played.refusal(overage)
    played.is_away = True
    played.now += 60
    with pytest.raises(Unreachable):
        await played.decide(overage)
    assert played.callers == []


async def test_what_was_taken_away_meanwhile_is_asked_for_before_a_caller_is_served() -> None:
    played, order = Played(), []

    async def settled() -> None:
        order.append("settled")

    async def impersonate(caller: Caller, _: RequestHead) -> Decision:
        order.append(caller.username)
        return Decision(principal=caller.username, credential=())

    memberships = Memberships(played._resolve, played)
    who = Identification(
        played.current, memberships, impersonate, settled=settled, clock=lambda: NOW
    )
    given = (b"Authorization", f"Bearer {signing.token()}".encode())
    await who.decide(head(given))
    assert order == ["settled", ADA.username]
    await who.decide(head((b"Authorization", b"Bearer opaque")))
    assert len(order) == 2


# Decided again, while the request runs.


def with_token(**changes: Any) -> RequestHead:
    return head((b"Authorization", f"Bearer {signing.token(**changes)}".encode()))


async def test_decided_again_a_token_may_have_expired() -> None:
    played = Played()
    first = await played.who.decide(with_token())
    played.now += 10_000
    again = await played.who.decide_again(with_token())
    assert again == first
    assert played.callers == [ADA, ADA]


async def test_decided_again_a_group_may_be_lost() -> None:
    played = Played()
    first = await played.who.decide(with_token())
    played.trust = Trust(issuers=(signing.trusted(),), directory_changed_at=NOW)
    played.current.notified(TRUST)
    assert first.as_of != played.who.as_of
    await played.who.decide_again(with_token())
    assert [caller.groups for caller in played.callers] == [(GROUP,), ()]


async def refused_again(played: Played, given: RequestHead) -> str:
    before = len(played.callers)
    with pytest.raises(Unauthenticated) as caught:
        await played.who.decide_again(given)
    assert len(played.callers) == before
    assert caught.value.hop is Hop.AGENT
    return caught.value.message


async def test_decided_again_an_account_may_be_gone() -> None:
    played = Played()
    await played.who.decide(with_token())
    played.trust = Trust(issuers=(signing.trusted(),), directory_changed_at=NOW)
    played.principal = ResolvedPrincipal(is_active=False, groups=None)
    played.current.notified(TRUST)
    assert "sign in again" in await refused_again(played, with_token())
    played.is_away = True
    played.current.notified(TRUST)
    with pytest.raises(Unreachable):
        await played.who.decide_again(with_token())


async def test_decided_again_an_issuer_may_be_trusted_no_longer() -> None:
    played = Played()
    await played.who.decide(with_token())
    played.trust = Trust(issuers=(signing.trusted(rsa_key("b")),))
    played.current.notified(TRUST)
    assert "not among the issuer's keys" in await refused_again(played, with_token())
    played.trust = Trust(issuers=(signing.trusted(username_prefix="sys"),))
    played.current.notified(TRUST)
    assert "names '" in await refused_again(played, with_token(upn="tem:x"))
    played.trust = Trust()
    played.current.notified(TRUST)
    assert "not trusted any more" in await refused_again(played, with_token())


async def test_whose_decision_is_as_old_as_what_was_known_before_it() -> None:
    played = Played()
    before = played.who.as_of
    played.trust = Trust(issuers=(signing.trusted(), signing.trusted(rsa_key("b"))))
    played.current.notified(TRUST)
    decision = await played.who.decide(with_token())
    assert before < decision.as_of < played.who.as_of
    assert (await played.who.decide_again(with_token())).as_of == played.who.as_of


T = TypeVar("T")


def done(work: Coroutine[Any, Any, T]) -> T:
    """Of what never waits for anything."""
    with pytest.raises(StopIteration) as caught:
        work.send(None)
    result: T = caught.value.value
    return result


PLAYED = Played()
TOKENS = {
    signing.token(): ADA.username,
    signing.token(upn="bob@contoso.example"): "bob@contoso.example",
    signing.token(upn="j\u00f6rg@m\u00fcller.example"): "j\u00f6rg@m\u00fcller.example",
    signing.token(idtyp="app"): OID,
    signing.token(aud="other"): "",
    signed(as_json(claims()), key=rsa_key("b"), header={"kid": "a"}): "",
}
HEADERS = st.sampled_from(
    [
        *(b"Impersonate-User", b"impersonate-group", b"Impersonate-Extra-Oid", b"Impersonate-Uid"),
        *(b"X-Remote-User", b"X-Remote-Group", b"Cookie", b"Connection", b"X-Forwarded-User"),
    ]
)
NAMES = st.sampled_from([b"system:admin", b"system:masters", b"root", b"Impersonate-User", b""])


@given(st.sampled_from(sorted(TOKENS)), st.lists(st.tuples(HEADERS, NAMES), max_size=5), st.data())
def test_the_caller_is_a_function_of_the_token_alone(
    token: str, items: list[Field], data: st.DataObject
) -> None:
    """Whatever other headers there are, and wherever they stand."""
    items.insert(
        data.draw(st.integers(0, len(items))), (b"Authorization", b"Bearer " + token.encode())
    )
    PLAYED.callers.clear()
    try:
        done(PLAYED.who.decide(head(*items)))
    except Unauthenticated:
        assert not TOKENS[token]
        assert PLAYED.callers == []
        return
    assert [caller.username for caller in PLAYED.callers] == [TOKENS[token]]
    assert PLAYED.callers[0].groups == (GROUP,)
