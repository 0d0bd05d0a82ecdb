"""As whom a verified caller's request goes upstream, whatever headers came with it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent import rig
from tests.agent.rig import get
from towrope.agent.access_reviews import Access, Verdict
from towrope.agent.caller import Caller
from towrope.agent.gate import Decide
from towrope.agent.identity import Decision
from towrope.agent.impersonation import IMPERSONATOR, NAMED_LIMIT, Impersonation
from towrope.agent.screening import screen
from towrope.wire.errors import (
    Forbidden,
    Hop,
    Malformed,
    TowropeError,
    Unauthenticated,
    Unreachable,
)
from towrope.wire.head import Field, Fields, RequestHead, parse_request

ALICE = Caller(
    username="alice@shop.example",
    groups=("11111111-1111-4111-8111-111111111111", "2222"),
    uid="33333333-3333-4333-8333-333333333333",
    extra={"oid": ("33333333-3333-4333-8333-333333333333",)},
    issuer="towrope",
    object_ids=("33333333-3333-4333-8333-333333333333",),
)
ALICES_FIELDS = (
    (b"Impersonate-User", b"alice@shop.example"),
    (b"Impersonate-Group", b"11111111-1111-4111-8111-111111111111"),
    (b"Impersonate-Group", b"2222"),
    (b"Impersonate-Group", b"towrope:oid:33333333-3333-4333-8333-333333333333"),
    (b"Impersonate-Uid", b"33333333-3333-4333-8333-333333333333"),
    (b"Impersonate-Extra-towrope.dev%2Foid", b"33333333-3333-4333-8333-333333333333"),
)
AS_JANE = (b"Impersonate-User", b"jane")


@dataclass
class Reviews:
    """An authorizer that a test plays."""

    allows: Callable[[Access], bool] = lambda _: True
    reason: str = ""
    asked: list[tuple[Caller, Access]] = field(default_factory=list)

    async def review(self, caller: Caller, access: Access) -> Verdict:
        self.asked.append((caller, access))
        return Verdict(is_allowed=self.allows(access), reason=self.reason)

    @property
    def accesses(self) -> list[Access]:
        return [access for _, access in self.asked]


def head(*items: Field) -> RequestHead:
    return RequestHead(b"GET", b"/api", Fields(((b"Host", b"cluster"), *items)))


async def decided(
    *items: Field, caller: Caller = ALICE, reviews: Reviews | None = None
) -> Decision:
    return await Impersonation(reviews or Reviews()).decide(caller, head(*items))


def impersonate(resource: str, name: str, *, group: str = "", **more: str) -> Access:
    return Access(verb="impersonate", group=group, resource=resource, name=name, **more)


async def test_a_callers_identity_becomes_fields() -> None:
    reviews = Reviews()
    decision = await decided(reviews=reviews)
    assert decision == Decision(
        principal="alice@shop.example",
        groups=ALICE.all_groups,
        credential=ALICES_FIELDS,
        is_impersonated=True,
        acting=replace(ALICE, extra={"towrope.dev/oid": ALICE.extra["oid"]}),
    )
    assert reviews.asked == [], "nobody is asked where nothing is claimed"


async def test_a_caller_of_a_name_alone() -> None:
    decision = await decided(caller=Caller(username="jürgen"))
    assert decision.credential == ((b"Impersonate-User", "jürgen".encode()),)


async def test_keys_of_extra_are_percent_encoded_under_a_domain() -> None:
    extra = {"a.example/b c%ü": ("1", "2"), "oid": ("3",)}
    decision = await decided(caller=Caller(username="a", extra=extra))
    assert decision.credential[1:] == (
        (b"Impersonate-Extra-a.example%2Fb%20c%25%C3%BC", b"1"),
        (b"Impersonate-Extra-a.example%2Fb%20c%25%C3%BC", b"2"),
        (b"Impersonate-Extra-towrope.dev%2Foid", b"3"),
    )


@pytest.mark.parametrize(
    "changes",
    [
        *({"username": name} for name in ("", "system:admin", "SYSTEM:admin", " a", "a\r\nX: b")),
        *({"username": name} for name in ("a\0", "a ", "a\ud800", " system:x")),
        *({"username": name} for name in ("towrope:oid:x", "Towrope:x")),
        *({"object_ids": (found,)} for found in ("", "x", "a\n", f"{ALICE.uid}\n")),
        {"groups": ("a", "towrope:oid:11111111-1111-4111-8111-111111111111")},
        *({"groups": ("a", name)} for name in ("system:masters", "System:Masters", "", "a\nb")),
        *({"uid": uid} for uid in ("system:x", "a\tb", "\x7f")),
        *({"extra": {"oid": (value,)}} for value in ("system:x", "", "a\n")),
        {"extra": {IMPERSONATOR: ("root",)}},
        {"extra": {"impersonator": ("root",)}},
    ],
)
async def test_what_no_token_may_bring_is_refused_here_again(changes: dict[str, object]) -> None:
    for items in ((), (AS_JANE,)):
        with pytest.raises(Unauthenticated):
            await decided(*items, caller=replace(ALICE, **changes))  # type: ignore[arg-type]  # bad on purpose


# kubectl --as.


async def test_all_that_is_named_is_reviewed_and_goes_upstream_with_the_caller() -> None:
    reviews = Reviews()
    decision = await decided(
        AS_JANE,
        (b"impersonate-group", b"g1"),
        (b"IMPERSONATE-GROUP", b"g2"),
        (b"Impersonate-Uid", b"u1"),
        (b"Impersonate-Extra-Acme.Example%2fScopes", b"s1"),
        (b"Impersonate-Extra-acme.example%2Fscopes", b"s2"),
        reviews=reviews,
    )
    group = "authentication.k8s.io"
    key = {"group": group, "subresource": "acme.example/scopes"}
    assert reviews.accesses == [
        impersonate("users", "jane"),
        impersonate("groups", "g1"),
        impersonate("groups", "g2"),
        impersonate("uids", "u1", group=group),
        impersonate("userextras", "s1", **key),
        impersonate("userextras", "s2", **key),
    ]
    (asking,) = {id(caller): caller for caller, _ in reviews.asked}.values()
    assert (asking.username, asking.groups, asking.uid) == (
        ALICE.username,
        ALICE.groups,
        ALICE.uid,
    )
    assert asking.extra == {"towrope.dev/oid": ALICE.extra["oid"]}, "as the apiserver knows it"
    acting = Caller(
        username="jane",
        groups=("g1", "g2"),
        uid="u1",
        extra={"acme.example/scopes": ("s1", "s2"), IMPERSONATOR: (ALICE.username,)},
    )
    assert decision == Decision(
        principal=ALICE.username,
        groups=ALICE.all_groups,
        subject="jane",
        acting=acting,
        is_impersonated=True,
        credential=(
            (b"Impersonate-User", b"jane"),
            (b"Impersonate-Group", b"g1"),
            (b"Impersonate-Group", b"g2"),
            (b"Impersonate-Uid", b"u1"),
            (b"Impersonate-Extra-acme.example%2Fscopes", b"s1"),
            (b"Impersonate-Extra-acme.example%2Fscopes", b"s2"),
            (b"Impersonate-Extra-towrope.dev%2Fimpersonator", b"alice@shop.example"),
        ),
    )


@pytest.mark.parametrize(
    ("user", "access"),
    [
        (
            b"system:serviceaccount:prod:deployer.v2",
            impersonate("serviceaccounts", "deployer.v2", namespace="prod"),
        ),
        # No service account can be called so: for the apiserver these are users.
        *(
            (name, impersonate("users", name.decode()))
            for name in (
                b"system:serviceaccount:prod:",
                b"system:serviceaccount::deployer",
                b"system:serviceaccount:prod:a:b",
                b"system:serviceaccount:Prod:deployer",
                b"system:serviceaccount:prod:Deployer",
                b"system:serviceaccount:pro.d:deployer",
                b"system:serviceaccount:-prod:deployer",
                b"system:serviceaccount:" + b"p" * 64 + b":deployer",
                b"system:serviceaccount:prod:" + b"d" * 254,
                b"System:serviceaccount:prod:deployer",
                b"system:node:n1",
                b"system:admin",
            )
        ),
    ],
)
async def test_service_accounts_are_reviewed_as_such(user: bytes, access: Access) -> None:
    reviews = Reviews()
    await decided((b"Impersonate-User", user), reviews=reviews)
    assert reviews.accesses == [access]


@pytest.mark.parametrize(
    ("items", "denied", "message"),
    [
        (
            [AS_JANE],
            "users",
            (
                'users "jane" is forbidden: User "alice@shop.example" cannot impersonate resource'
                ' "users" in API group "" at the cluster scope'
            ),
        ),
        (
            [AS_JANE, (b"Impersonate-Group", b"system:masters")],
            "groups",
            (
                'groups "system:masters" is forbidden: User "alice@shop.example" cannot impersonate'
                ' resource "groups" in API group "" at the cluster scope'
            ),
        ),
        (
            [(b"Impersonate-User", b"system:serviceaccount:prod:deployer")],
            "serviceaccounts",
            (
                'serviceaccounts "deployer" is forbidden: User "alice@shop.example" cannot'
                ' impersonate resource "serviceaccounts" in API group "" in the namespace "prod"'
            ),
        ),
        (
            [AS_JANE, (b"Impersonate-Extra-scopes", b"all")],
            "userextras",
            (
                'userextras.authentication.k8s.io "all" is forbidden: User "alice@shop.example"'
                ' cannot impersonate resource "userextras/scopes" in API group'
                ' "authentication.k8s.io" at the cluster scope'
            ),
        ),
        (
            [AS_JANE, (b"Impersonate-Uid", b"1")],
            "uids",
            (
                'uids.authentication.k8s.io "1" is forbidden: User "alice@shop.example" cannot'
                ' impersonate resource "uids" in API group "authentication.k8s.io" at the cluster'
                " scope"
            ),
        ),
    ],
)
async def test_one_denial_is_enough(items: list[Field], denied: str, message: str) -> None:
    reviews = Reviews(allows=lambda access: access.resource != denied)
    with pytest.raises(Forbidden) as caught:
        await decided(*items, reviews=reviews)
    assert caught.value.message == message
    reviews.reason = "no such right"
    with pytest.raises(Forbidden, match=r": no such right$"):
        await decided(*items, reviews=reviews)


async def test_a_review_that_cannot_be_had_is_no_permission() -> None:
    class Away(Reviews):
        async def review(self, caller: Caller, access: Access) -> Verdict:
            if access.resource == "groups":
                raise Unreachable("away", hop=Hop.APISERVER)
            return await super().review(caller, access)

    with pytest.raises(Unreachable, match="away"):
        await decided(AS_JANE, (b"Impersonate-Group", b"g"), reviews=Away())


@pytest.mark.parametrize(
    "items",
    [
        [(b"Impersonate-Group", b"g")],
        [(b"Impersonate-Uid", b"1")],
        [(b"Impersonate-Extra-scopes", b"all")],
        [(b"Impersonate-User", b"")],
        [(b"Impersonate-User", b""), (b"Impersonate-Group", b"system:masters")],
        [AS_JANE, AS_JANE],
        [AS_JANE, (b"impersonate-user", b"john")],
        [AS_JANE, (b"Impersonate-Uid", b"1"), (b"Impersonate-Uid", b"2")],
        [AS_JANE, (b"Impersonate-Uid", b"")],
        [AS_JANE, (b"Impersonate-Group", b"")],
        [AS_JANE, (b"Impersonate-Group", b"a\tb")],
        [AS_JANE, (b"Impersonate-Groups", b"g")],
        [AS_JANE, (b"Impersonate-", b"g")],
        [(b"Impersonate-Anything", b"g")],
        [AS_JANE, (b"Impersonate-Extra-", b"g")],
        [AS_JANE, (b"Impersonate-Extra-a%2", b"g")],
        [AS_JANE, (b"Impersonate-Extra-a%zz", b"g")],
        [AS_JANE, (b"Impersonate-Extra-%ff", b"g")],
        [AS_JANE, (b"Impersonate-Extra-a", b"")],
        [AS_JANE, (b"Impersonate-Extra-towrope.dev%2Fimpersonator", b"root")],
        [AS_JANE, (b"Impersonate-Extra-Towrope.Dev%2fimperson%61tor", b"root")],
        [AS_JANE, (b"Impersonate-Extra-towrope.dev%2F%49mpersonator", b"root")],
        [(b"Impersonate-User", b"\xff")],
        [AS_JANE, *[(b"Impersonate-Group", b"%d" % n) for n in range(NAMED_LIMIT)]],
    ],
)
async def test_what_is_no_impersonation_is_refused_unasked(items: list[Field]) -> None:
    reviews = Reviews()
    with pytest.raises(Malformed):
        await decided(*items, reviews=reviews)
    assert reviews.asked == []


# The property: what goes upstream is a function of the caller and of what it may impersonate.


def as_the_apiserver_reads(fields: Fields) -> dict[str, object]:
    """`processImpersonationHeaders` of k8s.io/apiserver, after Go's reading of names."""
    extra: dict[str, list[str]] = {}
    for name, value in fields:
        lower = name.decode().lower()
        if lower.startswith("impersonate-extra-"):
            key = unquote(lower.removeprefix("impersonate-extra-"))
            extra.setdefault(key, []).append(value.decode())
    return {
        "user": [value.decode() for value in fields.all(b"impersonate-user")],
        "groups": [value.decode() for value in fields.all(b"impersonate-group")],
        "uid": [value.decode() for value in fields.all(b"impersonate-uid")],
        "extra": extra,
    }


ALICE_AS_READ = {
    "user": [ALICE.username],
    "groups": list(ALICE.all_groups),
    "uid": [ALICE.uid],
    "extra": {"towrope.dev/oid": list(ALICE.extra["oid"])},
}
PARTS = ["User", "Group", "Uid", "Extra-oid", "Extra-towrope.dev%2Foid", "Extra-%6fid", ""]
PARTS += ["Extra-towrope.dev%2Fimpersonator", "Extra-scopes", "Remote", "user", "GROUP"]
NAMES = st.one_of(
    st.builds(
        lambda prefix, part: (prefix + part).encode(),
        st.sampled_from(["Impersonate-", "impersonate-", "IMPERSONATE-", "Impersonate_", "X-"]),
        st.sampled_from(PARTS),
    ),
    st.sampled_from([b"Authorization", b"X-Remote-User", b"X-Remote-Group", b"Connection"]),
    st.sampled_from([b"Trailer", b"Upgrade", b"Accept", b"Cookie", b"Sec-WebSocket-Protocol"]),
)
TEXTS = ["jane", "system:masters", "system:admin", "a", "", "Upgrade", "websocket", "close"]
TEXTS += ["Impersonate-User", "system:serviceaccount:a:b", "Bearer x", "jürgen"]
VALUES = st.one_of(
    st.sampled_from([text.encode() for text in TEXTS]),
    st.binary(max_size=6),
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.sets(st.sampled_from(TEXTS)))
async def test_no_header_names_widens_or_hides_the_identity(
    items: list[Field], allowed: set[str]
) -> None:
    reviews = Reviews(allows=lambda access: access.name in allowed or access.namespace == "a")
    raw = RequestHead(b"GET", b"/api", Fields(((b"Host", b"cluster"), *items))).encode()
    try:
        came = parse_request(raw)
        request = screen(came)
        decision = await Impersonation(reviews).decide(ALICE, came)
    except (TowropeError, AssertionError):
        return
    sent = request.head(host=b"apiserver", credential=decision.credential).encode()
    read = parse_request(sent).fields
    assert read.all(b"authorization") == []
    assert not [name for name, _ in read if name.lower().startswith(b"x-remote-")]
    identity = as_the_apiserver_reads(read)
    if not any(name.lower().startswith(b"impersonate-") for name, _ in came.fields):
        assert identity == ALICE_AS_READ
        return
    # Exactly what was reviewed and allowed, and who it is that acts so.
    extra = identity["extra"]
    assert isinstance(extra, dict)
    assert extra.pop("towrope.dev/impersonator") == [ALICE.username]
    assert identity == as_the_apiserver_reads(came.fields) | {"extra": extra}
    assert all(reviews.allows(access) for access in reviews.accesses)
    named = [*identity["user"], *identity["groups"], *identity["uid"]]  # type: ignore[misc]  # lists
    named += [value for values in extra.values() for value in values]
    assert len(reviews.accesses) == len(named)


# The same through the gate.


CALLERS_JWT = "Authorization: Bearer verified-token\r\n"


def verified(reviews: Reviews) -> Decide:
    async def decide(request: RequestHead) -> Decision:
        return await Impersonation(reviews).decide(ALICE, request)

    return decide


SPOOFS = {
    "a user": ["Impersonate-User: system:admin"],
    "a user in capitals": ["IMPERSONATE-USER: system:admin"],
    "a group alone": ["Impersonate-Group: system:masters"],
    "a group in other letters": ["Impersonate-User: a", "iMPERSONATE-gROUP: system:masters"],
    "two users": ["Impersonate-User: alice@shop.example", "Impersonate-User: system:admin"],
    "two users in two cases": ["Impersonate-User: a", "impersonate-user: b"],
    "a user with underscores": ["Impersonate_User: system:admin"],
    "a group with underscores": ["Impersonate_Group: system:masters"],
    "an extra with underscores": ["Impersonate_Extra_oid: root"],
    "an extra": ["Impersonate-Extra-towrope.dev%2Foid: root"],
    "the impersonator": ["Impersonate-User: a", "Impersonate-Extra-towrope.dev%2Fimpersonator: b"],
    "an uid": ["Impersonate-Uid: 0"],
    "dropped by Connection": ["Connection: Impersonate-User", "Impersonate-User: system:admin"],
    "a group dropped by Connection": ["Connection: Impersonate-Group"],
    "an extra dropped by Connection": ["Connection: close, Impersonate-Extra-towrope.dev%2Foid"],
    "the credential dropped by Connection": ["Connection: Authorization"],
    "with an upgrade": [
        "Connection: Upgrade",
        "Upgrade: SPDY/3.1",
        "Impersonate-User: system:admin",
    ],
    "named by an upgrade": [
        "Connection: Upgrade, Impersonate-User",
        "Upgrade: websocket",
        "Impersonate-User: system:admin",
    ],
}


@pytest.mark.parametrize("lines", SPOOFS.values(), ids=SPOOFS.keys())
async def test_a_spoof_reaches_no_apiserver(lines: list[str]) -> None:
    reviews = Reviews(allows=lambda _: False)
    async with rig.running(decide=verified(reviews)) as gate:
        answer = await gate.ask(get(*lines, bearer=CALLERS_JWT))
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 "))
        assert gate.reached == b""
        event = await gate.event()
        assert event.status in (400, 403)


async def test_claims_in_other_names_change_nothing() -> None:
    lines = ["X-Remote-User: system:admin", "X-Remote-Group: system:masters"]
    lines += ["X-Impersonate-User: system:admin", "Cookie: Impersonate-User=system:admin"]
    lines += ["Trailer: Impersonate-User"]
    async with rig.running(decide=verified(Reviews())) as gate:
        assert (await gate.ask(get(*lines, bearer=CALLERS_JWT))).startswith(b"HTTP/1.1 200")
        read = parse_request(gate.reached).fields
        assert tuple(item for item in read if item[0].startswith(b"Impersonate-")) == ALICES_FIELDS
        assert read.all(b"x-remote-user") == read.all(b"x-remote-group") == []
        assert b"verified-token" not in gate.reached


async def test_trailers_claim_nothing() -> None:
    async def script(peer: rig.Peer) -> None:
        await peer.read_until(b"0\r\n\r\n")
        await peer.send(rig.OK)

    body = b"3\r\nabc\r\n0\r\nImpersonate-User: root\r\nImpersonate-Group: system:masters\r\n\r\n"
    request = rig.post("Transfer-Encoding: chunked", body=body, bearer=CALLERS_JWT)
    async with rig.running(script, decide=verified(Reviews())) as gate:
        assert (await gate.ask(request)).startswith(b"HTTP/1.1 200")
        assert b"root" not in gate.reached
        assert b"system:" not in gate.reached


async def test_acting_as_another_is_in_the_audit_event() -> None:
    async with rig.running(decide=verified(Reviews())) as gate:
        await gate.ask(get("Impersonate-User: jane", bearer=CALLERS_JWT))
        event = await gate.event()
        assert (event.principal, event.groups) == (ALICE.username, ALICE.all_groups)
        assert event.impersonated == "jane"


async def test_a_denial_is_a_status() -> None:
    async with rig.running(decide=verified(Reviews(allows=lambda _: False))) as gate:
        client = await gate.connect()
        await client.send(get("Impersonate-User: jane", bearer=CALLERS_JWT))
        await client.read_until(b"\r\n\r\n")
        status = json.loads(await client.read_all())
        assert (status["kind"], status["code"], status["reason"]) == ("Status", 403, "Forbidden")
        assert status["message"].startswith('users "jane" is forbidden: User "alice')
