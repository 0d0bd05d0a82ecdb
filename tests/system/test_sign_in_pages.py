"""The sign-in pages of a running server, as a person with a real browser meets them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.browser import Chromium
from tests.fixtures.server import Server
from towrope.control.web.sign_in import REFUSAL

AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
PASSWORD = "correct horse battery"
NEW_PASSWORD = "a staple that is new"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
WITHIN = 15.0


class Program:
    """A program on the person's machine that waits for a code, as MSAL does."""

    def __init__(self) -> None:
        heard: Queue[tuple[str, dict[str, str]]] = Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(urlsplit(self.path).query)

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                self._answer(self.rfile.read(length).decode())

            def _answer(self, form: str) -> None:
                if self.path != "/favicon.ico":
                    heard.put((self.command, dict(parse_qsl(form))))
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(b"<title>Program</title>You may close this window.")

            def log_message(self, *_: object) -> None:
                pass

        self._heard = heard
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.redirect_uri = f"http://localhost:{self._server.server_port}"

    def heard(self) -> tuple[str, dict[str, str]]:
        return self._heard.get(timeout=WITHIN)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    made = Program()
    yield made
    made.close()


@pytest.fixture(scope="module")
def ada(server: Server) -> str:
    return new_user(server, "ada")


def new_user(server: Server, name: str, *, must_change: bool = False) -> str:
    user = {
        "accountEnabled": True,
        "displayName": name.title(),
        "userPrincipalName": f"{name}@example.org",
        "passwordProfile": {
            "password": PASSWORD,
            "forceChangePasswordNextSignIn": must_change,
        },
    }
    server.api.post("/v1.0/users", json=user).raise_for_status()
    return f"{name}@example.org"


def authorize(server: Server, program: Program, **change: str) -> str:
    asked = {
        "client_id": AZURE_CLI,
        "response_type": "code",
        "redirect_uri": program.redirect_uri,
        "scope": f"{server.url}/.default openid offline_access",
        "state": "a state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"/{server.tenant}/oauth2/v2.0/authorize?{urlencode(asked | change)}"


def token(server: Server, **form: str) -> dict[str, Any]:
    url = f"{server.url}/{server.tenant}/oauth2/v2.0/token"
    form = {"client_id": AZURE_CLI, **form}
    answer = httpx2.post(url, data=form, verify=server.tls(), trust_env=False)
    answered: dict[str, Any] = answer.json()
    return answered


def start_device(server: Server) -> dict[str, Any]:
    url = f"{server.url}/{server.tenant}/oauth2/v2.0/devicecode"
    form = {"client_id": AZURE_CLI, "scope": f"{server.url}/.default openid"}
    answer = httpx2.post(url, data=form, verify=server.tls(), trust_env=False)
    started: dict[str, Any] = answer.raise_for_status().json()
    return started


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def refused(page: Page) -> None:
    expect(page.get_by_role("alert")).to_have_text(REFUSAL)
    expect(page).to_have_title("Error: Sign in \u2013 Towrope")


def test_a_person_signs_in_with_the_keyboard_alone(
    chromium: Chromium, server: Server, program: Program, ada: str
) -> None:
    def script(page: Page) -> None:
        page.goto(authorize(server, program))
        expect(page.get_by_label("User name")).to_be_focused()
        page.keyboard.type(ada)
        page.keyboard.press("Tab")
        expect(page.get_by_label("Password")).to_be_focused()
        page.keyboard.type("wrong")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Sign in")).to_be_focused()
        page.keyboard.press("Enter")
        refused(page)
        expect(page.get_by_label("Password")).to_be_focused()
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_title("Program")

    chromium.visit(server.url, script)
    method, brought = program.heard()
    assert method == "GET"
    assert brought["state"] == "a state"
    tokens = token(
        server,
        grant_type="authorization_code",
        code=brought["code"],
        redirect_uri=program.redirect_uri,
        code_verifier=VERIFIER,
    )
    me = httpx2.get(
        f"{server.url}/v1.0/me",
        headers={"authorization": f"Bearer {tokens['access_token']}"},
        verify=server.tls(),
        trust_env=False,
    )
    assert me.json()["userPrincipalName"] == ada


@pytest.mark.parametrize("has_script", [True, False])
def test_the_code_comes_back_by_form(
    chromium: Chromium, server: Server, program: Program, ada: str, *, has_script: bool
) -> None:
    def script(page: Page) -> None:
        page.goto(authorize(server, program, response_mode="form_post"))
        sign_in(page, ada)
        if not has_script:
            expect(page.get_by_role("button", name="Continue")).to_be_focused()
            page.keyboard.press("Enter")
        expect(page).to_have_title("Program")

    chromium.visit(server.url, script, java_script_enabled=has_script)
    method, brought = program.heard()
    assert method == "POST"
    assert brought["state"] == "a state"
    assert brought["code"]


def test_a_person_who_is_signed_in_chooses_an_account_and_signs_out(
    chromium: Chromium, server: Server, program: Program, ada: str
) -> None:
    def script(page: Page) -> None:
        page.goto(authorize(server, program))
        sign_in(page, ada)
        expect(page).to_have_title("Program")
        page.goto(authorize(server, program))
        expect(page).to_have_title("Program")
        page.goto(authorize(server, program, prompt="select_account"))
        press(page, f"Ada {ada}")
        expect(page).to_have_title("Program")
        page.goto(f"/{server.tenant}/oauth2/v2.0/logout")
        expect(page.get_by_role("heading")).to_have_text("You have signed out")
        assert not [c for c in page.context.cookies() if "session" in str(c["name"])]
        page.goto(authorize(server, program))
        expect(page).to_have_title("Sign in \u2013 Towrope")

    chromium.visit(server.url, script)
    assert all(program.heard()[1]["code"] for _ in range(3))


def test_an_account_is_locked(chromium: Chromium, server: Server, program: Program) -> None:
    eve = new_user(server, "eve")

    def script(page: Page) -> None:
        for password in (*["not the password"] * 5, PASSWORD):
            page.goto(authorize(server, program))
            sign_in(page, eve, password)
            refused(page)

    chromium.visit(server.url, script)


def test_a_device_is_signed_in(chromium: Chromium, server: Server, ada: str) -> None:
    started = start_device(server)

    def script(page: Page) -> None:
        page.goto(started["verification_uri"])
        page.get_by_label("Code").fill("BBBBBBBB")
        press(page, "Next")
        expect(page.get_by_role("alert")).to_contain_text("This code is not known.")
        page.get_by_label("Code").fill(started["user_code"].lower())
        press(page, "Next")
        sign_in(page, ada)
        main = page.get_by_role("main")
        for fact in ("Azure CLI", started["user_code"], ada, "127.0.0.1", "Only continue if"):
            expect(main).to_contain_text(fact)
        press(page, "Continue")
        expect(main).to_contain_text("You have signed in")
        expect(main).to_contain_text("You may close this window")

    chromium.visit(server.url, script, java_script_enabled=False)
    tokens = token(
        server,
        grant_type="urn:ietf:params:oauth:grant-type:device_code",
        device_code=started["device_code"],
    )
    assert tokens["access_token"]


def test_a_password_that_somebody_else_set_is_changed(
    chromium: Chromium, server: Server, program: Program
) -> None:
    bob = new_user(server, "bob", must_change=True)

    def script(page: Page) -> None:
        page.goto(authorize(server, program))
        sign_in(page, bob)
        expect(page.get_by_label("New password", exact=True)).to_be_focused()
        for label in ("New password", "New password again"):
            page.get_by_label(label, exact=True).fill(PASSWORD)
        press(page, "Change password and sign in")
        expect(page.get_by_role("alert")).to_contain_text("another than the one before")
        for label in ("New password", "New password again"):
            page.get_by_label(label, exact=True).fill(NEW_PASSWORD)
        press(page, "Change password and sign in")
        expect(page).to_have_title("Program")
        page.goto(authorize(server, program, prompt="login"))
        sign_in(page, bob, NEW_PASSWORD)
        expect(page).to_have_title("Program")

    chromium.visit(server.url, script)
    assert all(program.heard()[1]["code"] for _ in range(2))


def test_a_page_from_elsewhere_can_neither_frame_nor_send_our_forms(
    chromium: Chromium, server: Server, program: Program, ada: str
) -> None:
    hostile = f"""
      <title>Hostile</title><iframe src="{server.url}/device"></iframe>
      <form method="post" action="{server.url}/device"><input name="user_code" value="x">
      <button>Win a prize</button></form>"""

    def script(page: Page) -> None:
        page.goto(authorize(server, program))
        sign_in(page, ada)
        expect(page).to_have_title("Program")
        page.route(
            "**/hostile", lambda route: route.fulfill(body=hostile, content_type="text/html")
        )
        page.goto(f"{program.redirect_uri}/hostile")
        assert page.frames[1].url.startswith("chrome-error:")
        press(page, "Win a prize")
        expect(page.get_by_role("heading")).to_have_text("This page is out of date")

    chromium.visit(server.url, script)
    program.heard()


def test_what_a_page_forbids_is_noticed(chromium: Chromium, server: Server) -> None:
    """The browser complains, and its fixture listens: else no test here would see a fault."""

    def script(page: Page) -> None:
        page.goto("/device")
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=color:red>')")

    with pytest.raises(AssertionError, match="Content Security Policy"):
        chromium.visit(server.url, script)


def test_pages_are_told_to_those_who_do_not_see_them(
    chromium: Chromium, server: Server, program: Program, ada: str
) -> None:
    started = start_device(server)

    def script(page: Page) -> dict[str, str]:
        told = {}
        page.goto(authorize(server, program))
        told["sign in"] = page.locator("body").aria_snapshot()
        sign_in(page, "nobody@example.org")
        refused(page)
        told["refused"] = page.locator("body").aria_snapshot()
        page.goto("/device")
        told["code"] = page.locator("body").aria_snapshot()
        page.get_by_label("Code").fill(started["user_code"])
        press(page, "Next")
        sign_in(page, ada)
        expect(page).to_have_title("Is this you? \u2013 Towrope")
        told["confirm"] = page.locator("body").aria_snapshot()
        page.goto(authorize(server, program, redirect_uri="https://evil.example"))
        told["error"] = page.locator("body").aria_snapshot()
        return told

    told = chromium.visit(server.url, script)
    for page in told.values():
        for landmark in ("banner:", "main:", "contentinfo:"):
            assert landmark in page
    for name in ('heading "Sign in" [level=1]', 'textbox "User name"', 'textbox "Password"'):
        assert name in told["sign in"]
    assert f"alert:\n    - paragraph: {REFUSAL.split('.', maxsplit=1)[0]}" in told["refused"]
    assert 'textbox "Code"' in told["code"]
    for name in ('button "Continue"', 'button "Cancel"', 'button "Use another account"'):
        assert name in told["confirm"]
    assert "- alert:" in told["error"]
    assert "Request id" in told["error"]


def test_fields_are_described_to_password_managers_and_screen_readers(
    chromium: Chromium, server: Server, program: Program
) -> None:
    def script(page: Page) -> None:
        page.goto(authorize(server, program, login_hint="ada@example.org"))
        name, password = page.get_by_label("User name"), page.get_by_label("Password")
        expect(name).to_have_value("ada@example.org")
        expect(name).to_have_attribute("autocomplete", "username")
        expect(password).to_have_attribute("autocomplete", "current-password")
        sign_in(page, "nobody@example.org")
        expect(password).to_have_accessible_description(REFUSAL)
        page.goto("/device")
        expect(page.get_by_label("Code")).to_have_attribute("autocomplete", "one-time-code")

    chromium.visit(server.url, script)


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_a_narrow_screen_is_wide_enough(
    chromium: Chromium, server: Server, program: Program, ada: str, color_scheme: str
) -> None:
    """And the style sheet is there: what is dark is dark."""
    started = start_device(server)

    def script(page: Page) -> set[str]:
        widths = []

        def measure(title: str) -> None:
            expect(page).to_have_title(f"{title} \u2013 Towrope")
            widths.append(page.evaluate("document.documentElement.scrollWidth"))

        page.goto(authorize(server, program, login_hint="a" * 200))
        measure("Sign in")
        sign_in(page, "nobody@example.org")
        measure("Error: Sign in")
        page.goto(authorize(server, program, redirect_uri="https://" + "evil" * 50))
        measure("This sign-in cannot go on")
        page.goto("/device")
        measure("Enter the code")
        page.get_by_label("Code").fill(started["user_code"])
        press(page, "Next")
        sign_in(page, ada)
        measure("Is this you?")
        assert widths == [360] * 5
        color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return {color}

    view = {"width": 360, "height": 640}
    [color] = chromium.visit(server.url, script, viewport=view, color_scheme=color_scheme)
    assert color == {"light": "rgb(238, 241, 245)", "dark": "rgb(14, 17, 22)"}[color_scheme]
