from typing import Any

from tests.control.conftest import NOW, TENANT, URL, error_of
from tests.control.graph.conftest import NOBODY, V1, Directory
from towrope.control.issuer.tokens import IdentityType
from towrope.control.store.groups import ADMINISTRATORS


async def make(directory: Directory, name: str = "deployer") -> tuple[Any, Any]:
    """Its application, and its service principal, as `az` makes them."""
    body: dict[str, Any] = {"displayName": name, "keyCredentials": []}
    made = await directory.api.post(f"{V1}/applications", json=body)
    assert made.status_code == 201
    body = {"appId": made.json()["appId"], "accountEnabled": True}
    principal = await directory.api.post(f"{V1}/servicePrincipals", json=body)
    assert principal.status_code == 201
    return made.json(), principal.json()


async def test_an_application_has_two_faces(directory: Directory) -> None:
    application, principal = await make(directory)
    app_id = application["appId"]
    assert application["@odata.context"] == f"{URL}/v1.0/$metadata#applications/$entity"
    assert application["displayName"] == principal["displayName"] == "deployer"
    assert application["id"] != principal["id"]
    assert principal["appOwnerOrganizationId"] == TENANT
    assert principal["servicePrincipalNames"] == [app_id]
    for collection, face in (("applications", application), ("servicePrincipals", principal)):
        assert await directory.get(f"/{collection}/{face['id']}") == face
        assert await directory.get(f"/{collection}(appId='{app_id.upper()}')") == face
    answer = await directory.api.get(f"{V1}/applications/{principal['id']}")
    assert error_of(answer) == (404, "Request_ResourceNotFound")
    answer = await directory.api.get(f"{V1}/servicePrincipals/{app_id}")
    assert error_of(answer) == (404, "Request_ResourceNotFound")


async def test_to_delete_one_face_deletes_both(directory: Directory) -> None:
    for kept, deleted in ((0, 1), (1, 0)):
        faces = await make(directory)
        paths = [f"{V1}/applications/{faces[0]['id']}", f"{V1}/servicePrincipals/{faces[1]['id']}"]
        assert (await directory.api.delete(paths[deleted])).status_code == 204
        assert directory.took_notice()
        answer = await directory.api.get(paths[kept])
        assert error_of(answer) == (404, "Request_ResourceNotFound")


async def test_lists_come_in_pages_and_by_filter(directory: Directory) -> None:
    made = [await directory.add_application(f"App {number}") for number in range(3)]
    first = await directory.get("/servicePrincipals", **{"$count": "true"})
    assert (len(first["value"]), first["@odata.count"]) == (3, 4)
    rest = (await directory.ada.get(first["@odata.nextLink"])).json()
    assert len(rest["value"]) == 1
    one = made[1]
    for text, count in {
        f"servicePrincipalNames/any(c:c eq '{one.app_id}')": 1,
        f"servicePrincipalNames/any(x:x eq '{one.object_id}')": 0,
        f"appId eq '{one.app_id.upper()}'": 1,
        "displayName eq 'app 1'": 1,
        "startswith(displayName,'App')": 3,
        f"id eq '{one.object_id}'": 1,
        "accountEnabled eq true": 3,
    }.items():
        query = {"$filter": text, "$top": "3"}
        assert len(await directory.names("/servicePrincipals", **query)) == count, text
    query = {"$filter": f"id eq '{one.application_object_id}'"}
    assert await directory.names("/applications", **query) == ["App 1"]
    await directory.refusal("GET", "/applications", **{"$filter": "accountEnabled eq true"})


async def test_a_bad_application_is_refused(directory: Directory) -> None:
    bodies: tuple[dict[str, Any], ...] = (
        {},
        {"displayName": ""},
        {"displayName": "x", "signInAudience": "AzureADMultipleOrgs"},
        {"displayName": "x", "identifierUris": ["https://x"]},
        {"displayName": "x", "passwordCredentials": [{}]},
    )
    for body in bodies:
        await directory.refusal("POST", "/applications", body)
    said = await directory.refusal("POST", "/servicePrincipals", {"appId": NOBODY})
    assert "does not reference" in said
    made = await directory.add_application("x")
    body = {"appId": made.app_id, "accountEnabled": False}
    await directory.refusal("POST", "/servicePrincipals", body)
    path = f"/applications/{made.application_object_id}"
    await directory.refusal("PATCH", path, {"accountEnabled": False})


async def test_a_disabled_application_is_signed_out(directory: Directory) -> None:
    made = await directory.add_application("deployer")
    client = await directory.act_as(made.object_id, made.app_id, IdentityType.APP)
    assert (await client.get(f"{V1}/groups")).status_code == 200
    path = f"{V1}/servicePrincipals/{made.object_id}"
    directory.plane.now += 60
    assert (await directory.api.patch(path, json={"displayName": "x"})).status_code == 204
    assert not directory.plane.notified
    assert (await directory.api.patch(path, json={"accountEnabled": False})).status_code == 204
    assert directory.took_notice()
    assert (await client.get(f"{V1}/groups")).status_code == 401
    assert (await directory.api.patch(path, json={"accountEnabled": True})).status_code == 204
    kept = await directory.application(made.app_id)
    assert (kept.account_enabled, kept.display_name) == (True, "x")
    assert kept.valid_from == int(NOW) + 61
    assert (await client.get(f"{V1}/groups")).status_code == 401


async def test_the_last_administrator_stays(directory: Directory) -> None:
    app_id = directory.plane.administrator.app_id
    path = f"{V1}/servicePrincipals(appId='{app_id}')"
    for answer in (
        await directory.api.patch(path, json={"accountEnabled": False}),
        await directory.api.delete(path),
        await directory.api.delete(f"{V1}/applications(appId='{app_id}')"),
    ):
        assert error_of(answer) == (403, "Authorization_RequestDenied")
    assert not directory.plane.notified
    await directory.add_member(ADMINISTRATORS, directory.ada_id)
    assert (await directory.api.delete(path)).status_code == 204


async def test_an_ordinary_user_changes_none(directory: Directory) -> None:
    made = await directory.add_application("deployer")
    principal = f"/servicePrincipals/{made.object_id}"
    for method, path, body in (
        ("POST", "/applications", {"displayName": "x"}),
        ("POST", "/servicePrincipals", {"appId": made.app_id}),
        ("PATCH", principal, {"accountEnabled": False}),
        ("DELETE", principal, None),
        ("POST", f"{principal}/addPassword", {}),
        ("POST", f"/applications(appId='{made.app_id}')/addPassword", {}),
        ("POST", f"{principal}/removePassword", {"keyId": NOBODY}),
        ("DELETE", f"/applications/{made.application_object_id}", None),
    ):
        answer = await directory.ada.request(method, V1 + path, json=body)
        assert error_of(answer) == (403, "Authorization_RequestDenied")
