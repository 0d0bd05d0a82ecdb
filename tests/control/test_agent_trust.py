"""What agents are told about whose tokens are good, and what they may ask."""

from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.control.conftest import TENANT, URL, OnboardingKey, Plane, error_of
from tests.control.test_agents import AGENT_KEY, FACTS, call, cluster, enrolled, enrolment
from tests.control.trusting import ISSUERS, graph, trust_entra, trust_oidc
from tests.fixtures.entra import ADA, EntraServer
from tests.fixtures.https_stub import Answer
from tests.fixtures.oidc_stub import AUDIENCE, DISCOVERY, OidcStub
from towrope.control import agents
from towrope.control.issuer.tokens import IdentityType, Issuance, Subject
from towrope.control.store import directory, service_principals
from towrope.wire import agent_api, assertion
from towrope.wire.agent_api import Configuration, TrustedIssuer

__all__ = ["cluster", "enrolled"]


async def configuration(
    plane: Plane, enrolled: str, *unknown: tuple[str, str], action: str = "configuration"
) -> Configuration:
    keys = [{"issuer": issuer, "keyId": key} for issuer, key in unknown]
    body: dict[str, Any] = {"unknownKeys": keys} if action == "configuration" else dict(FACTS)
    answer = await call(plane, action, body, key=AGENT_KEY, subject=enrolled)
    return msgspec.json.decode(answer.raise_for_status().content, type=Configuration)


def kids(issuer: TrustedIssuer) -> list[str]:
    return [key["kid"] for key in issuer.keys["keys"]]


async def test_only_an_enrolled_agent_asks(
    plane: Plane, enrolled: str, onboarding_key: OnboardingKey, another_key: OnboardingKey
) -> None:
    onboarding = assertion.load_key(onboarding_key.private)
    stranger = ECKey.generate_key("P-256")
    body = {"issuer": "towrope", "objectId": ADA, "isApplication": False, "issuedAt": 0}
    for action in ("configuration", "principal"):
        for key in (onboarding, stranger):
            answer = await call(plane, action, body, key=key, subject=enrolled)
            assert error_of(answer) == (401, "AuthenticationFailed")
        for client in (plane.anonymous, plane.api):
            answer = await client.post(f"/agent/v1/{action}", json=body)
            assert error_of(answer) == (401, "AuthenticationFailed")
    other = str((await plane.make_cluster(another_key, "shop-18"))["id"])
    for action in ("configuration", "principal"):
        answer = await call(plane, action, body, key=AGENT_KEY, subject=other)
        assert error_of(answer) == (401, "AuthenticationFailed")


async def test_the_servers_own_issuer_for_that_cluster(plane: Plane, enrolled: str) -> None:
    [own] = (await configuration(plane, enrolled)).trust.issuers
    assert own == TrustedIssuer(
        name="towrope",
        kind=agent_api.IssuerKind.TOWROPE,
        issuers=(f"{URL}/{TENANT}/v2.0",),
        audiences=(enrolled,),
        algorithms=("RS256",),
        keys=plane.control.services.tokens.public_keys(),
        tenant=TENANT,
    )
    assert all("d" not in key and key["kty"] == "RSA" for key in own.keys["keys"])


async def test_every_configuration_says_the_same(
    plane: Plane, enrolled: str, onboarding_key: OnboardingKey, oidc_stub: OidcStub
) -> None:
    await trust_oidc(plane, oidc_stub)
    told = await configuration(plane, enrolled)
    assert await configuration(plane, enrolled, action="heartbeat") == told
    key = assertion.load_key(onboarding_key.private)
    answer = await call(plane, "enroll", enrolment(), key=key, subject=enrolled)
    assert msgspec.json.decode(answer.content, type=Configuration) == told


async def test_trusted_issuers_as_they_were_set(
    plane: Plane, enrolled: str, oidc_stub: OidcStub, entra: EntraServer
) -> None:
    tokens = await trust_entra(plane, entra, graph=graph(entra))
    await trust_oidc(
        plane,
        oidc_stub,
        audiences=["a", AUDIENCE],
        usernameClaims=["email", "sub"],
        groupsClaim="roles",
        usernamePrefix="d:",
        groupsPrefix="",
    )
    told = await configuration(plane, enrolled)
    assert entra.secret not in repr(told)
    own, contoso, dex = told.trust.issuers
    assert own.name == "towrope"
    assert contoso == TrustedIssuer(
        name="contoso",
        kind=agent_api.IssuerKind.ENTRA,
        issuers=(
            f"https://sts.windows.net/{tokens.tenant}/",
            f"https://login.microsoftonline.com/{tokens.tenant}/v2.0",
            f"{entra.url}/{tokens.tenant}/v2.0",
        ),
        audiences=(tokens.audience,),
        algorithms=("RS256",),
        keys=contoso.keys,
        username_claims=("upn", "oid"),
        tenant=tokens.tenant,
    )
    key_set = KeySet.import_key_set({"keys": contoso.keys["keys"]})
    assert jwt.decode(tokens.v1(), key_set, algorithms=["RS256"]).claims["oid"] == ADA
    assert dex == TrustedIssuer(
        name="dex",
        kind=agent_api.IssuerKind.OIDC,
        issuers=(oidc_stub.url,),
        audiences=("a", AUDIENCE),
        algorithms=("RS256", "ES256"),
        keys=dex.keys,
        username_claims=("email", "sub"),
        groups_claim="roles",
        username_prefix="d:",
    )
    await plane.api.delete(f"{ISSUERS}/dex")
    assert len((await configuration(plane, enrolled)).trust.issuers) == 2


async def test_when_the_directory_changed(plane: Plane, enrolled: str) -> None:
    assert (await configuration(plane, enrolled)).trust.directory_changed_at == 0
    async with plane.control.services.database.writing() as connection:
        await directory.set_changed(connection, int(plane.now))
    changed_at = (await configuration(plane, enrolled)).trust.directory_changed_at
    assert changed_at == plane.now


async def test_an_unknown_key_that_an_agent_met_is_looked_for(
    plane: Plane, enrolled: str, oidc_stub: OidcStub
) -> None:
    await trust_oidc(plane, oidc_stub)
    before = kids((await configuration(plane, enrolled)).trust.issuers[1])
    oidc_stub.key = ECKey.generate_key("P-256")
    oidc_stub.keys = [oidc_stub.public(oidc_stub.key)]
    asked = len(oidc_stub.asked)
    unknown = ("dex", oidc_stub.key.thumbprint())
    told = await configuration(plane, enrolled, unknown, ("nobody", "x"), ("towrope", "x"))
    assert kids(told.trust.issuers[1]) == [unknown[1]] != before
    await configuration(plane, enrolled, ("dex", "another"))
    assert len(oidc_stub.asked) == asked + 2


async def test_an_issuer_that_does_not_answer_keeps_no_agent_waiting(
    plane: Plane, enrolled: str, oidc_stub: OidcStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trust_oidc(plane, oidc_stub)
    monkeypatch.setattr(agents, "LOOK_WITHIN", 0.0)
    told = await configuration(plane, enrolled, ("dex", "x"))
    assert kids(told.trust.issuers[1]) == [oidc_stub.key.thumbprint()]
    oidc_stub.answers[DISCOVERY] = Answer(status=500)
    assert kids((await configuration(plane, enrolled)).trust.issuers[1])


async def test_whom_an_agent_asks_about(plane: Plane, enrolled: str) -> None:
    async with plane.control.services.database.reading() as connection:
        found = await service_principals.find(connection, plane.administrator.app_id)
    assert found is not None
    body: dict[str, Any] = {
        "issuer": "towrope",
        "objectId": found.object_id,
        "isApplication": True,
        "issuedAt": int(plane.now),
        "groups": ["62e90394-69f5-4237-9190-012177145e10", "devs"],
    }
    answer = await call(plane, "principal", body, key=AGENT_KEY, subject=enrolled)
    assert answer.json() == {
        "isActive": True,
        "groups": ["62e90394-69f5-4237-9190-012177145e10"],
        "reason": "",
    }
    many = body | {"groups": ["x" * 36] * (agent_api.GROUPS_LIMIT + 1)}
    answer = await call(plane, "principal", many, key=AGENT_KEY, subject=enrolled)
    assert error_of(answer) == (400, "InvalidRequestContent")
    most = body | {"groups": ["x" * 36] * agent_api.GROUPS_LIMIT}
    answer = await call(plane, "principal", most, key=AGENT_KEY, subject=enrolled)
    assert answer.status_code == 200
    for change in ({"issuer": None}, {"groups": "devs"}, {"issuedAt": "x"}):
        answer = await call(plane, "principal", body | change, key=AGENT_KEY, subject=enrolled)
        assert error_of(answer) == (400, "InvalidRequestContent")


async def test_a_token_for_a_cluster_is_none_for_this_server_and_the_reverse(
    plane: Plane, enrolled: str
) -> None:
    tokens = plane.control.services.tokens
    async with plane.control.services.database.reading() as connection:
        found = await service_principals.find(connection, plane.administrator.app_id)
    assert found is not None
    subject = Subject(
        identity_type=IdentityType.APP,
        object_id=found.object_id,
        display_name="administrator",
        user_principal_name=None,
        groups=frozenset(),
    )
    issued = Issuance(client_id=found.app_id, authenticated_at=int(plane.now))
    for audience, status in ((tokens.audience, 200), (enrolled, 401)):
        text = tokens.mint_access(subject, issued, audience=audience)
        answer = await plane.anonymous.get(
            "/tenants", params={"api-version": "1"}, headers={"authorization": f"Bearer {text}"}
        )
        assert answer.status_code == status
    [own] = (await configuration(plane, enrolled)).trust.issuers
    assert own.audiences == (enrolled,)
    assert tokens.audience not in own.audiences
