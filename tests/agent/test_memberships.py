"""Groups that a token does not say: asked of the server, and only those that decide something."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from tests.agent import signing
from tests.agent.signing import GROUP, NOW, OID, claims
from towrope.agent import memberships as module
from towrope.agent.caller import Caller
from towrope.agent.issuers import Issuer
from towrope.agent.memberships import CACHE_LIMIT, KEPT_FOR, KEPT_UNKNOWN_FOR, Memberships
from towrope.agent.tokens import Rejected, Verified
from towrope.agent.usernames import caller_of
from towrope.wire.agent_api import GROUPS_LIMIT, IssuerKind, ResolvedPrincipal, ResolvePrincipal
from towrope.wire.errors import Hop, NotFound, Unreachable
from towrope.wire.names import external_object_id, object_id_group

OTHER = "1f3cfa0b-8a4f-4d6c-8a80-6a3e0b6c5d02"
UNBOUND = "2f3cfa0b-8a4f-4d6c-8a80-6a3e0b6c5d03"
OVERAGE = {"groups": None, "_claim_names": {"groups": "src1"}}


@functools.cache
def issuer_of(**changes: Any) -> Issuer:
    """The same one for the same changes, as long as the trust is the same."""
    return signing.issuer(**changes)


class Played:
    """A server with a directory, and a cluster with bindings."""

    def __init__(self) -> None:
        self.asked: list[ResolvePrincipal] = []
        self.members = {GROUP, UNBOUND}
        self.answer: Callable[[ResolvePrincipal], ResolvedPrincipal] = self._members_of
        self.failure: Exception | None = None
        self.bound = frozenset({GROUP, OTHER, "developers"})
        self.now = 1000.0
        self.memberships = Memberships(self._resolve, self, clock=lambda: self.now)

    async def groups(self) -> frozenset[str]:
        return self.bound

    async def _resolve(self, question: ResolvePrincipal) -> ResolvedPrincipal:
        self.asked.append(question)
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return self.answer(question)

    def _members_of(self, question: ResolvePrincipal) -> ResolvedPrincipal:
        found = tuple(group for group in question.groups if group in self.members)
        return ResolvedPrincipal(is_active=True, groups=found)

    async def ask(
        self,
        given: dict[str, Any],
        *,
        changed_at: int = 0,
        hints: int = 0,
        **issuer: Any,
    ) -> Caller | Rejected:
        verified = Verified(
            issuer=issuer_of(**issuer),
            claims=given,
            issued_at=given.get("iat", 0),
            expires_at=NOW + 9,
        )
        caller = caller_of(verified)
        assert isinstance(caller, Caller)
        return await self.memberships.complete(caller, verified, changed_at=changed_at, hints=hints)

    async def groups_of(self, given: dict[str, Any], **more: Any) -> tuple[str, ...]:
        found = await self.ask(given, **more)
        assert isinstance(found, Caller)
        return found.groups

    async def reason(self, given: dict[str, Any], **more: Any) -> str:
        found = await self.ask(given, **more)
        assert isinstance(found, Rejected)
        return found.reason


async def test_a_token_that_says_all_is_not_asked_about() -> None:
    played = Played()
    assert await played.groups_of(claims(groups=[UNBOUND])) == (UNBOUND,)
    assert await played.groups_of(claims(hasgroups=False, _claim_names=None)) == (GROUP,)
    assert await played.groups_of(claims(_claim_names={"address": "src1"})) == (GROUP,)
    assert played.asked == []


@pytest.mark.parametrize(
    "more", [OVERAGE, {"groups": None, "hasgroups": True}, {"groups": None, "hasgroups": "true"}]
)
async def test_a_token_with_too_many_groups_is(more: dict[str, Any]) -> None:
    played = Played()
    assert await played.groups_of(claims(**more)) == (GROUP,)
    assert played.asked == [
        ResolvePrincipal(
            issuer="towrope",
            object_id=OID,
            is_application=False,
            issued_at=NOW,
            groups=(GROUP, OTHER),
        )
    ]


async def test_overage_is_heeded_beside_groups_too() -> None:
    """Whatever a token says of groups beside it: the directory decides."""
    given = claims(groups=[OTHER], _claim_names={"groups": "src1"})
    assert await Played().groups_of(given) == (GROUP,)


async def test_an_application_is_asked_about_as_one() -> None:
    played = Played()
    await played.ask(claims(idtyp="app", **OVERAGE))
    assert played.asked[0].is_application


async def test_a_token_of_before_the_last_change_is_asked_about() -> None:
    played = Played()
    given = claims(groups=[GROUP, OTHER, UNBOUND])
    assert await played.groups_of(given, changed_at=NOW - 1) == (GROUP, OTHER, UNBOUND)
    assert await played.groups_of(given, changed_at=NOW) == (GROUP,)
    assert len(played.asked) == 1
    assert await played.groups_of(claims(iat=None), changed_at=0) == (GROUP,)
    assert len(played.asked) == 2


async def test_other_issuers_have_another_directory() -> None:
    for kind in (IssuerKind.ENTRA, IssuerKind.OIDC):
        played = Played()
        assert await played.groups_of(claims(), changed_at=NOW, kind=kind) == (GROUP,)
        assert played.asked == []


async def test_prefixes_are_the_clusters_and_not_the_issuers() -> None:
    played = Played()
    played.bound = frozenset({"corp:dev", "corp:ops", "ops", "corp:"})
    played.members = {"ops"}
    given = claims(_claim_names={"roles": "src1"})
    oidc: dict[str, Any] = {
        "kind": IssuerKind.OIDC,
        "groups_claim": "roles",
        "groups_prefix": "corp:",
    }
    assert await played.groups_of(given, **oidc) == ("corp:ops",)
    assert played.asked[0].groups == ("dev", "ops")


async def test_a_group_that_a_role_assignment_names_is_known_by_its_object_id() -> None:
    played = Played()
    played.bound = frozenset({object_id_group(GROUP), object_id_group(OID), OTHER})
    found = await played.ask(claims(groups=[GROUP, OTHER, UNBOUND]))
    assert isinstance(found, Caller)
    assert found.groups == (GROUP, OTHER, UNBOUND)
    assert found.object_ids == (OID, GROUP)
    played.bound = frozenset({object_id_group(GROUP, is_external=True)})
    capitals = await played.ask(claims(groups=[GROUP.upper()]), kind=IssuerKind.ENTRA)
    assert isinstance(capitals, Caller)
    assert object_id_group(GROUP, is_external=True) in capitals.all_groups
    assert played.asked == []


@pytest.mark.parametrize("kind", [IssuerKind.ENTRA, IssuerKind.TOWROPE])
async def test_an_id_that_another_issuer_says_is_none_of_the_servers_own(kind: IssuerKind) -> None:
    """A tenant may put what it likes into its tokens, the ids of this directory included."""
    played = Played()
    other = kind is IssuerKind.TOWROPE
    played.bound = frozenset(object_id_group(each, is_external=other) for each in (OID, GROUP))
    for more in ({"groups": [GROUP]}, OVERAGE):
        found = await played.ask(claims(**more), kind=kind)
        assert isinstance(found, Caller)
        assert played.bound.isdisjoint(found.all_groups)
    assert all(GROUP not in asked.groups for asked in played.asked)


async def test_groups_that_role_assignments_name_are_asked_about_too() -> None:
    played = Played()
    played.bound = frozenset({object_id_group(GROUP), object_id_group(OTHER), "developers"})
    found = await played.ask(claims(**OVERAGE))
    assert isinstance(found, Caller)
    assert played.asked[0].groups == (GROUP, OTHER)
    assert found.all_groups == (GROUP, object_id_group(OID), object_id_group(GROUP))
    played.members = set()
    assert await played.groups_of(claims(**OVERAGE), hints=1) == ()


async def test_another_providers_groups_have_no_object_ids() -> None:
    """It calls them what it likes, and could call them as one of another directory."""
    played = Played()
    played.bound = frozenset({object_id_group(GROUP), "towrope:oid:x"})
    found = await played.ask(claims(), kind=IssuerKind.OIDC)
    assert isinstance(found, Caller)
    assert found.object_ids == (external_object_id(signing.ISS, OID),)
    await played.ask(claims(**OVERAGE), kind=IssuerKind.OIDC)
    assert played.asked[0].groups == ()


async def test_bindings_that_are_not_known_give_no_groups() -> None:
    played = Played()
    played.memberships = Memberships(played._resolve, Unknown())
    assert await played.groups_of(claims(groups=None)) == ()
    with pytest.raises(Unreachable):
        await played.ask(claims())


class Unknown:
    """A cluster whose bindings cannot be read."""

    async def groups(self) -> frozenset[str]:
        raise Unreachable("not known", hop=Hop.APISERVER)


async def test_the_server_cannot_put_a_caller_into_other_groups() -> None:
    played = Played()
    injected = ("system:masters", UNBOUND, "developers", GROUP)
    played.answer = lambda _: ResolvedPrincipal(is_active=True, groups=injected)
    assert await played.groups_of(claims(**OVERAGE)) == (GROUP,)


async def test_who_is_gone_or_signed_out_is_refused() -> None:
    played = Played()
    played.answer = lambda _: ResolvedPrincipal(is_active=False, groups=(GROUP,))
    assert "sign in again" in await played.reason(claims(), changed_at=NOW)


async def test_where_it_cannot_be_told_the_server_says_why() -> None:
    played = Played()
    played.answer = lambda _: ResolvedPrincipal(is_active=True, groups=None, reason="Overage claim")
    assert await played.reason(claims(**OVERAGE)) == "Overage claim"
    played.now += KEPT_UNKNOWN_FOR
    played.answer = lambda _: ResolvedPrincipal(is_active=True, groups=None)
    assert "cannot be told" in await played.reason(claims(**OVERAGE))


@pytest.mark.parametrize(
    "failure", [Unreachable("away", hop=Hop.SERVER), NotFound("no", hop=Hop.SERVER)]
)
async def test_a_server_that_is_away_grants_nothing(failure: Exception) -> None:
    played = Played()
    played.failure = failure
    with pytest.raises(Unreachable, match="cannot ask the server") as caught:
        await played.ask(claims(**OVERAGE))
    assert caught.value.hop is Hop.SERVER
    played.failure = None
    assert await played.groups_of(claims(**OVERAGE)) == (GROUP,)


async def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_WITHIN", 0.05)

    async def resolve(_: ResolvePrincipal) -> ResolvedPrincipal:
        await asyncio.sleep(60)
        raise AssertionError

    played = Played()
    played.memberships = Memberships(resolve, played)
    with pytest.raises(Unreachable, match="did not answer"):
        await played.ask(claims(**OVERAGE))


async def test_an_answer_is_kept_for_a_minute() -> None:
    played = Played()
    many = await asyncio.gather(*(played.groups_of(claims(**OVERAGE)) for _ in range(5)))
    assert many == [(GROUP,)] * 5
    played.members = set()
    played.now += KEPT_FOR - 1
    assert await played.groups_of(claims(**OVERAGE)) == (GROUP,)
    assert len(played.asked) == 1
    played.now += 1
    assert await played.groups_of(claims(**OVERAGE)) == ()
    assert len(played.asked) == 2


async def test_an_answer_is_not_kept_beyond_a_change() -> None:
    played = Played()
    await played.groups_of(claims(**OVERAGE))
    played.members = set()
    assert await played.groups_of(claims(**OVERAGE), hints=1) == ()
    played.members = {GROUP, UNBOUND}
    played.bound = frozenset({GROUP, UNBOUND})
    assert await played.groups_of(claims(**OVERAGE), hints=1) == (GROUP, UNBOUND)
    await played.groups_of(claims(iat=NOW + 1, **OVERAGE), hints=1)
    await played.groups_of(claims(oid=OTHER, **OVERAGE), hints=1)
    assert len(played.asked) == 5


async def test_only_so_many_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CACHE_LIMIT > 1000
    monkeypatch.setattr(module, "CACHE_LIMIT", 2)
    played = Played()
    for issued in (1, 2, 1, 3, 1, 2):
        await played.groups_of(claims(iat=issued, **OVERAGE))
    assert [question.issued_at for question in played.asked] == [1, 2, 3, 2]


async def test_a_user_in_ten_thousand_groups() -> None:
    """The cluster's bindings name as many, and the caller is in all of them."""
    played = Played()
    groups = [f"{n:08x}-0000-0000-0000-000000000000" for n in range(10_000)]
    played.bound, played.members = frozenset(groups), set(groups)
    assert await played.groups_of(claims(**OVERAGE)) == tuple(groups)
    assert [len(question.groups) for question in played.asked] == [4096, 4096, 1808]
    assert max(len(question.groups) for question in played.asked) <= GROUPS_LIMIT


async def test_no_groups_are_bound() -> None:
    played = Played()
    played.bound = frozenset()
    assert await played.groups_of(claims(), changed_at=NOW) == ()
    assert len(played.asked) == 1
    played.answer = lambda _: ResolvedPrincipal(is_active=False, groups=())
    assert "sign in again" in await played.reason(claims(), changed_at=NOW, hints=1)
