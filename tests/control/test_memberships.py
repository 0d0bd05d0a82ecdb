"""Which groups somebody is in: the server's own people, and those of trusted issuers."""

import time
import uuid
from typing import Any

import pytest
from sqlalchemy import insert

from tests.control.conftest import Plane
from tests.control.trusting import ISSUERS, graph, put, trust_entra, trust_oidc
from tests.fixtures.entra import ADA, ROBOT, EntraServer
from tests.fixtures.oidc_stub import OidcStub
from towrope.control import memberships
from towrope.control.memberships import KEPT_FOR, NO_APPLICATION, NO_DIRECTORY, NO_USER
from towrope.control.store import groups, service_principals, tables, users
from towrope.control.store.groups import Member, MemberKind
from towrope.control.store.service_principals import ServicePrincipal
from towrope.control.store.users import User
from towrope.wire.agent_api import ResolvedPrincipal, ResolvePrincipal

ISSUED = 1_799_999_000
GONE = ResolvedPrincipal(
    is_active=False, groups=None, reason="The caller's account is disabled or gone."
)


def ids(count: int) -> list[str]:
    return [str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in range(count)]


def found(*there: str) -> ResolvedPrincipal:
    return ResolvedPrincipal(is_active=True, groups=tuple(there))


def untold(reason: str) -> ResolvedPrincipal:
    return ResolvedPrincipal(is_active=True, groups=None, reason=reason)


async def resolve(plane: Plane, **change: Any) -> ResolvedPrincipal:
    known: dict[str, Any] = {
        "issuer": "towrope",
        "object_id": ADA,
        "is_application": False,
        "issued_at": ISSUED,
    }
    asked = ResolvePrincipal(**(known | change))
    return await plane.control.services.memberships.resolve(asked)


def user(**change: Any) -> User:
    known: dict[str, Any] = {
        "object_id": ADA,
        "user_principal_name": "ada@example.org",
        "display_name": "Ada",
        "created": 0,
    }
    return User(**(known | change))


async def add_user(plane: Plane, **change: Any) -> None:
    async with plane.control.services.database.writing() as connection:
        await users.add(connection, user(**change))


async def add_groups(plane: Plane, made: list[str]) -> None:
    rows = [
        {"object_id": each, "key": each, "display_name": each, "mail_nickname": "g", "created": 0}
        for each in made
    ]
    async with plane.control.services.database.writing() as connection:
        await connection.execute(insert(tables.groups), rows)


async def add_member(plane: Plane, group: str, member: str, kind: MemberKind) -> None:
    async with plane.control.services.database.writing() as connection:
        await groups.add_member(connection, group, Member(object_id=member, kind=kind))


# The server's own.


async def test_nobody_who_is_not_there_is_active(plane: Plane) -> None:
    assert await resolve(plane) == GONE
    await add_user(plane)
    assert await resolve(plane) == found()
    # A user is no application, whatever its token says.
    assert await resolve(plane, is_application=True) == GONE
    async with plane.control.services.database.writing() as connection:
        await users.remove(connection, ADA)
    assert await resolve(plane) == GONE


async def test_a_disabled_account_is_not_active(plane: Plane) -> None:
    await add_user(plane, account_enabled=False)
    assert await resolve(plane) == GONE


async def test_what_was_issued_before_a_sign_out_everywhere_is_void(plane: Plane) -> None:
    await add_user(plane, valid_from=ISSUED)
    assert await resolve(plane, issued_at=ISSUED - 1) == GONE
    assert await resolve(plane, issued_at=ISSUED) == found()


async def test_applications_too(plane: Plane) -> None:
    made = ServicePrincipal(
        app_id=str(uuid.uuid4()),
        object_id=ROBOT,
        application_object_id=str(uuid.uuid4()),
        display_name="robot",
        valid_from=ISSUED,
        created=0,
    )
    [group] = ids(1)
    await add_groups(plane, [group])
    async with plane.control.services.database.writing() as connection:
        await service_principals.add(connection, made)
    await add_member(plane, group, ROBOT, MemberKind.SERVICE_PRINCIPAL)
    robot = {"object_id": ROBOT, "is_application": True, "groups": (group,)}
    assert await resolve(plane, **robot) == found(group)
    assert await resolve(plane, **robot | {"is_application": False}) == GONE
    assert await resolve(plane, **robot | {"issued_at": ISSUED - 1}) == GONE
    async with plane.control.services.database.writing() as connection:
        await service_principals.change(connection, made.app_id, account_enabled=False)
    assert await resolve(plane, **robot) == GONE


async def test_nested_groups_and_those_asked_about_alone(plane: Plane) -> None:
    inner, outer, other, circle = ids(4)
    await add_user(plane)
    await add_groups(plane, [inner, outer, other, circle])
    await add_member(plane, inner, ADA, MemberKind.USER)
    await add_member(plane, outer, inner, MemberKind.GROUP)
    await add_member(plane, circle, outer, MemberKind.GROUP)
    await add_member(plane, inner, circle, MemberKind.GROUP)
    asked = (outer, "devs", other, inner)
    assert await resolve(plane, groups=asked) == found(outer, inner)
    assert await resolve(plane, groups=(outer.upper(),)) == found()
    async with plane.control.services.database.writing() as connection:
        await groups.remove_member(connection, inner, ADA)
    assert await resolve(plane, groups=asked) == found()


async def test_ten_thousand_groups(plane: Plane) -> None:
    many = ids(10_000)
    await add_user(plane)
    await add_groups(plane, many)
    rows = [
        {"group_id": each, "member_id": ADA, "member_kind": MemberKind.USER.value}
        for each in many[:-1]
    ]
    async with plane.control.services.database.writing() as connection:
        await connection.execute(insert(tables.group_members), rows)
    started = time.monotonic()
    assert await resolve(plane, groups=(many[0], many[-1])) == found(many[0])
    assert time.monotonic() - started < 3


# Entra's.


async def test_an_issuer_that_is_not_trusted_vouches_for_nobody(plane: Plane) -> None:
    answer = await resolve(plane, issuer="contoso", groups=tuple(ids(1)))
    assert not answer.is_active
    assert answer.groups is None
    assert "not trusted any more" in answer.reason


async def test_without_an_application_the_sentences_are_arcs(
    plane: Plane, entra: EntraServer
) -> None:
    await trust_entra(plane, entra)
    groups_asked = tuple(ids(1))
    answer = await resolve(plane, issuer="contoso", groups=groups_asked)
    assert answer == untold(NO_USER)
    answer = await resolve(plane, issuer="contoso", groups=groups_asked, is_application=True)
    assert answer == untold(NO_APPLICATION)
    assert [path for path in entra.paths() if path.startswith("/v1.0")] == []


async def test_graph_is_asked_and_its_answer_kept_briefly(plane: Plane, entra: EntraServer) -> None:
    await trust_entra(plane, entra, graph=graph(entra))
    [one, two] = ids(2)
    entra.put_groups(ADA, {one})
    asked = {"issuer": "contoso", "groups": (two, one)}
    assert await resolve(plane, **asked) == found(one)
    entra.put_groups(ADA, set())
    count = len(entra.asked)
    plane.now += KEPT_FOR - 1
    assert await resolve(plane, **asked | {"groups": (one, two)}) == found(one)
    assert len(entra.asked) == count
    # Another question is another one.
    assert await resolve(plane, **asked | {"groups": (one,)}) == found()
    plane.now += 1
    assert await resolve(plane, **asked) == found()


async def test_an_answer_is_not_kept_for_an_issuer_that_was_changed(
    plane: Plane, entra: EntraServer
) -> None:
    await trust_entra(plane, entra, graph=graph(entra))
    [one] = ids(1)
    entra.put_groups(ADA, {one})
    asked = {"issuer": "contoso", "groups": (one,)}
    assert await resolve(plane, **asked) == found(one)
    await trust_entra(plane, entra)
    assert await resolve(plane, **asked) == untold(NO_USER)
    await plane.api.delete(f"{ISSUERS}/contoso")
    assert not (await resolve(plane, **asked)).is_active


async def test_somebody_whom_graph_does_not_know(plane: Plane, entra: EntraServer) -> None:
    await trust_entra(plane, entra, graph=graph(entra))
    assert await resolve(plane, issuer="contoso", groups=tuple(ids(1))) == GONE


async def test_graph_that_fails_is_said_and_not_kept(plane: Plane, entra: EntraServer) -> None:
    await trust_entra(plane, entra, graph=graph(entra, clientSecret="wrong"))
    [one] = ids(1)
    entra.put_groups(ADA, {one})
    asked = {"issuer": "contoso", "groups": (one,)}
    answer = await resolve(plane, **asked)
    assert (answer.is_active, answer.groups) == (True, None)
    assert "application gets no token" in answer.reason
    await trust_entra(plane, entra, graph=graph(entra))
    assert await resolve(plane, **asked) == found(one)


async def test_answers_that_are_kept_are_few(
    plane: Plane, entra: EntraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memberships, "KEPT_LIMIT", 1)
    await trust_entra(plane, entra, graph=graph(entra))
    entra.put_groups(ADA, set())
    [one, two] = ids(2)
    for group in (one, two, two, one):
        await resolve(plane, issuer="contoso", groups=(group,))
    assert len([path for path in entra.paths() if path.startswith("/v1.0")]) == 3


async def test_a_damaged_secret_is_none(plane: Plane, entra: EntraServer) -> None:
    await trust_entra(plane, entra, graph=graph(entra))
    async with plane.control.services.database.writing() as connection:
        await connection.execute(tables.trusted_issuers.update().values(sealed_secret="AAAA"))
    assert await resolve(plane, issuer="contoso") == untold(NO_USER)


async def test_a_provider_without_a_directory(plane: Plane, oidc_stub: OidcStub) -> None:
    await trust_oidc(plane, oidc_stub)
    assert await resolve(plane, issuer="dex", groups=("devs",)) == untold(NO_DIRECTORY)
    assert (await put(plane, "dex", oidc_stub.settings)).status_code == 200
