from html.parser import HTMLParser
from http import HTTPStatus

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response

from tests.control.conftest import TENANT
from tests.control.web.person import Person, authorize
from towrope.control.settings import Settings
from towrope.control.web.pages import Pages, content_security_policy
from towrope.wire.errors import Forbidden, Hop

pytestmark = pytest.mark.usefixtures("ada")


async def opened(person: Person) -> list[httpx2.Response]:
    """One page of each kind."""
    await person.open(authorize())
    await person.sign_in()
    paths = [
        authorize(prompt="login"),
        authorize(prompt="select_account"),
        authorize(response_mode="form_post"),
        authorize(client_id="00000000-0000-0000-0000-000000000000"),
        "/device",
        f"/{TENANT}/oauth2/v2.0/logout",
    ]
    return [await person.open(path) for path in paths]


async def test_every_page_forbids_what_it_does_not_need(person: Person) -> None:
    for page in await opened(person):
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        for clause in ("style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert clause in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cross-origin-opener-policy"] == "same-origin"
        assert page.headers["content-type"] == "text/html; charset=utf-8"


class _Markup(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.language: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "html":
            self.language = dict(attrs)["lang"]


async def test_a_page_has_landmarks_and_no_script_but_the_one(person: Person) -> None:
    for page in await opened(person):
        markup = _Markup()
        markup.feed(page.text)
        assert markup.language == "en"
        for tag in ("title", "header", "main", "footer", "h1"):
            assert markup.tags.count(tag) == 1
        assert markup.tags.count("script") == ("script-src" in str(page.headers))
        assert "style" not in (*markup.tags, *markup.attributes)
        assert not [name for name in markup.attributes if name.startswith("on")]


def request() -> Request:
    return Request({"type": "http", "method": "GET", "headers": [], "towrope.request_id": "the id"})


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (Forbidden("You may not.", hop=Hop.SERVER), HTTPStatus.FORBIDDEN, "You may not."),
        (ValueError("a secret"), HTTPStatus.INTERNAL_SERVER_ERROR, "the request id below"),
    ],
)
async def test_a_failure_is_a_page_with_its_request_id(
    settings: Settings, error: Exception, status: HTTPStatus, word: str
) -> None:
    async def fails(_: Request) -> Response:
        raise error

    page = await Pages(settings).for_people(fails)(request())
    assert page.status_code == status
    text = bytes(page.body).decode()
    assert word in text
    assert "the id" in text
    assert "a secret" not in text


async def test_a_policy_names_where_its_forms_lead() -> None:
    policy = content_security_policy(("http://localhost:1",), "sha256-abc")
    assert "form-action 'self' http://localhost:1;" in policy
    assert "script-src 'sha256-abc';" in policy
    assert "script-src" not in content_security_policy((), None)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/web/style.css", "text/css; charset=utf-8"), ("/web/icon.svg", "image/svg+xml")],
)
async def test_assets_are_kept_until_they_change(
    person: Person, path: str, media_type: str
) -> None:
    asset = await person.open(path)
    assert asset.headers["content-type"] == media_type
    assert asset.headers["cache-control"] == "public, max-age=3600"
    etag = asset.headers["etag"]
    for known, status in (
        (etag, 304),
        (f'"other", W/{etag}', 304),
        ('"other"', 200),
        ("", 200),
    ):
        again = await person.client.get(path, headers={"if-none-match": known})
        assert again.status_code == status
        assert again.headers["etag"] == etag
