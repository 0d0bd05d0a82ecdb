import pytest

from tests.control.conftest import CLUSTERS, SUBSCRIPTION, TENANT, URL, OnboardingKey, Plane
from towrope.control.issuer.oauth_error import OAuthError
from towrope.control.issuer.scopes import ARC_SERVER, SCOPE_LIMIT, audience, parse


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("", None),
        ("openid profile", None),
        (".default", None),
        ("User.Read", None),
        (f"{URL}/.default", URL),
        (f"{URL}//.default offline_access", URL),
        (f"{URL}/User.Read.All", URL),
        (f"{URL}/user_impersonation {URL}/.default", URL),
        (f"{ARC_SERVER}/.default", ARC_SERVER),
        (f"{CLUSTERS}/shop-17/.default openid", f"{CLUSTERS}/shop-17"),
    ],
)
def test_a_scope_names_a_resource(text: str, resource: str | None) -> None:
    scope = parse(text)
    assert scope.text == text
    assert scope.resource == resource
    assert scope.openid is ("openid" in text)
    assert scope.offline_access is ("offline_access" in text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", 70011),
        (f"{URL}/nonsense", 70011),
        (URL, 70011),
        ("a/.default b/.default", 28000),
        (f"{URL}/.default User.Read", 28000),
        ("x" * (SCOPE_LIMIT + 1), 70011),
    ],
)
def test_what_is_no_scope(text: str, code: int) -> None:
    with pytest.raises(OAuthError) as refused:
        parse(text)
    assert (refused.value.error, refused.value.code) == ("invalid_scope", code)


async def heard(plane: Plane, scope: str) -> str:
    async with plane.control.services.database.reading() as connection:
        return await audience(connection, plane.settings, parse(scope))


async def test_the_audience_is_what_the_resource_is_called(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key, "Shop-17")
    for scope in ("", f"{URL}/.default", f"{URL.upper()}/.default"):
        assert await heard(plane, scope) == URL
    assert await heard(plane, f"{ARC_SERVER.upper()}/.default") == ARC_SERVER
    for resource in (f"{CLUSTERS}/Shop-17", f"{CLUSTERS}/shop-17".upper()):
        assert await heard(plane, f"{resource}/.default") == f"{CLUSTERS}/Shop-17"


@pytest.mark.parametrize(
    "resource",
    [
        f"{CLUSTERS}/shop-18",
        CLUSTERS.replace(SUBSCRIPTION, TENANT) + "/shop-17",
        f"{URL}.evil.com",
        "https://management.azure.com",
        "api://something",
    ],
)
async def test_an_unknown_resource_is_refused(
    plane: Plane, onboarding_key: OnboardingKey, resource: str
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    with pytest.raises(OAuthError) as refused:
        await heard(plane, f"{resource}/.default")
    assert (refused.value.error, refused.value.code) == ("invalid_resource", 500011)
