"""The port of this machine that a browser comes back to after a sign-in (RFC 8252 §7.3).

It takes one answer, as a query or as a posted form, and only one that repeats the state: whatever
else a page or a program sends there is turned away, and the wait goes on.
"""

import hmac
import queue
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from towrope.wire.errors import Hop, Unauthenticated

ADDRESS = "127.0.0.1"
FORM_LIMIT = 64 * 1024
FIELD_LIMIT = 32
REQUEST_WITHIN = 10.0
"""Seconds; browsers also open connections on which they say nothing."""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Towrope</title>
<meta name="viewport" content="width=device-width">
<style>:root{{color-scheme:light dark}}
body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}}</style>
</head><body><main><h1>{title}</h1><p>{text}</p></main></body></html>
"""
DONE = ("You may close this window", "Go back to the terminal; it goes on there.")
REFUSED = ("The sign-in did not succeed", "The terminal says why. You may close this window.")
STRANGE = ("This is not what was expected", "Go back to the terminal and start the sign-in again.")


class Loopback:
    """Listens from `with` on; `host` is how the browser is to name this machine."""

    def __init__(self, state: str, *, host: str = ADDRESS) -> None:
        self._state = state.encode()
        self._answers: queue.Queue[Mapping[str, str]] = queue.Queue(maxsize=1)
        self._http = ThreadingHTTPServer((ADDRESS, 0), self._handler())
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.05,), daemon=True, name="sign-in"
        )
        self.authority = f"{host}:{self._http.server_port}"

    @property
    def redirect_uri(self) -> str:
        return f"http://{self.authority}/"

    def __enter__(self) -> "Loopback":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def wait(self, within: float) -> Mapping[str, str]:
        """The parameters of the answer: it has `code` or `error`."""
        try:
            return self._answers.get(timeout=within)
        except queue.Empty:
            raise Unauthenticated(
                f"Nobody signed in within {within:.0f} s. Run 'towrope login' again, or with"
                " --use-device-code if no browser reaches this machine.",
                hop=Hop.CLIENT,
            ) from None

    def _take(self, text: str) -> tuple[HTTPStatus, tuple[str, str]]:
        """What is answered to the browser."""
        try:
            pairs = parse_qsl(text, max_num_fields=FIELD_LIMIT)
        except ValueError:
            return HTTPStatus.BAD_REQUEST, STRANGE
        answer = dict(pairs)
        is_ours = hmac.compare_digest(answer.get("state", "").encode(), self._state)
        if not is_ours or len(answer) != len(pairs) or not {"code", "error"} & set(answer):
            return HTTPStatus.BAD_REQUEST, STRANGE
        try:
            self._answers.put_nowait(answer)
        except queue.Full:
            return HTTPStatus.CONFLICT, STRANGE
        return HTTPStatus.OK, REFUSED if "error" in answer else DONE

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_WITHIN

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                self._reply(parts.path, parts.query)

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                size = int(length) if length.isascii() and length.isdigit() else FORM_LIMIT + 1
                if size > FORM_LIMIT:
                    self._show(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, STRANGE)
                    return
                self._reply(self.path, self.rfile.read(size).decode("utf-8", "replace"))

            def _reply(self, path: str, text: str) -> None:
                # Another name that leads here is a page's that tries to look like us.
                if path != "/" or self.headers.get("host") != loopback.authority:
                    self._show(HTTPStatus.NOT_FOUND, STRANGE)
                    return
                self._show(*loopback._take(text))

            def _show(self, status: HTTPStatus, words: tuple[str, str]) -> None:
                title, text = words
                content = PAGE.format(title=title, text=text).encode()
                self.send_response(status)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(content)))
                policy = "default-src 'none'; style-src 'unsafe-inline'"
                self.send_header("content-security-policy", policy)
                self.send_header("cache-control", "no-store")
                self.send_header("referrer-policy", "no-referrer")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
                """Nothing: a request holds the code."""

        return Handler
