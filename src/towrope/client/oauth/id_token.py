"""Who signed in: an identity token, verified (OpenID Connect Core §3.1.3.7).

Only asymmetric signatures by a key that the provider publishes; a key that the token itself brings
or names is never looked at.
"""

import time
from collections.abc import Callable

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey
from joserfc.jwt import JWTClaimsRegistry

from towrope.client.rest import Json
from towrope.wire.errors import Hop, Refused

ALGORITHMS: dict[str, type[RSAKey | ECKey | OKPKey]] = {
    "RS256": RSAKey,
    "RS384": RSAKey,
    "RS512": RSAKey,
    "PS256": RSAKey,
    "PS384": RSAKey,
    "PS512": RSAKey,
    "ES256": ECKey,
    "ES384": ECKey,
    "ES512": ECKey,
    "EdDSA": OKPKey,
}
CLOCK_TOLERANCE = 60
LIMIT = 256 * 1024
NAMES = ("upn", "preferred_username", "email", "sub")
"""Of a user, the first that is there."""


def verify(
    token: str,
    keys: Json,
    *,
    issuer: str,
    client_id: str,
    nonce: str | None,
    clock: Callable[[], float] = time.time,
) -> Json:
    """The claims of a token of `issuer` for `client_id`. Raises `Refused`.

    `nonce` is what this sign-in sent; None where it sent none.
    """
    if not token or len(token) > LIMIT:
        raise _refused("there is none" if not token else "it is too long")
    try:
        key, algorithm = _key_of(token, keys)
        claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        JWTClaimsRegistry(
            now=int(clock()),
            leeway=CLOCK_TOLERANCE,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        ).validate(claims)
    except (ValueError, TypeError, KeyError, RecursionError, JoseError) as error:
        raise _refused(type(error).__name__) from None
    if claims.get("azp", client_id) != client_id:
        raise _refused("it is another client's")
    if nonce is not None and claims.get("nonce") != nonce:
        raise _refused("it is not of this sign-in")
    return claims


def _key_of(token: str, keys: Json) -> tuple[Key, str]:
    header = jws.extract_compact(token.encode()).headers()
    algorithm, wanted = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise _refused("its algorithm is not allowed")
    kind = ALGORITHMS[algorithm]
    fitting = [
        key
        for key in KeySet.import_key_set({"keys": keys["keys"]}).keys
        if isinstance(key, kind) and _serves(key, algorithm)
    ]
    named = [key for key in fitting if wanted is None or key.kid == wanted]
    if len(named) != 1:
        raise _refused("its key is not one of the issuer's")
    return named[0], algorithm


def _serves(key: Key, algorithm: str) -> bool:
    """What a key may be used for, where it says so (RFC 7517 §4.2, §4.4)."""
    use, made_for = key.get("use"), key.get("alg")
    return use in (None, "sig") and made_for in (None, algorithm)


def user_of(claims: Json) -> str:
    """How the user is called."""
    named = (claims.get(name) for name in NAMES)
    return next((name for name in named if isinstance(name, str) and name), "")


def _refused(what: str) -> Refused:
    return Refused(
        f"The identity token is refused: {what}. Run 'towrope login' again; if it stays so, the"
        " issuer is not set up as the server says.",
        hop=Hop.SERVER,
    )
