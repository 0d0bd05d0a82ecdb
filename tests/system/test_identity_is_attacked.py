"""Tokens and headers that lie, against the running chain: none reaches the apiserver as agent.

Each attempt asks for a path of its own. What the apiserver did for that path, its audit log says:
nothing with the agent's account, or, where a good token comes with bad headers, nothing as anybody
but the token's bearer.
"""

import base64
import hashlib
import hmac
import json
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.fixtures.cluster import Cluster
from tests.fixtures.forgery import Mint, encode, mint_of, sign
from tests.fixtures.installation import Installation, Proxy
from tests.fixtures.people import People, Person
from tests.fixtures.raw import raw_connection
from towrope.wire.names import object_id_group

AGENT = "system:serviceaccount:towrope:towrope-agent"
OTHER_CLUSTER = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/shops/providers"
    "/Microsoft.Kubernetes/connectedClusters/other"
)
ARC_SERVER = "6256c85f-0aad-4d50-b960-e6e9b21efe35"


@pytest.fixture(scope="module")
def mint(people: People, ada: Person) -> Mint:
    return mint_of(people, ada)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    status: int
    """0: the connection was closed without an answer."""
    body: str
    events: list[Any]
    """The apiserver's, for this attempt's path."""

    def by_agent(self) -> list[Any]:
        # The apiserver knows no name of whom it does not authenticate.
        return [event for event in self.events if event["user"].get("username") == AGENT]


class Attempts:
    """Sends requests through the tunnel, each for a path of its own."""

    def __init__(self, proxy: Proxy, cluster: Cluster) -> None:
        self._proxy = proxy
        self._log = cluster.audit_log
        self._made = 0

    def send(
        self, *lines: str | bytes, method: str = "GET", query: str = "", body: bytes = b""
    ) -> Outcome:
        self._made += 1
        marker = f"attack-{os.getpid()}-{self._made}-"
        path = f"/api/v1/namespaces/default/configmaps/{marker}{query}"
        fields = [line if isinstance(line, bytes) else line.encode("utf-8") for line in lines]
        head = b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), b"Host: cluster", *fields])
        before = self._log.stat().st_size
        answer = self._answer(head + b"\r\n\r\n" + body)
        with self._log.open("rb") as log:
            log.seek(before)
            written = [json.loads(line) for line in log if marker.encode() in line]
        status = int(answer.split(b" ", 2)[1]) if answer else 0
        return Outcome(status=status, body=answer.decode(errors="replace"), events=written)

    def with_token(self, token: str, *lines: str | bytes, **more: Any) -> Outcome:
        return self.send(f"Authorization: Bearer {token}", *lines, **more)

    def _answer(self, request: bytes) -> bytes:
        answer = b""
        try:
            with raw_connection(self._proxy) as session:
                session.sendall(request)
                while b"\r\n\r\n" not in answer:
                    data = session.recv(65536)
                    if not data:
                        break
                    answer += data
                else:
                    answer += session.recv(65536) if b"Status" not in answer else b""
        except (ssl.SSLError, ConnectionError):
            pass  # refused while it was still being sent
        return answer


@pytest.fixture(scope="module")
def attempts(proxy: Proxy, cluster: Cluster) -> Attempts:
    return Attempts(proxy, cluster)


def test_a_good_token_goes_up_in_its_bearers_name(
    attempts: Attempts, mint: Mint, ada: Person
) -> None:
    """What follows would prove nothing if this did not pass, and leave the trace that it does."""
    outcome = attempts.with_token(mint.token())
    assert outcome.status == 403, outcome.body  # the apiserver's: she has no right
    (event,) = outcome.by_agent()
    assert event["impersonatedUser"]["username"] == ada.user_principal_name
    assert ada.user_principal_name in outcome.body


# Tokens that are well signed, and not for this.


def soon(seconds: float) -> int:
    return int(time.time() + seconds)


WRONG: dict[str, Callable[[Mint], str]] = {
    "expired": lambda m: m.token(exp=soon(-120), nbf=soon(-3720), iat=soon(-3720)),
    "not yet valid": lambda m: m.token(nbf=soon(600)),
    "issued in the future": lambda m: m.token(iat=soon(600), nbf=soon(600), exp=soon(4200)),
    "without an end": lambda m: m.token(exp=None),
    "an end that is no number": lambda m: m.token(exp="9999999999"),
    "for another cluster": lambda m: m.token(aud=OTHER_CLUSTER),
    "for this cluster in another case": lambda m: m.token(aud=m.audience.lower()),
    "for the server's API": lambda m: m.token(aud=m.server),
    "for Arc's server application": lambda m: m.token(aud=ARC_SERVER),
    "an id token": lambda m: m.token(aud=m.claims()["appid"], nonce="n"),
    "for nobody": lambda m: m.token(aud=None),
    "of another tenant": lambda m: m.token(tid="00000000-0000-0000-0000-000000000000"),
    "bound to a key": lambda m: m.token(cnf={"kid": "key", "xms_ksl": "sw"}),
}


@pytest.mark.parametrize("made", WRONG.values(), ids=WRONG.keys())
def test_a_token_that_is_not_for_this_gets_401(
    attempts: Attempts, mint: Mint, made: Callable[[Mint], str]
) -> None:
    token = made(mint)
    outcome = attempts.with_token(token)
    assert outcome.status == 401, outcome.body
    assert '"Status"' in outcome.body
    assert token not in outcome.body
    assert outcome.events == []


# Tokens that nobody signed who may.


def by_public_key(mint: Mint, algorithm: str) -> str:
    """An HMAC whose secret is what everybody knows: the public key."""
    header = {"alg": algorithm, "typ": "JWT", "kid": mint.kid}
    signing = f"{encode(header)}.{encode(mint.claims())}"
    digest = hmac.new(mint.key.as_pem(private=False), signing.encode(), hashlib.sha256).digest()
    return f"{signing}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def by_own_key(mint: Mint, **header: Any) -> str:
    key = STRANGER
    named = {"alg": "RS256", "typ": "JWT", "kid": mint.kid}
    return sign({**named, **header}, mint.claims(), key)


def unsigned(mint: Mint, algorithm: str) -> str:
    header = {"alg": algorithm, "typ": "JWT", "kid": mint.kid}
    return f"{encode(header)}.{encode(mint.claims())}."


def altered(mint: Mint) -> str:
    header, _, signature = mint.token().split(".")
    return f"{header}.{encode(mint.claims(upn='root@contoso.example'))}.{signature}"


STRANGER = RSAKey.generate_key(2048)
CURVE = ECKey.generate_key("P-256")
PUBLIC = STRANGER.as_dict(private=False)

FORGED: dict[str, Callable[[Mint], str]] = {
    "alg none": lambda m: unsigned(m, "none"),
    "alg None": lambda m: unsigned(m, "None"),
    "no signature": lambda m: unsigned(m, "RS256"),
    "HMAC with the public key": lambda m: by_public_key(m, "HS256"),
    "another RSA algorithm": lambda m: m.token({"alg": "PS256"}),
    "a longer hash": lambda m: m.token({"alg": "RS512"}),
    "a curve": lambda m: sign({"alg": "ES256", "kid": m.kid}, m.claims(), CURVE),
    "another key by our name": by_own_key,
    "another key by its name": lambda m: by_own_key(m, kid=STRANGER.thumbprint()),
    "another key without a name": lambda m: by_own_key(m, kid=None),
    "a key that is a path": lambda m: by_own_key(m, kid="../../../../dev/null"),
    "a key that is a query": lambda m: by_own_key(m, kid="' OR 1=1 --"),
    "a key that is a number": lambda m: by_own_key(m, kid=0),
    "a key that is a list": lambda m: by_own_key(m, kid=[m.kid]),
    "a key that it brings": lambda m: by_own_key(m, jwk=PUBLIC),
    "a key elsewhere": lambda m: by_own_key(m, jku="https://evil.example/keys"),
    "a certificate that it brings": lambda m: by_own_key(m, x5c=["MIIB"]),
    "a certificate elsewhere": lambda m: by_own_key(m, x5u="https://evil.example/pem"),
    "our signature, and a key": lambda m: m.token({"jwk": PUBLIC}),
    "our signature, and a critical member": lambda m: m.token({"crit": ["exp"], "exp": 1}),
    "our signature, and b64": lambda m: m.token({"b64": False, "crit": ["b64"]}),
    "another type": lambda m: m.token({"typ": "secevent+jwt"}),
    "a signature that is cut": lambda m: m.token()[:-20],
    "another content": altered,
}


@pytest.mark.parametrize("made", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_gets_401(
    attempts: Attempts, mint: Mint, made: Callable[[Mint], str]
) -> None:
    outcome = attempts.with_token(made(mint))
    assert outcome.status == 401, outcome.body
    assert '"Status"' in outcome.body
    assert outcome.events == []


FOREIGN: dict[str, Callable[[Mint], str]] = {
    "of an issuer that is not trusted": lambda m: m.token(iss="https://evil.example/v2.0"),
    "of our issuer, with a slash": lambda m: m.token(iss=f"{m.server}/{m.tenant}/v2.0/"),
    "of our issuer, in another case": lambda m: m.token(iss=f"{m.server}/{m.tenant}/V2.0"),
    "of no issuer": lambda m: m.token(iss=None),
    "without a payload": lambda m: ".".join(m.token().split(".")[::2]),
    "cut in its payload": lambda m: m.token()[:200],
    "in five parts": lambda m: m.token() + "..",
    "of a mebibyte": lambda m: "e" * (1024 * 1024),
    "a mebibyte, well signed": lambda m: m.token(padding="x" * (1024 * 1024)),
    "a hundred thousand brackets": lambda m: base64.b64encode(b"[" * 9000).decode() + ".e30.e30",
}


@pytest.mark.parametrize("made", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_no_token_of_ours_is_never_the_agents_word(
    attempts: Attempts, mint: Mint, made: Callable[[Mint], str]
) -> None:
    """The apiserver may be asked, with the caller's own token and nothing else."""
    outcome = attempts.with_token(made(mint))
    assert outcome.status in (0, 400, 401, 431), outcome.body
    assert outcome.by_agent() == []
    assert all("impersonatedUser" not in event for event in outcome.events)


# More than one credential, or none.


def basic(mint: Mint) -> str:
    return base64.b64encode(f"{mint.person.user_principal_name}:{mint.token()}".encode()).decode()


PRESENTED: dict[str, Callable[[Mint], list[str]]] = {
    "nothing": lambda m: [],
    "two headers": lambda m: [f"Authorization: Bearer {m.token()}"] * 2,
    "a good one, then a bad one": lambda m: [
        f"Authorization: Bearer {m.token()}",
        f"Authorization: Bearer {by_own_key(m)}",
    ],
    "a bad one, then a good one": lambda m: [
        f"Authorization: Bearer {by_own_key(m)}",
        f"authorization: Bearer {m.token()}",
    ],
    "two in one": lambda m: [f"Authorization: Bearer {m.token()}, Bearer {m.token()}"],
    "basic": lambda m: [f"Authorization: Basic {basic(m)}"],
    "another scheme": lambda m: [f"Authorization: Token {m.token()}"],
    "a name with an underscore": lambda m: [f"X_Authorization: Bearer {m.token()}"],
    "a cookie": lambda m: [f"Cookie: access_token={m.token()}"],
    "a subprotocol beside it": lambda m: [
        f"Authorization: Bearer {m.token()}",
        "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io",
    ],
    "as the front proxy": lambda m: [
        "X-Remote-User: system:admin",
        "X-Remote-Group: system:masters",
    ],
}


@pytest.mark.parametrize("made", PRESENTED.values(), ids=PRESENTED.keys())
def test_a_request_has_one_bearer_token_or_gets_401(
    attempts: Attempts, mint: Mint, made: Callable[[Mint], list[str]]
) -> None:
    outcome = attempts.send(*made(mint))
    assert outcome.status in (400, 401), outcome.body
    assert outcome.events == []


def test_a_token_in_the_query_is_none(attempts: Attempts, mint: Mint) -> None:
    outcome = attempts.send(query=f"?access_token={mint.token()}")
    assert outcome.status == 401
    assert outcome.events == []


# A good token, with headers that want more.


WANTED: dict[str, list[str | bytes]] = {
    "a user": ["Impersonate-User: system:admin"],
    "lower case": ["impersonate-user: system:admin"],
    "upper case": ["IMPERSONATE-USER: system:admin"],
    "twice": ["Impersonate-User: ada@contoso.example", "Impersonate-User: system:admin"],
    "twice, in two cases": ["Impersonate-User: x", "iMPERSONATE-uSER: system:admin"],
    "a group alone": ["Impersonate-Group: system:masters"],
    "a group of hers": [
        "Impersonate-User: ada@contoso.example",
        "Impersonate-Group: system:masters",
    ],
    "a uid": ["Impersonate-Uid: 0"],
    "an extra": ["Impersonate-Extra-Scopes: all"],
    "an extra that we write": [
        "Impersonate-Extra-oid: 00000000-0000-0000-0000-000000000000",
    ],
    "an underscore": ["Impersonate_User: system:admin", "Impersonate_Group: system:masters"],
    "an extra with an underscore": ["Impersonate-Extra_oid: root"],
    "hop by hop": ["Connection: Impersonate-User", "Impersonate-User: system:admin"],
    "hop by hop, ours": ["Connection: close, Impersonate-Group, Impersonate-Uid"],
    "hop by hop, authorization": ["Connection: Authorization"],
    "by an upgrade": [
        "Connection: Upgrade, Impersonate-User",
        "Upgrade: impersonate-user",
        "Impersonate-User: system:admin",
    ],
    "an upgrade to h2c": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"],
    "the front proxy": ["X-Remote-User: system:admin", "X-Remote-Group: system:masters"],
    "the front proxy, with underscores": ["X_Remote_User: system:admin"],
    "a space before the colon": ["Impersonate-User : system:admin"],
    "a folded line": ["X-A: b\r\n Impersonate-User: system:admin"],
    "a bare line feed": ["X-A: b\nImpersonate-User: system:admin"],
    "a bare carriage return": ["X-A: b\rImpersonate-User: system:admin"],
    "a NUL": [b"X-A: b\x00Impersonate-User: system:admin"],
    "bytes beyond ASCII": ["Impersonate-User: \uff53ystem:admin"],
    "a new name for the request": ["X-HTTP-Method-Override: DELETE", "X-Original-URL: /"],
}


@pytest.mark.parametrize("lines", WANTED.values(), ids=WANTED.keys())
def test_no_header_changes_who_is_impersonated(
    attempts: Attempts, mint: Mint, ada: Person, lines: list[str | bytes]
) -> None:
    outcome = attempts.with_token(mint.token(), *lines)
    assert outcome.status in (0, 400, 401, 403), outcome.body
    assert_as_herself(outcome, ada)


def test_no_trailer_changes_who_is_impersonated(
    attempts: Attempts, mint: Mint, ada: Person
) -> None:
    body = b"2\r\n{}\r\n0\r\nImpersonate-User: system:admin\r\nAuthorization: Bearer x\r\n\r\n"
    outcome = attempts.with_token(
        mint.token(),
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        "Trailer: Impersonate-User",
        method="PUT",
        body=body,
    )
    assert outcome.status in (0, 400, 403), outcome.body
    assert_as_herself(outcome, ada)


def assert_as_herself(outcome: Outcome, person: Person) -> None:
    """Whatever arrived was asked in her name, with her groups, and nothing more."""
    for event in outcome.events:
        assert event["user"]["username"] == AGENT
        impersonated = event["impersonatedUser"]
        assert impersonated["username"] == person.user_principal_name
        own = object_id_group(person.object_id)
        assert impersonated.get("groups", []) == [own, "system:authenticated"]
        assert impersonated.get("uid") == person.object_id
        assert list(impersonated.get("extra", {}).values()) == [[person.object_id]]


# Names that no token brings.


RESERVED = (
    "system:masters",
    "System:Masters",
    "SYSTEM:masters",
    " system:masters",
    "\u200bsystem:masters",
    "\ufeffsystem:masters",
    "sys\u00adtem:masters",
    "\uff53\uff59\uff53\uff54\uff45\uff4d:masters",
    "\u017fystem:masters",
    "system\uff1amasters",
    "system%3Amasters",
    "%73ystem:masters",
    "%2573ystem:masters",
    "towrope:oid:00000000-0000-4000-8000-000000000000",
    "Tow\u200brope:oid:x",
)


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("claim", ["upn", "oid", "groups"])
def test_no_name_of_the_clusters_own_comes_from_a_token(
    attempts: Attempts, mint: Mint, claim: str, name: str
) -> None:
    changed: dict[str, Any] = {claim: [name] if claim == "groups" else name}
    outcome = attempts.with_token(mint.token(**changed))
    assert outcome.status == 401, outcome.body
    assert outcome.events == []


# A caller of the cluster's own.


def test_a_service_account_impersonates_by_its_own_right_alone(
    attempts: Attempts, installation: Installation
) -> None:
    """What it may, the apiserver says; the agent's account has no part in it."""
    outcome = attempts.with_token(installation.token, "Impersonate-User: somebody")
    assert outcome.by_agent() == []
    for event in outcome.events:
        assert event["user"]["username"] == "system:serviceaccount:default:demo-user"


def test_a_powerless_service_account_does_not(attempts: Attempts, cluster: Cluster) -> None:
    token = cluster.kubectl("create", "token", "default").stdout.strip()
    outcome = attempts.with_token(
        token, "Impersonate-User: system:admin", "Impersonate-Group: system:masters"
    )
    assert outcome.status == 403, outcome.body
    assert outcome.by_agent() == []
