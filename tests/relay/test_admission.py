"""Who is let in, and what the others are told: over the wire, as a client would see it."""

import asyncio
from dataclasses import replace
from urllib.parse import quote

import pytest

from tests.fixtures.ends import End
from tests.fixtures.relay import RULE, RunningRelay
from tests.relay.conversation import accept_at, join, listening
from towrope.relay.admission import Admission
from towrope.wire import sas
from towrope.wire.address import Action
from towrope.wire.errors import Forbidden, NotFound, Unauthenticated
from towrope.wire.sas import Right

CONNECT = "?sb-hc-action=connect"
LISTEN = "?sb-hc-action=listen"


@pytest.mark.parametrize("action", [Action.LISTEN, Action.CONNECT, Action.STANDBY])
async def test_a_token_is_needed(relay: RunningRelay, action: Action) -> None:
    answer = await relay.ask_tunnel(f"/$hc/alpha?sb-hc-action={action}")
    assert answer.status == 401
    assert b"Expected one token" in answer.reason
    for value in ("", "garbage", "SharedAccessSignature sr=x"):
        field = f"ServiceBusAuthorization: {value}"
        answer = await relay.ask_tunnel(f"/$hc/alpha?sb-hc-action={action}", field)
        assert answer.status == 401


async def test_two_tokens_are_one_too_many(relay: RunningRelay) -> None:
    token = relay.mint("alpha", Right.SEND)
    field = f"ServiceBusAuthorization: {token}"
    query = f"{CONNECT}&sb-hc-token={quote(token, safe='')}"
    assert (await relay.ask_tunnel(f"/$hc/alpha{query}", field)).status == 401
    assert (await relay.ask_tunnel(f"/$hc/alpha{CONNECT}", field, field)).status == 401


async def test_each_fault_of_a_token_has_its_status(relay: RunningRelay) -> None:
    async def dial(path: str, action: Action, token: str) -> None:
        await relay.dial(path, action, End(), token=token)

    foreign = replace(relay, master=b"f" * 32)
    with pytest.raises(Unauthenticated, match="signature is not valid"):
        await dial("alpha", Action.LISTEN, foreign.mint("alpha", Right.LISTEN))
    with pytest.raises(Unauthenticated, match="expired"):
        await dial("alpha", Action.LISTEN, relay.mint("alpha", Right.LISTEN, expires_in=-1))
    with pytest.raises(Unauthenticated, match="malformed"):
        await dial("alpha", Action.LISTEN, relay.mint("alpha", Right.LISTEN)[:-30])
    with pytest.raises(Forbidden, match="another hybrid connection"):
        await dial("alpha", Action.LISTEN, relay.mint("beta", Right.LISTEN))
    with pytest.raises(Forbidden, match="another hybrid connection"):
        await dial("alpha/suffix", Action.LISTEN, relay.mint("alpha", Right.LISTEN))
    with pytest.raises(Forbidden, match="no 'Listen' right"):
        await dial("alpha", Action.LISTEN, relay.mint("alpha", Right.SEND))
    with pytest.raises(Forbidden, match="no 'Listen' right"):
        await dial("alpha", Action.STANDBY, relay.mint("alpha", Right.SEND))
    with pytest.raises(Forbidden, match="no 'Send' right"):
        await dial("alpha", Action.CONNECT, relay.mint("alpha", Right.LISTEN))
    with pytest.raises(NotFound, match=r"Endpoint does not exist\."):
        await dial("gamma", Action.CONNECT, relay.mint("gamma", Right.SEND))
    with pytest.raises(NotFound, match=r"There are no listeners connected for the endpoint\."):
        await dial("alpha", Action.CONNECT, relay.mint("alpha", Right.SEND))
    assert relay.presence == []


async def test_the_key_of_a_parent_name_opens_nothing_below(relay: RunningRelay) -> None:
    """Whoever may create `deep` gains nothing at `deep/path`."""
    relay.paths.add("deep")
    with pytest.raises(Forbidden):
        await relay.dial("deep/path", Action.CONNECT, End(), token=relay.mint("deep", Right.SEND))
    with pytest.raises(Forbidden):
        token = relay.mint("deep", Right.LISTEN)
        await relay.dial("deep/path", Action.LISTEN, End(), token=token)


async def test_nobody_asks_what_exists_without_a_token_of_ours() -> None:
    asked: list[str] = []

    async def knows(path: str) -> bool:
        asked.append(path)
        return True

    async def has_rule(path: str, _rule: str) -> bool:
        return await knows(path)

    admission = Admission(master=b"m" * 32, knows=knows, has_rule=has_rule, clock=lambda: 0.0)
    key = sas.derive_key(b"n" * 32, path="a", rule=RULE, rights=frozenset({Right.SEND}))
    token = sas.mint(audience="http://h/a", key=key, rule=RULE, expires_at=60)
    with pytest.raises(Unauthenticated):
        await admission.admit("a/b/c", token, Right.SEND)
    assert asked == []


@pytest.mark.parametrize(("action", "right"), [("listen", Right.LISTEN), ("connect", Right.SEND)])
async def test_the_key_of_a_deleted_rule_is_worth_nothing(
    relay: RunningRelay, action: str, right: Right
) -> None:
    token = relay.mint("alpha", right)
    relay.deleted_rules.add(("alpha", RULE))
    with pytest.raises(Unauthenticated, match="does not exist any more"):
        await relay.dial("alpha", Action(action), End(), token=token)


async def test_a_clusters_rules_are_no_resources_to_look_up(relay: RunningRelay) -> None:
    path = f"microsoft.kubernetes/connectedclusters/{'0' * 64}/1"
    relay.paths.add(path)
    relay.deleted_rules.add((path, RULE))
    ws = await relay.dial(path, Action.LISTEN, End(), token=relay.mint(path, Right.LISTEN))
    ws.close()


@pytest.mark.parametrize("place", ["header", "query", "authorization"])
async def test_a_token_may_stand_in_three_places(relay: RunningRelay, place: str) -> None:
    token = relay.mint("alpha", Right.LISTEN)
    target, *fields = {
        "header": (LISTEN, f"servicebusauthorization: {token}"),
        "query": (f"{LISTEN}&sb-hc-token={quote(token, safe='')}",),
        "authorization": (LISTEN, f"Authorization: {token}"),
    }[place]
    answer = await relay.ask_tunnel(f"/$hc/alpha{target}", *fields)
    assert answer.status == 101
    assert relay.presence[0] == ("alpha", 1)


async def test_a_bearer_token_beside_ours_is_no_business_of_the_relay(
    relay: RunningRelay,
) -> None:
    token = relay.mint("alpha", Right.LISTEN)
    answer = await relay.ask_tunnel(
        f"/$hc/alpha{LISTEN}", f"ServiceBusAuthorization: {token}", "Authorization: Bearer x"
    )
    assert answer.status == 101


async def test_the_longest_name_that_exists_counts(relay: RunningRelay) -> None:
    relay.paths.add("deep")
    async with listening(relay, "deep/path") as (control, _):
        joined = await join(relay, control, "Deep/Path")
        await joined.finish()
        with pytest.raises(NotFound, match="no listeners"):
            await relay.dial("deep", Action.CONNECT, End())


async def test_what_follows_the_name_is_for_the_listener(relay: RunningRelay) -> None:
    async with listening(relay) as (control, _):
        sender = End()
        token = relay.mint("alpha", Right.SEND)
        async with asyncio.TaskGroup() as group:
            dialling = group.create_task(
                relay.dial(
                    "alpha/some/where", Action.CONNECT, sender, query="a=1&b=%20", token=token
                )
            )
            offer = await control.accept_message()
            assert offer.address.startswith(f"{relay.url}/$hc/alpha/some/where?")
            assert offer.address.endswith("&a=1&b=%20")
            listener, _ = await accept_at(relay, offer.address)
        dialling.result().close()
        await listener.end()
        await sender.end()
