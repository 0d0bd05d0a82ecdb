import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.fixtures.entra import EntraServer
from tests.fixtures.https_stub import Answer, Asked, HttpsStub
from tests.fixtures.oidc_stub import DISCOVERY, OidcStub
from towrope.control import issuer_metadata
from towrope.control.issuer_metadata import ANSWER_LIMIT, Metadata, fetch
from towrope.control.issuer_settings import Given, IssuerSettings, checked
from towrope.wire.errors import Unreachable


def settings(properties: dict[str, Any]) -> IssuerSettings:
    return checked("dex", msgspec.convert(properties, Given))


async def refused(properties: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Unreachable, match=sentence):
        await fetch(settings(properties))


async def test_what_a_provider_says(oidc_stub: OidcStub) -> None:
    assert await fetch(settings(oidc_stub.settings)) == Metadata(
        jwks_uri=f"{oidc_stub.url}/keys",
        authorization_endpoint=f"{oidc_stub.url}/auth",
        token_endpoint=f"{oidc_stub.url}/token",
        device_authorization_endpoint=f"{oidc_stub.url}/device",
        keys=({name: value for name, value in oidc_stub.keys[0].items() if name != "use"},),
    )
    assert oidc_stub.paths() == [DISCOVERY, "/keys"]
    assert all(asked.headers["accept-encoding"] == "identity" for asked in oidc_stub.asked)
    assert all("authorization" not in asked.headers for asked in oidc_stub.asked)


async def test_what_an_entra_tenant_says(entra: EntraServer) -> None:
    tenant = entra.tokens.tenant
    properties = {
        "kind": "entra",
        "tenantId": tenant,
        "audiences": ["x"],
        "issuerUrl": entra.url,
        "caCertificate": entra.ca,
    }
    found = await fetch(settings(properties))
    assert found.jwks_uri == f"{entra.url}/{tenant}/discovery/v2.0/keys"
    assert [key["kid"] for key in found.keys] == [entra.tokens.kid]
    assert set(found.keys[0]) == {"kty", "n", "e", "kid"}
    # Entra may say for a cloud of its own that it is the one in its tokens.
    says = entra.discovery | {"issuer": f"https://login.microsoftonline.com/{tenant}/v2.0"}
    path = f"/{tenant}/v2.0{DISCOVERY}"
    entra.answers[path] = Answer(body=says)
    assert await fetch(settings(properties)) == found
    entra.answers[path] = Answer(body=says | {"issuer": f"{entra.url}/another/v2.0"})
    await refused(properties, "it says that it is '.*another")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(status=500), "answers 500 at"),
        (Answer(status=404), "answers 404 at"),
        (Answer(status=204), "answers 204 at"),
        (Answer(status=304), "answers 304 at"),
        (Answer(body=b"<html>"), "is no discovery document"),
        (Answer(body=b"\xff"), "is no discovery document"),
        (Answer(body=b"[" * 100_000), "is no discovery document"),
        (Answer(body=[]), "is no discovery document"),
        (Answer(body={"issuer": "x"}), "is no discovery document"),
        (Answer(body=b"x" * (ANSWER_LIMIT + 1)), "is over 1048576 bytes"),
        (Answer(body=b"x", headers={"content-encoding": "gzip"}), "or packed"),
        (Answer(status=302, headers={"location": "https://evil.example/"}), "to another host"),
        (Answer(status=302, headers={"location": "http://127.0.0.1/"}), "to another host"),
        (Answer(status=302, headers={"location": "//evil.example/"}), "to another host"),
        (Answer(status=302, headers={"location": "https://[::1"}), "to another host"),
        (Answer(status=307, headers={"location": DISCOVERY}), "redirects in circles"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_discovery_document_that_is_none(
    oidc_stub: OidcStub, answer: Answer, sentence: str
) -> None:
    oidc_stub.answers[DISCOVERY] = answer
    await refused(oidc_stub.settings, sentence)


@pytest.mark.parametrize(
    "issuer", ["https://other.example", "", "{url}/", "{url}/x", "{URL}"], ids=str
)
async def test_a_provider_that_says_to_be_another(oidc_stub: OidcStub, issuer: str) -> None:
    says = issuer.replace("{url}", oidc_stub.url).replace("{URL}", oidc_stub.url.upper())
    oidc_stub.answers[DISCOVERY] = Answer(body=oidc_stub.discovery | {"issuer": says})
    await refused(oidc_stub.settings, "it says that it is")
    assert oidc_stub.paths() == [DISCOVERY]


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/keys",
        "https://127.0.0.1:1/keys",
        "http://127.0.0.1/keys",
        "https://user@127.0.0.1/keys",
        "file:///etc/passwd",
        "/keys",
        "",
    ],
)
async def test_keys_elsewhere_are_not_fetched(oidc_stub: OidcStub, place: str) -> None:
    oidc_stub.answers[DISCOVERY] = Answer(body=oidc_stub.discovery | {"jwks_uri": place})
    await refused(oidc_stub.settings, "its keys are on another host")
    assert oidc_stub.paths() == [DISCOVERY]


async def test_keys_elsewhere_where_the_administrator_says_so(oidc_stub: OidcStub) -> None:
    # The same server by another name is another host.
    place = oidc_stub.url.replace("127.0.0.1", "localhost") + "/keys?p=1"
    oidc_stub.answers[DISCOVERY] = Answer(body=oidc_stub.discovery | {"jwks_uri": place})
    await refused(oidc_stub.settings | {"jwksUri": place + "x"}, "set 'jwksUri' to it")
    assert (await fetch(settings(oidc_stub.settings | {"jwksUri": place}))).jwks_uri == place


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body={"keys": []}),
        Answer(body={"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}),
        Answer(body=b"no json"),
        Answer(body=b"\xff"),
        Answer(body=b"[" * 100_000),
    ],
    ids=["none", "symmetric", "text", "bytes", "deep"],
)
async def test_a_key_set_without_a_usable_key(oidc_stub: OidcStub, answer: Answer) -> None:
    oidc_stub.answers["/keys"] = answer
    await refused(oidc_stub.settings, "its key set has no public key for RS256, ES256")


async def test_redirects_on_the_same_host_are_followed(oidc_stub: OidcStub) -> None:
    oidc_stub.answers["/moved"] = oidc_stub.answers.pop("/keys")
    oidc_stub.answers["/keys"] = Answer(status=308, headers={"location": "moved"})
    assert (await fetch(settings(oidc_stub.settings))).keys


async def test_an_authority_that_is_not_known_is_not_trusted(oidc_stub: OidcStub) -> None:
    await refused(oidc_stub.settings | {"caCertificate": ""}, "cannot be reached .*CERTIFICATE")
    other = HttpsStub()
    other.close()
    await refused(oidc_stub.settings | {"caCertificate": other.ca}, "CERTIFICATE")
    await refused(oidc_stub.settings | {"issuerUrl": other.url}, "cannot be reached")
    assert oidc_stub.asked == []


async def test_a_provider_that_does_not_answer_in_time(
    oidc_stub: OidcStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_metadata, "WITHIN", 0.05)
    release: list[Callable[[], None]] = []

    def stall(_: Asked) -> Answer:
        waits = threading.Event()
        release.append(waits.set)
        waits.wait(10)
        return Answer()

    oidc_stub.answers[DISCOVERY] = stall
    try:
        await refused(oidc_stub.settings, "does not answer in time|cannot be reached")
    finally:
        for go in release:
            go()
