"""Whatever a token is made of: the agent verifies it as the issuer's, or names why not, or leaves
it alone; and of what it verifies, no name is Kubernetes's own.

The input is a header and claims, with a blank line between; they are signed well, or not at all.
"""

from base64 import urlsafe_b64encode

from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from towrope.agent import tokens
from towrope.agent.issuers import Issuers
from towrope.agent.tokens import Rejected, Verified
from towrope.agent.usernames import caller_of
from towrope.wire.agent_api import IssuerKind, Trust, TrustedIssuer
from towrope.wire.reserved_names import is_reserved

NOW = 1_800_000_000
ISS = "https://towrope.test/v2.0"
KEY = ECKey.generate_key("P-256", {"kid": "a"})
ISSUERS = Issuers(
    Trust(
        issuers=(
            TrustedIssuer(
                name="towrope",
                kind=IssuerKind.TOWROPE,
                issuers=(ISS,),
                audiences=("c",),
                algorithms=("ES256",),
                keys={"keys": [KEY.as_dict(private=False)]},
            ),
        )
    )
)
HEADER = b'{"alg":"ES256","typ":"JWT","kid":"a"}'
CLAIMS = (
    b'{"iss":"https://towrope.test/v2.0","aud":"c","oid":"o","upn":"ada@contoso.example",'
    b'"groups":["g"],"iat":1800000000,"nbf":1800000000,"exp":1800003600}'
)
SEEDS = [
    HEADER + b"\n\n" + CLAIMS,
    HEADER + b"\n\n" + CLAIMS.replace(b'"groups":["g"]', b'"_claim_names":{"groups":"src1"}'),
    b'{"alg":"ES256"}\n\n' + CLAIMS.replace(b'"upn":"ada@contoso.example"', b'"idtyp":"app"'),
]
WORDS = [
    *(b'"', b"\\u0000", b"\\ud800", b"\\u200b", b"null", b"true", b"1e400", b"-1", b"9" * 30, b"["),
    *(
        b"system:masters",
        b"%73ystem:",
        b"System:",
        b'"alg":"none"',
        b'"crit":["exp"],',
        b'"jwk":{},',
    ),
    *(
        b'"iss":"x",',
        b'"exp":1.5,',
        b'"aud":["c","d"],',
        b'"groups":"g",',
        b'"oid":[],',
        b"\n\n",
        b",",
    ),
]


def check(data: bytes) -> None:
    header, _, claims = data.partition(b"\n\n")
    text = f"{_base64url(header)}.{_base64url(claims)}"
    signature = JWSRegistry.algorithms["ES256"].sign(text.encode(), KEY)
    unsigned = _verify(f"{text}.")
    assert not isinstance(unsigned, Verified), "nobody signed it"
    found = _verify(f"{text}.{_base64url(signature)}")
    if not isinstance(found, Verified):
        return
    assert (found.claims["iss"], "c" in found.claims["aud"]) == (ISS, True)
    assert found.expires_at >= NOW - tokens.CLOCK_TOLERANCE
    caller = caller_of(found)
    if not isinstance(caller, Rejected):
        for name in (caller.username, caller.uid, *caller.groups):
            name.encode()
            assert not is_reserved(name)
            assert not name.strip().lower().startswith(("system:", "towrope:"))


def _verify(text: str) -> Verified | Rejected | None:
    token = tokens.parse(text)
    if token is None or not ISSUERS.trusts(token.iss):
        return None
    return tokens.verify(token, ISSUERS.find(token.iss, token.audience), now=NOW)


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
