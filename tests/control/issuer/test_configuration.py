import pytest

from tests.control.conftest import TENANT, URL, Plane
from tests.control.issuer.conftest import refusal

SHAPES = {
    f"/{TENANT}/v2.0/": (f"{URL}/{TENANT}/oauth2/v2.0", f"{URL}/{TENANT}/discovery/v2.0/keys"),
    f"/{TENANT.upper()}/V2.0/": (
        f"{URL}/{TENANT}/oauth2/v2.0",
        f"{URL}/{TENANT}/discovery/v2.0/keys",
    ),
    "/organizations/v2.0/": (
        f"{URL}/organizations/oauth2/v2.0",
        f"{URL}/organizations/discovery/v2.0/keys",
    ),
    "/common/v2.0/": (f"{URL}/common/oauth2/v2.0", f"{URL}/common/discovery/v2.0/keys"),
    "/adfs/": (f"{URL}/adfs/oauth2", f"{URL}/adfs/discovery/keys"),
}


@pytest.mark.parametrize("path", SHAPES)
async def test_each_shape_tells_its_own_addresses(plane: Plane, path: str) -> None:
    answer = await plane.anonymous.get(f"{path}.well-known/openid-configuration")
    shown = answer.json()
    oauth2, keys = SHAPES[path]
    assert {name: value for name, value in shown.items() if isinstance(value, str)} == {
        "issuer": f"{URL}/{TENANT}/v2.0",
        "authorization_endpoint": f"{oauth2}/authorize",
        "token_endpoint": f"{oauth2}/token",
        "device_authorization_endpoint": f"{oauth2}/devicecode",
        "revocation_endpoint": f"{oauth2}/revoke",
        "end_session_endpoint": f"{oauth2}/logout",
        "jwks_uri": keys,
    }
    assert shown["response_types_supported"] == ["code"]
    assert shown["response_modes_supported"] == ["query", "fragment", "form_post"]
    assert shown["code_challenge_methods_supported"] == ["S256"]
    assert shown["id_token_signing_alg_values_supported"] == ["RS256"]
    assert "private_key_jwt" in shown["token_endpoint_auth_methods_supported"]
    assert "urn:ietf:params:oauth:grant-type:device_code" in shown["grant_types_supported"]
    assert "groups" in shown["claims_supported"]
    assert "max-age" in answer.headers["cache-control"]

    published = (await plane.anonymous.get(keys)).json()
    assert published == plane.control.services.tokens.public_keys()
    assert all(not {"d", "p", "q", "dp", "dq", "qi"} & set(key) for key in published["keys"])


@pytest.mark.parametrize("path", ["v2.0/.well-known/openid-configuration", "discovery/v2.0/keys"])
async def test_another_tenant_is_not_there(plane: Plane, path: str) -> None:
    answer = await plane.anonymous.get(f"/contoso/{path}")
    assert answer.status_code == 400
    assert refusal(answer) == ("invalid_request", 90002)
