"""What of a request's head goes upstream. It is written anew, never forwarded as it came.

Fields about the connection itself are taken out and made afresh; fields that claim something in
another's name are dropped; tricks with either are refused. The credential is not decided here, but
`agent.identity.decide` alone.
"""

import re
from dataclasses import dataclass

from towrope.wire import body
from towrope.wire.body import Framing
from towrope.wire.errors import Hop, Malformed, foreign
from towrope.wire.head import Field, Fields, RequestHead, ResponseHead

UPGRADES = frozenset({b"websocket", b"spdy/3.1"})
"""What kubectl's exec, attach and port-forward switch to."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"content-length",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
CLAIMS = (b"x-remote-", b"x-forwarded-", b"proxy-")
CLAIM_NAMES = frozenset({b"forwarded", b"via", b"x-real-ip"})
CREDENTIALS = (b"authorization", b"impersonate-")
SINGLE = frozenset(
    {b"content-type", b"expect", b"impersonate-user", b"impersonate-uid", b"upgrade"}
)

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that may go upstream, once its caller is known."""

    method: bytes
    target: bytes
    fields: Fields
    """Those that go as they came; no credential is among them."""
    framing: Framing
    upgrade: bytes | None
    keeps_alive: bool
    minor: int

    def head(self, *, host: bytes, path: bytes = b"", credential: tuple[Field, ...]) -> RequestHead:
        """The head to send to the apiserver; `path` comes before the target."""
        made: list[Field] = [(b"Host", host), *credential, *self.framing.fields()]
        if self.upgrade is not None:
            made += [(b"Connection", b"Upgrade"), (b"Upgrade", self.upgrade)]
        return RequestHead(self.method, path + self.target, Fields((*made, *self.fields)))


def screen(head: RequestHead) -> Request:
    """Raises `Malformed`."""
    if head.method == b"CONNECT" or not head.target.startswith(b"/") or b"#" in head.target:
        raise _malformed("its target must be a path")
    options = _connection_options(head.fields)
    for name, _ in head.fields:
        _check_name(name.lower())
    for name in SINGLE:
        if len(head.fields.all(name)) > 1:
            raise _malformed(f"there is more than one '{name.decode()}' header")
    framing = body.request_framing(head)
    upgrade = _upgrade(head, options, framing)
    expect = head.fields.first(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise _malformed(f"Expect is '{foreign(expect)}', not '100-continue'")
    return Request(
        method=head.method,
        target=head.target,
        fields=_end_to_end(head.fields, options, CREDENTIALS),
        framing=framing,
        upgrade=upgrade,
        keeps_alive=head.minor == 1 and b"close" not in options,
        minor=head.minor,
    )


def answer(head: ResponseHead, framing: Framing, *, closes: bool) -> ResponseHead:
    """The head to send to the client for the apiserver's `head`."""
    kept = _end_to_end(head.fields, _options(head.fields), ())
    made = framing.fields()
    if framing.kind is body.Kind.NONE and head.status >= 200 and head.status != 204:
        # In answer to HEAD, and with 304, it tells the length that the body would have had.
        made = tuple((b"Content-Length", value) for value in head.fields.all(b"content-length"))
    if head.status == 101:
        upgrade = head.fields.first(b"upgrade") or b""
        made = ((b"Connection", b"Upgrade"), (b"Upgrade", upgrade))
    elif closes:
        made = (*made, (b"Connection", b"close"))
    return ResponseHead(head.status, Fields((*kept, *made)), head.reason)


def _options(fields: Fields) -> frozenset[bytes]:
    return frozenset(fields.tokens(b"connection"))


def _connection_options(fields: Fields) -> frozenset[bytes]:
    options = _options(fields)
    for option in options:
        if _TOKEN.fullmatch(option) is None:
            raise _malformed("its Connection header is not a list of names")
        name = option.replace(b"_", b"-")
        if name in (b"host", b"content-length", b"transfer-encoding") or name.startswith(
            (*CREDENTIALS, *CLAIMS)
        ):
            raise _malformed(f"its Connection header names '{foreign(option)}'")
    return options


def _check_name(name: bytes) -> None:
    # Many servers read '_' in a name as '-', so that both forms would name one field.
    dashed = name.replace(b"_", b"-")
    if dashed != name and (
        dashed in HOP_BY_HOP | CLAIM_NAMES or dashed.startswith((*CREDENTIALS, *CLAIMS))
    ):
        raise _malformed(f"'{foreign(name)}' is not the name of a header")
    if name.startswith(b"authorization") and name != b"authorization":
        raise _malformed(f"'{foreign(name)}' is not the name of a header")


def _end_to_end(fields: Fields, options: frozenset[bytes], without: tuple[bytes, ...]) -> Fields:
    dropped = HOP_BY_HOP | CLAIM_NAMES | options
    prefixes = (*CLAIMS, *without)
    return Fields(
        tuple(
            [
                item
                for item in fields
                if (name := item[0].lower()) not in dropped and not name.startswith(prefixes)
            ]
        )
    )


def _upgrade(head: RequestHead, options: frozenset[bytes], framing: Framing) -> bytes | None:
    """What to switch to. Any other than `UPGRADES` is ignored, as RFC 9110 §7.8 lets us."""
    wanted = head.fields.first(b"upgrade")
    if wanted is None or b"upgrade" not in options or wanted.lower() not in UPGRADES:
        return None
    if head.minor == 0:
        return None
    if framing.kind is not body.Kind.NONE and framing != Framing(body.Kind.LENGTH, 0):
        raise _malformed("it wants an upgrade and has a body")
    return wanted


def _malformed(what: str) -> Malformed:
    return Malformed(f"The request is refused: {what}.", hop=Hop.AGENT)
