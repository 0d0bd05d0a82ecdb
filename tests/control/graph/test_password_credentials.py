from typing import Any

import pytest

from tests.control.conftest import TENANT, URL, error_of
from tests.control.graph.conftest import NOBODY, V1, Directory
from towrope.control.issuer.tokens import IdentityType
from towrope.control.store.service_principals import ServicePrincipal


async def add(directory: Directory, path: str, **wanted: Any) -> Any:
    body = {"passwordCredential": wanted} if wanted else {}
    answer = await directory.api.post(f"{V1}{path}/addPassword", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def signs_in(directory: Directory, app: ServicePrincipal, secret: str) -> bool:
    form = {
        "grant_type": "client_credentials",
        "client_id": app.app_id,
        "client_secret": secret,
        "scope": f"{URL}/.default",
    }
    answer = await directory.plane.anonymous.post(f"/{TENANT}/oauth2/v2.0/token", data=form)
    return answer.status_code == 200


async def test_several_secrets_each_shown_once(directory: Directory) -> None:
    app = await directory.add_application("deployer")
    path = f"/servicePrincipals/{app.object_id}"
    first = await add(directory, path)
    second = await add(directory, f"/applications(appId='{app.app_id}')", displayName="rbac")
    assert first["secretText"] != second["secretText"]
    assert len(first["secretText"]) >= 43
    assert first["hint"] == first["secretText"][:3]
    assert (first["startDateTime"], first["endDateTime"]) == (
        "2027-01-15T08:00:00Z",
        "2028-01-15T08:00:00Z",
    )
    assert (first["displayName"], second["displayName"]) == (None, "rbac")
    for secret in (first["secretText"], second["secretText"]):
        assert await signs_in(directory, app, secret)
    shown = await directory.api.get(V1 + path)
    listed = {each["keyId"]: each for each in shown.json()["passwordCredentials"]}
    assert listed.keys() == {first["keyId"], second["keyId"]}
    assert {each["secretText"] for each in listed.values()} == {None}
    assert first["secretText"] not in shown.text


async def test_no_secret_looks_like_an_option(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["-" + "a" * 42, "b" + "-" * 42])
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: next(drawn))
    app = await directory.add_application("deployer")
    made = await add(directory, f"/servicePrincipals/{app.object_id}")
    assert made["secretText"].startswith("b")


async def test_a_removed_secret_is_worth_nothing_nor_what_it_signed_in_to(
    directory: Directory,
) -> None:
    app = await directory.add_application("deployer")
    path = f"/applications/{app.application_object_id}"
    made = await add(directory, path)
    client = await directory.act_as(app.object_id, app.app_id, IdentityType.APP)
    assert (await client.get(f"{V1}/groups")).status_code == 200
    directory.plane.now += 60
    body = {"keyId": made["keyId"].upper()}
    answer = await directory.api.post(f"{V1}{path}/removePassword", json=body)
    assert answer.status_code == 204
    assert directory.took_notice()
    assert not await signs_in(directory, app, made["secretText"])
    assert (await client.get(f"{V1}/groups")).status_code == 401
    for key_id in (made["keyId"], NOBODY, "x"):
        await directory.refusal("POST", f"{path}/removePassword", {"keyId": key_id})
    assert not directory.plane.notified


async def test_who_changes_its_own_secret_goes_on(directory: Directory) -> None:
    """As `az ad sp credential reset` does it: first it removes, and then it adds."""
    machine = f"/servicePrincipals/{await directory.administrator_id()}"
    directory.plane.now += 60
    [there] = (await directory.get(machine))["passwordCredentials"]
    body = {"keyId": there["keyId"]}
    answer = await directory.api.post(f"{V1}{machine}/removePassword", json=body)
    assert answer.status_code == 204
    await add(directory, machine)


async def test_to_remove_what_is_over_ends_nothing(directory: Directory) -> None:
    app = await directory.add_application("deployer")
    path = f"/servicePrincipals/{app.object_id}"
    made = await add(directory, path, endDateTime="2027-01-15T09:00:00Z")
    directory.plane.now += 3600
    body = {"keyId": made["keyId"]}
    assert (await directory.api.post(f"{V1}{path}/removePassword", json=body)).status_code == 204
    assert (await directory.application(app.app_id)).valid_from == 0


async def test_a_client_whose_clock_is_ahead_gets_a_secret_that_is_good(
    directory: Directory,
) -> None:
    app = await directory.add_application("deployer")
    path = f"/servicePrincipals/{app.object_id}"
    made = await add(directory, path, startDateTime="2027-01-15T08:04:00Z")
    assert made["startDateTime"] == "2027-01-15T08:00:00Z"
    later = await add(
        directory,
        path,
        startDateTime="2027-01-15T10:00:00+01:00",
        endDateTime="2027-02-15T08:00:00",
    )
    assert later["startDateTime"] == "2027-01-15T09:00:00Z"
    assert later["endDateTime"] == "2027-02-15T08:00:00Z"


async def test_a_bad_secret_is_refused(directory: Directory) -> None:
    app = await directory.add_application("deployer")
    path = f"/servicePrincipals/{app.object_id}"
    for wanted in (
        {"endDateTime": "2027-01-15T08:00:00Z"},
        {"endDateTime": "2026-01-15T08:00:00Z"},
        {"endDateTime": "2200-01-15T08:00:00Z"},
        {"endDateTime": "tomorrow"},
        {"startDateTime": "2028-01-15T08:00:00Z", "endDateTime": "2027-06-15T08:00:00Z"},
        {"displayName": "a\nb"},
        {"secretText": "chosen"},
        {"hint": "abc"},
    ):
        body = {"passwordCredential": wanted}
        await directory.refusal("POST", f"{path}/addPassword", body)
    for number in range(32):
        await add(directory, path, displayName=str(number))
    assert "32" in await directory.refusal("POST", f"{path}/addPassword", {})
    answer = await directory.api.post(f"{V1}/servicePrincipals/{NOBODY}/addPassword", json={})
    assert error_of(answer) == (404, "Request_ResourceNotFound")
