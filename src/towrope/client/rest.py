"""One server's HTTPS: deadlines, retries, and every failure as one of the project's errors.

It knows neither resources nor accounts; `api`, `account` and `trust` say what to ask for.
"""

import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any, TypeVar

import httpx2
import msgspec
import stamina
import stamina.instrumentation
import structlog

from towrope import __version__
from towrope.wire.errors import (
    Forbidden,
    Hop,
    NotFound,
    Refused,
    Unauthenticated,
    Unreachable,
    foreign,
)

TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
ATTEMPTS = 4
RETRY_WITHIN = 30.0
LONGEST_WAIT = 20.0
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
TRANSIENT = frozenset({429, 502, 503, 504})
# Loopback is never reached through a proxy, whatever the environment says.
DIRECT: Mapping[str, None] = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}

Json = dict[str, Any]
E = TypeVar("E", bound=BaseException)
_HOP = Hop.SERVER

_log = structlog.get_logger()


class Conflict(Refused):
    """What is asked for contradicts what is there."""

    status = HTTPStatus.CONFLICT


class Untrusted(Unreachable):
    """The server's certificate is not one that we trust."""

    retryable = False


class GrantRefused(Refused):
    """A token endpoint's refusal (RFC 6749 §5.2, RFC 8628 §3.5), by its `code`."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message, hop=_HOP)
        self.code = code


class _Transient(Unreachable):
    """Worth another attempt at once; `after` seconds, where the server said so."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message, hop=_HOP)
        self.after = after


class Rest:
    """Requests to `server` (`https://host[:port]`)."""

    def __init__(
        self,
        server: str,
        *,
        tls: ssl.SSLContext,
        token: Callable[[], str] | None = None,
        refused: Callable[[], None] | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`token` gives the bearer token; `refused` is told once that the server took it not;
        `waiting` is entered for as long as an answer is waited for."""
        self.server = server
        self.tls = tls
        self._token = token
        self._refused = refused
        self._waiting = waiting
        self._client = httpx2.Client(
            base_url=server,
            verify=tls,
            timeout=TIMEOUT,
            mounts=DIRECT,
            headers={"User-Agent": f"towrope/{__version__}", "Accept": "application/json"},
        )
        # A retry is told by our own line, and only under --debug.
        stamina.instrumentation.set_on_retry_hooks([])

    def close(self) -> None:
        self._client.close()

    def json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        form: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Json:
        """The answer's JSON object; empty where there is no body. Raises on any refusal.

        `repeatable` says that a POST may be sent twice.
        """
        options: Json = {"params": query} if query else {}
        if body is not None:
            options["content"] = msgspec.json.encode(body)
            options["headers"] = {"Content-Type": "application/json"}
        elif form is not None:
            options["data"] = form
        response = self._repeated(method, path, options, method in IDEMPOTENT or repeatable)
        return self._object(response) if response.content else {}

    def fetch(self, path: str) -> bytes:
        """The bytes at `path`."""
        return self._repeated("GET", path, {}, True).content

    def _repeated(self, method: str, path: str, options: Json, again: bool) -> httpx2.Response:
        attempts = stamina.retry_context(
            on=_wait_before_retry, attempts=ATTEMPTS, timeout=RETRY_WITHIN, wait_initial=0.2
        )
        with self._waiting():
            for attempt in attempts:
                with attempt:
                    return self._authorized(method, path, options, again)
        raise AssertionError("the last attempt returns or raises")

    def _authorized(self, method: str, path: str, options: Json, again: bool) -> httpx2.Response:
        """Sends it; once more with a new token where the server does not take a cached one."""
        response = self._send(method, path, options, again)
        if response.status_code == HTTPStatus.UNAUTHORIZED and self._token and self._refused:
            self._refused()
            response = self._send(method, path, options, again)
        if not response.is_success:
            raise self._refusal(response, again)
        return response

    def _send(self, method: str, path: str, options: Json, again: bool) -> httpx2.Response:
        headers = {**options.get("headers", {}), "x-ms-client-request-id": str(uuid.uuid4())}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token()}"
        started = time.monotonic()
        try:
            response = self._client.request(method, path, **{**options, "headers": headers})
        except httpx2.TransportError as error:
            raise self._unreachable(error, again) from error
        _log.debug(
            "request",
            method=method,
            path=path,
            status=response.status_code,
            seconds=round(time.monotonic() - started, 3),
            request_id=headers["x-ms-client-request-id"],
        )
        return response

    def _unreachable(self, error: httpx2.TransportError, again: bool) -> Unreachable:
        certificate = _cause(error, ssl.SSLCertVerificationError)
        if certificate is not None:
            return Untrusted(
                f"The certificate of {self.server} is not trusted:"
                f" {foreign(certificate.verify_message)}. Name its authority with --ca-fingerprint"
                " or --ca-file at 'towrope login'.",
                hop=_HOP,
            )
        if isinstance(error, httpx2.ProxyError):
            return Unreachable(
                f"The HTTP proxy does not lead to {self.server}: {foreign(str(error))}. Check"
                " HTTPS_PROXY and NO_PROXY.",
                hop=_HOP,
            )
        message = (
            f"Cannot reach the server {self.server}: {_reason(error)}. Check its address, that it"
            " runs, and the network."
        )
        if again or isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            return _Transient(message)
        return Unreachable(message, hop=_HOP)

    def _refusal(self, response: httpx2.Response, again: bool) -> Exception:
        status = response.status_code
        said = _sentence(response)
        if status in TRANSIENT:
            message = f"The server {self.server} is busy or not ready: HTTP {status}{said}"
            after = retry_after(response)
            return _Transient(message, after=after) if again else Unreachable(message, hop=_HOP)
        if status == HTTPStatus.UNAUTHORIZED:
            return Unauthenticated(
                f"The server does not accept the credential{said or '.'} Sign in again with"
                " 'towrope login'.",
                hop=_HOP,
            )
        code = _oauth_code(response)
        if code:
            return GrantRefused(said.removeprefix(": "), code=code)
        kind = {403: Forbidden, 404: NotFound, 409: Conflict}.get(status, Refused)
        if not said:
            kind = NotFound if kind is NotFound else Refused
            return kind(self._strange(response), hop=_HOP)
        if status == HTTPStatus.NOT_FOUND:
            said += " Check the name, or look with 'list' for those that are there."
        if status == HTTPStatus.FORBIDDEN:
            said += " Ask somebody who assigns roles for one that allows it."
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return kind(f"The server {self.server} failed: HTTP {status}{said}", hop=_HOP)
        return kind(said.removeprefix(": "), hop=_HOP)

    def _object(self, response: httpx2.Response) -> Json:
        try:
            return msgspec.json.decode(response.content, type=Json)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refused(self._strange(response), hop=_HOP) from None

    def _strange(self, response: httpx2.Response) -> str:
        kind = foreign(response.headers.get("content-type", "no content type"))
        return (
            f"{self.server} does not answer as a Towrope server (HTTP {response.status_code},"
            f" {kind}). Check the address."
        )


def _wait_before_retry(error: Exception) -> bool | float:
    if not isinstance(error, _Transient):
        return False
    return True if error.after is None else error.after


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait; dates are not obeyed, for clocks differ."""
    value = response.headers.get("retry-after", "")
    return min(float(value), LONGEST_WAIT) if value.isascii() and value.isdigit() else None


def _oauth_code(response: httpx2.Response) -> str:
    """`error` in OAuth's shape; nothing where it is in ARM's."""
    code = _error_body(response).get("error")
    return code if isinstance(code, str) else ""


def _error_body(response: httpx2.Response) -> Json:
    try:
        return msgspec.json.decode(response.content, type=Json)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _sentence(response: httpx2.Response) -> str:
    """`: ` and what the server says, in ARM's shape or OAuth's (RFC 6749 §5.2); or nothing."""
    answer = _error_body(response)
    error = answer.get("error")
    said = error.get("message") if isinstance(error, dict) else answer.get("error_description")
    said = said or (error if isinstance(error, str) else "")
    if not isinstance(said, str) or not said:
        return ""
    # Entra's way to say for its own log which request it was.
    shown = foreign(said.partition(" Trace ID: ")[0])
    return f": {shown}" if shown.endswith((".", "…", "!", "?")) else f": {shown}."


def _cause(error: BaseException | None, kind: type[E]) -> E | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _reason(error: httpx2.TransportError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it does not answer in time"
    system = _cause(error, OSError)
    text = (system.strerror if system else "") or str(error) or type(error).__name__
    return foreign(text[:1].lower() + text[1:])
