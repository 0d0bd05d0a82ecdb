"""`Towrope.Identity/issuers`, as an administrator and as anybody sees it."""

from typing import Any

import pytest

from tests.control.conftest import NOW, TENANT, URL, Plane, error_of
from tests.control.trusting import ISSUERS, entra_properties, graph, put, trust_entra, trust_oidc
from tests.fixtures.entra import EntraServer
from tests.fixtures.https_stub import Answer
from tests.fixtures.oidc_stub import AUDIENCE, DISCOVERY, OidcStub
from towrope.control import issuers, sealed_secrets, trusted_issuers
from towrope.control.issuers import Issuer
from towrope.control.store import trusted_issuers as store
from towrope.wire import agent_api

PUBLIC = "/.well-known/towrope/issuers"


async def kept(plane: Plane, name: str) -> Issuer:
    async with plane.control.services.database.reading() as connection:
        found = await issuers.find(connection, name)
    assert found is not None
    return found


def secret_of(plane: Plane, issuer: Issuer) -> str | None:
    found = sealed_secrets.application(issuer, master=plane.settings.master)
    return None if found is None else found.secret


async def test_bad_bodies_and_names_are_refused(plane: Plane, oidc_stub: OidcStub) -> None:
    good = oidc_stub.settings
    for body in (
        {},
        {"properties": None},
        {"properties": good | {"usernamPrefix": "x"}},
        {"properties": good | {"issuerUrl": 1}},
        {"properties": good | {"kind": "saml"}},
        {"properties": good | {"audiences": "x"}},
        {"properties": good | {"issuerUrl": oidc_stub.url.replace("https", "http")}},
        {"properties": good | {"usernamePrefix": "system:"}},
        {"properties": good | {"algorithms": ["HS256"]}},
    ):
        answer = await plane.api.put(f"{ISSUERS}/dex", json=body)
        assert error_of(answer) == (400, "InvalidRequestContent"), body
    for name in ("towrope", "-", "a b", "x" * 64):
        assert error_of(await put(plane, name, good)) == (400, "InvalidResourceName")
    assert oidc_stub.asked == []
    assert (await plane.api.get(ISSUERS)).json() == {"value": []}
    assert plane.notified == []


async def test_an_issuer_that_is_not_usable_is_not_added(plane: Plane, oidc_stub: OidcStub) -> None:
    oidc_stub.answers[DISCOVERY] = Answer(status=500)
    answer = await put(plane, "dex", oidc_stub.settings)
    assert error_of(answer) == (400, "IssuerNotUsable")
    assert f"The issuer {oidc_stub.url} is not usable: it answers 500" in answer.text
    assert (await plane.api.get(f"{ISSUERS}/dex")).status_code == 404
    assert plane.notified == []


async def test_life_of_an_issuer(plane: Plane, oidc_stub: OidcStub) -> None:
    oidc_stub.now = plane.now
    made = await put(plane, "Dex", oidc_stub.settings | {"clientId": "cli"})
    assert made.status_code == 201
    shown = made.json()
    assert {name: shown[name] for name in ("id", "name", "type")} == {
        "id": f"{ISSUERS}/Dex",
        "name": "Dex",
        "type": "Towrope.Identity/issuers",
    }
    assert shown["properties"] == {
        "kind": "oidc",
        "issuerUrl": oidc_stub.url,
        "audiences": [AUDIENCE],
        "clientId": "cli",
        "scopes": ["openid", "profile", "offline_access"],
        "usernameClaims": ["sub"],
        "groupsClaim": "groups",
        "usernamePrefix": "Dex:",
        "groupsPrefix": "Dex:",
        "algorithms": ["RS256", "ES256"],
        "tenantId": "",
        "jwksUri": "",
        "caCertificate": oidc_stub.ca,
        "graph": None,
        "discovered": {
            "issuers": [oidc_stub.url],
            "jwksUri": f"{oidc_stub.url}/keys",
            "authorizationEndpoint": f"{oidc_stub.url}/auth",
            "tokenEndpoint": f"{oidc_stub.url}/token",
            "deviceAuthorizationEndpoint": f"{oidc_stub.url}/device",
            "keyIds": [oidc_stub.key.thumbprint()],
            "lastFetched": "2027-01-15T08:00:00Z",
            "lastError": "",
        },
        "provisioningState": "Succeeded",
    }
    assert (await plane.api.get(f"{ISSUERS}/DEX")).json() == shown
    assert (await plane.api.get(ISSUERS)).json() == {"value": [shown]}
    again = await put(plane, "dex", shown["properties"])
    assert again.status_code == 200
    assert again.json() == shown
    assert plane.notified == [(None, agent_api.TRUST)] * 2
    assert (await plane.api.delete(f"{ISSUERS}/dex")).status_code == 200
    assert (await plane.api.delete(f"{ISSUERS}/dex")).status_code == 204
    assert error_of(await plane.api.get(f"{ISSUERS}/dex")) == (404, "ResourceNotFound")
    assert plane.notified == [(None, agent_api.TRUST)] * 3


async def test_two_issuers_cannot_be_the_same(plane: Plane, oidc_stub: OidcStub) -> None:
    await trust_oidc(plane, oidc_stub)
    answer = await put(plane, "dex2", oidc_stub.settings)
    assert error_of(answer) == (409, "IssuerConflict")
    assert "The issuer 'dex' is the same one" in answer.text
    own = oidc_stub.settings | {"issuerUrl": f"{URL}/{TENANT}/v2.0"}
    answer = await put(plane, "own", own)
    assert error_of(answer) == (409, "IssuerConflict")


async def test_issuers_are_limited(
    plane: Plane, oidc_stub: OidcStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted_issuers, "ISSUERS_LIMIT", 1)
    await trust_oidc(plane, oidc_stub)
    await trust_oidc(plane, oidc_stub)
    answer = await put(plane, "other", oidc_stub.settings)
    assert error_of(answer) == (409, "IssuerConflict")


async def test_one_may_be_changed_while_it_is_down_but_not_made_another(
    plane: Plane, oidc_stub: OidcStub
) -> None:
    await trust_oidc(plane, oidc_stub)
    plane.now += 60
    oidc_stub.answers["/keys"] = Answer(status=500)
    changed = await put(plane, "dex", oidc_stub.settings | {"usernamePrefix": "d/"})
    assert changed.status_code == 200
    properties = changed.json()["properties"]
    assert properties["usernamePrefix"] == "d/"
    assert properties["discovered"]["keyIds"] == [oidc_stub.key.thumbprint()]
    assert "answers 500" in properties["discovered"]["lastError"]
    assert properties["discovered"]["lastFetched"] == "2027-01-15T08:00:00Z"
    elsewhere = oidc_stub.url.replace("127.0.0.1", "localhost")
    for change in ({"issuerUrl": elsewhere}, {"algorithms": ["RS256"]}, {"caCertificate": ""}):
        answer = await put(plane, "dex", oidc_stub.settings | change)
        assert error_of(answer) == (400, "IssuerNotUsable")


async def test_anybody_sees_what_signing_in_needs(
    plane: Plane, oidc_stub: OidcStub, entra: EntraServer
) -> None:
    assert (await plane.anonymous.get(PUBLIC)).json() == {"value": []}
    await trust_oidc(plane, oidc_stub)
    await trust_entra(plane, entra, clientId="cli", graph=graph(entra))
    [shown] = (await plane.anonymous.get(PUBLIC)).raise_for_status().json()["value"]
    assert shown == {
        "name": "contoso",
        "kind": "entra",
        "issuer": f"{entra.url}/{entra.tokens.tenant}/v2.0",
        "clientId": "cli",
        "audience": entra.tokens.audience,
        "scopes": [f"{entra.tokens.audience}/.default", "openid", "profile", "offline_access"],
        "caCertificate": entra.ca,
    }
    await trust_oidc(plane, oidc_stub, clientId=AUDIENCE, scopes=["openid", "groups"])
    [_, other] = (await plane.anonymous.get(PUBLIC)).json()["value"]
    assert other["audience"] == other["clientId"] == AUDIENCE
    assert other["scopes"] == ["openid", "groups"]


# The secret of the application that asks Graph.


async def test_a_secret_is_never_shown_and_sealed_where_it_is_kept(
    plane: Plane, entra: EntraServer
) -> None:
    answer = await put(plane, "contoso", entra_properties(entra, graph=graph(entra)))
    assert answer.status_code == 201
    assert answer.json()["properties"]["graph"] == {
        "clientId": entra.client_id,
        "endpoint": entra.url,
    }
    for path in (ISSUERS, f"{ISSUERS}/contoso"):
        assert entra.secret not in (await plane.api.get(path)).text
    async with plane.control.services.database.reading() as connection:
        row = await store.find(connection, "contoso")
    assert row is not None
    assert row.sealed_secret
    assert entra.secret not in repr((row.properties, row.discovered, row.sealed_secret))
    assert secret_of(plane, await kept(plane, "contoso")) == entra.secret


async def test_a_secret_is_required_once_and_stays(plane: Plane, entra: EntraServer) -> None:
    without = entra_properties(entra, graph=graph(entra, clientSecret=None))
    answer = await put(plane, "contoso", without)
    assert error_of(answer) == (400, "InvalidRequestContent")
    too_long = entra_properties(entra, graph=graph(entra, clientSecret="x" * 1025))
    assert error_of(await put(plane, "contoso", too_long)) == (400, "InvalidRequestContent")
    await trust_entra(plane, entra, graph=graph(entra))
    (await put(plane, "Contoso", without | {"groupsPrefix": "x:"})).raise_for_status()
    assert secret_of(plane, await kept(plane, "contoso")) == entra.secret
    (await put(plane, "contoso", entra_properties(entra))).raise_for_status()
    assert secret_of(plane, await kept(plane, "contoso")) is None
    assert error_of(await put(plane, "contoso", without)) == (400, "InvalidRequestContent")


async def test_a_secret_cannot_be_sent_elsewhere_by_changing_the_issuer(
    plane: Plane, entra: EntraServer
) -> None:
    await trust_entra(plane, entra, graph=graph(entra))
    other, path = entra.url.replace("127.0.0.1", "localhost"), f"/{entra.tokens.tenant}"
    elsewhere = {
        "issuer": f"{other}{path}/v2.0",
        "jwks_uri": f"{other}{path}/discovery/v2.0/keys",
    }
    changes: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"graph": graph(entra, clientSecret=None, endpoint=other)}, entra.discovery),
        ({"graph": graph(entra, clientSecret=None, clientId=TENANT)}, entra.discovery),
        ({"graph": graph(entra, clientSecret=""), "caCertificate": entra.ca * 2}, entra.discovery),
        ({"graph": graph(entra, clientSecret=None), "issuerUrl": other}, elsewhere),
    ]
    for change, discovery in changes:
        entra.answers[f"{path}/v2.0{DISCOVERY}"] = Answer(body=discovery)
        answer = await put(plane, "contoso", entra_properties(entra, **change))
        assert error_of(answer) == (400, "InvalidRequestContent"), change
        assert "'graph.clientSecret' is required" in answer.text
    assert secret_of(plane, await kept(plane, "contoso")) == entra.secret


async def test_a_secret_that_was_moved_in_the_database_opens_nothing(
    plane: Plane, entra: EntraServer
) -> None:
    await trust_entra(plane, entra, graph=graph(entra))
    row = await kept(plane, "contoso")
    assert sealed_secrets.application(row, master=b"another master" * 3) is None
    assert sealed_secrets.application(_renamed(row), master=plane.settings.master) is None


def _renamed(issuer: Issuer) -> Issuer:
    return Issuer(
        name="fabrikam",
        settings=issuer.settings,
        metadata=issuer.metadata,
        fetched_at=int(NOW),
        sealed_secret=issuer.sealed_secret,
    )
