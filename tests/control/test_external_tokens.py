"""Tokens of trusted issuers at the server's own API."""

import base64
import hmac
import json
import warnings
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.control.conftest import NOW, TENANT, URL, Plane, error_of
from tests.control.trusting import ISSUERS, trust_entra, trust_oidc
from tests.fixtures.entra import ADA, ROBOT, EntraServer
from tests.fixtures.oidc_stub import AUDIENCE, OidcStub
from towrope.control import external_tokens
from towrope.control.arm_error import ArmError
from towrope.control.external_tokens import issuer_of
from towrope.control.issuer.tokens import TOKEN_LIMIT
from towrope.control.principal import Principal
from towrope.control.store import groups, users
from towrope.control.store.groups import ADMINISTRATORS, Group, MemberKind
from towrope.control.store.users import User

DEVS = "0f3cfa0b-8a4f-4d6c-8a80-6a3e0b6c5d01"


async def principal(plane: Plane, text: str) -> Principal:
    return await external_tokens.principal(plane.control.services, text)


async def refused(plane: Plane, text: str, why: str = "not valid") -> None:
    """At the API, with a sentence that holds no part of the token."""
    with pytest.raises(ArmError, match=why) as found:
        await principal(plane, text)
    assert found.value.answer == 401
    assert len(text) < 40 or text[:40] not in found.value.message
    answer = await plane.anonymous.get(
        "/tenants",
        params={"api-version": "1"},
        headers={b"authorization": f"Bearer {text}".encode()},
    )
    assert error_of(answer) == (401, "AuthenticationFailed")


def raw(header: Any, claims: Any, signature: bytes = b"x") -> str:
    parts = [header, claims]
    encoded = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in parts]
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*encoded, signature)
    )


@pytest.fixture
async def dex(plane: Plane, oidc_stub: OidcStub) -> OidcStub:
    await trust_oidc(plane, oidc_stub)
    return oidc_stub


WRONG_CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://other.example"}, "'https://other.example' is not trusted"),
    ({"aud": None}, "made for something else"),
    ({"aud": "towrope2"}, "made for something else"),
    ({"aud": AUDIENCE.upper()}, "made for something else"),
    ({"aud": [["towrope"]]}, "made for something else"),
    ({"aud": {"towrope": 1}}, "made for something else"),
    ({"aud": 1}, "made for something else"),
    ({"exp": None}, "has expired"),
    ({"exp": int(NOW) - 60}, "has expired"),
    ({"exp": str(int(NOW) + 60)}, "not whole seconds"),
    ({"exp": NOW + 0.5}, "not whole seconds"),
    ({"exp": True}, "not whole seconds"),
    ({"exp": 10**30}, "not whole seconds"),
    ({"exp": -1}, "not whole seconds"),
    ({"nbf": int(NOW) + 61}, "not valid yet"),
    ({"iat": int(NOW) + 61}, "not valid yet"),
    ({"nbf": "now"}, "not whole seconds"),
    ({"cnf": {"kid": "x"}}, "bound to a key"),
    ({"sub": None}, r"whose it is \('sub'\)"),
    ({"sub": ""}, r"whose it is \('sub'\)"),
    ({"sub": ["ada"]}, r"whose it is \('sub'\)"),
    ({"sub": " ada"}, "not seen"),
    ({"sub": "a\u200bda"}, "not seen"),
    ({"sub": "a" * 1025}, "too long"),
    ({"sub": "system:admin"}, "no issuer may give"),
    ({"groups": ["towrope:oid:7f3c1d0e-5a52-4d0a-9d0f-2b6f9a1c7e11"]}, "no issuer may give"),
    ({"sub": "%73ystem:admin"}, "no issuer may give"),
    ({"groups": ["devs", "System:masters"]}, "no issuer may give"),
    ({"groups": [""]}, "empty"),
    ({"groups": ["devs", 1]}, "are not names"),
    ({"groups": {"devs": True}}, "are not names"),
    ({"groups": ["devs"] * 2049}, "more than 2048 groups"),
]
WRONG_HEADERS: list[tuple[dict[str, Any], str]] = [
    ({"crit": ["exp"]}, "never heeded"),
    ({"jku": "https://evil.example/keys"}, "never heeded"),
    ({"x5u": "https://evil.example/cert"}, "never heeded"),
    ({"x5c": ["MIIC"]}, "never heeded"),
    ({"jwk": {"kty": "EC"}}, "never heeded"),
    ({"b64": False}, "never heeded"),
    ({"typ": 1}, "never heeded"),
    ({"typ": "pop"}, "of another type"),
    ({"typ": "logout+jwt"}, "of another type"),
    ({"kid": "another"}, "not one of its issuer's"),
    ({"kid": ""}, "not one of its issuer's"),
    ({"kid": ["x"]}, "never heeded"),
    ({"alg": "none"}, "signs by RS256, ES256"),
    ({"alg": "HS256"}, "signs by RS256, ES256"),
    ({"alg": "es256"}, "signs by RS256, ES256"),
    ({"alg": "ES384"}, "signs by RS256, ES256"),
    ({"alg": "RS256"}, "not one of its issuer's"),
    ({"alg": None}, "signs by RS256, ES256|never heeded"),
]


async def test_a_token_with_any_claim_wrong_is_refused(plane: Plane, dex: OidcStub) -> None:
    for change, why in WRONG_CLAIMS:
        await refused(plane, dex.token(**change), why)


async def test_a_header_with_anything_else_is_refused(plane: Plane, dex: OidcStub) -> None:
    _, payload, signature = dex.token().split(".")
    for header, why in WRONG_HEADERS:
        known = {"alg": "ES256", "kid": dex.key.thumbprint()} | header
        first = raw(known, {}).split(".")[0]
        await refused(plane, f"{first}.{payload}.{signature}", why)


async def test_keys_that_a_token_brings_are_not_looked_at(plane: Plane, dex: OidcStub) -> None:
    thief = ECKey.generate_key("P-256")
    claims = dex.claims()
    for kid in (dex.key.thumbprint(), thief.thumbprint()):
        for extra in ({}, {"jwk": thief.as_dict(private=False)}):
            header = {"alg": "ES256", "kid": kid, **extra}
            await refused(plane, jwt.encode(header, claims, thief, algorithms=["ES256"]))
    # The public key as a shared secret.
    for secret in (dex.key.as_pem(private=False), dex.key.as_der(private=False)):
        header = {"alg": "HS256", "kid": dex.key.thumbprint()}
        head, payload, _ = raw(header, claims).split(".")
        mac = hmac.digest(secret, f"{head}.{payload}".encode(), "sha256")
        forged = raw(header, claims, mac)
        await refused(plane, forged, "signs by")


async def test_what_is_no_token(plane: Plane, dex: OidcStub) -> None:
    good = dex.token()
    header, payload, signature = good.split(".")
    for text in (
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-2]}",
        f"{header}.{payload}.{signature}.x",
        f"{header}.{payload}x.{signature}",
        f".{payload}.{signature}",
        f"x.{payload}.{signature}",
        raw([], dex.claims()),
        raw(b"\xff", dex.claims()),
        raw(b"[" * 100_000, dex.claims()),
        raw(b'{"alg":"ES256","alg":"none"}', dex.claims()),
        raw({"alg": "ES256"}, b'{"iss":"' + dex.url.encode() + b'","exp":NaN}'),
        good + "x" * TOKEN_LIMIT,
        "x",
        "..",
        "é.é.é",
    ):
        await refused(plane, text)
    assert await principal(plane, good)


def test_the_issuer_of_what_has_none() -> None:
    claims: Any
    for claims in ({}, {"iss": 1}, {"iss": None}, [], b'{"iss":"a","iss":"b"}', b"[" * 100_000):
        assert issuer_of(raw({}, claims)) == ""
    assert issuer_of(raw({}, {"iss": "x"})) == "x"
    assert issuer_of(raw({}, {"iss": "x", "pad": "x" * TOKEN_LIMIT})) == ""


async def test_a_member_that_is_there_twice(plane: Plane, dex: OidcStub) -> None:
    claims = json.dumps(dex.claims())[:-1] + ', "aud": "towrope"}'
    header = {"alg": "ES256", "kid": dex.key.thumbprint()}
    signed = jwt.encode(header, json.loads(claims), dex.key, algorithms=["ES256"])
    assert await principal(plane, signed)
    twice = jws.serialize_compact(header, claims, dex.key, algorithms=["ES256"])
    await refused(plane, twice)


async def test_whom_a_good_token_is_about(plane: Plane, dex: OidcStub) -> None:
    found = await principal(plane, dex.token())
    assert found == Principal(
        object_id=found.object_id,
        kind=MemberKind.USER,
        name="dex:ada",
        groups=frozenset({"dex:devs", "dex:ops"}),
        issuer="dex",
    )
    # The same for ever, and another one for another subject.
    again = await principal(plane, dex.token(groups="devs", idtyp="app", oid=ADA))
    assert again.object_id == found.object_id != ADA
    assert again.kind is MemberKind.USER
    assert again.groups == {"dex:devs"}
    other = await principal(plane, dex.token(sub="bob", groups=None))
    assert other.object_id != found.object_id
    assert other.groups == frozenset()


async def test_an_audience_may_be_one_of_several(plane: Plane, dex: OidcStub) -> None:
    for aud in (AUDIENCE, ["x", AUDIENCE], [1, AUDIENCE]):
        assert await principal(plane, dex.token(aud=aud))


async def test_clocks_may_differ_by_a_minute(plane: Plane, dex: OidcStub) -> None:
    now = int(NOW)
    for change in ({"exp": now - 59}, {"nbf": now + 60}, {"iat": now + 60}, {"iat": None}):
        assert await principal(plane, dex.token(**change))


async def test_types_of_tokens(plane: Plane, dex: OidcStub) -> None:
    for kind in ("at+jwt", "JWT", "application/at+JWT"):
        assert await principal(plane, dex.token(header={"typ": kind}))


async def test_it_may_read_but_is_no_administrator(plane: Plane, dex: OidcStub) -> None:
    headers = {"authorization": f"Bearer {dex.token()}"}
    query = {"api-version": "1"}
    answer = await plane.anonymous.get("/tenants", params=query, headers=headers)
    assert answer.status_code == 200
    answer = await plane.anonymous.delete(f"{ISSUERS}/dex", params=query, headers=headers)
    assert error_of(answer) == (403, "AuthorizationFailed")


async def test_groups_of_this_server_come_from_this_server_alone(
    plane: Plane, oidc_stub: OidcStub
) -> None:
    await trust_oidc(plane, oidc_stub, groupsPrefix="", usernamePrefix="")
    made = Group(object_id=DEVS, display_name="Devs", mail_nickname="devs", created=0)
    async with plane.control.services.database.writing() as connection:
        await groups.add(connection, made)
    said = ["devs", DEVS, DEVS.upper(), ADMINISTRATORS, ADMINISTRATORS.upper()]
    found = await principal(plane, oidc_stub.token(groups=said))
    assert found.groups == {"devs"}
    assert not found.is_administrator
    async with plane.control.services.database.writing() as connection:
        await groups.remove(connection, ADMINISTRATORS)
    found = await principal(plane, oidc_stub.token(groups=[ADMINISTRATORS]))
    assert not found.is_administrator


async def test_an_account_of_this_server_comes_from_this_server_alone(
    plane: Plane, entra: EntraServer
) -> None:
    tokens = await trust_entra(plane, entra)
    made = User(
        object_id=ADA, user_principal_name="ada@here.example", display_name="Ada", created=0
    )
    assert await principal(plane, tokens.v1())
    async with plane.control.services.database.writing() as connection:
        await users.add(connection, made)
    await refused(plane, tokens.v1(), "an account of this server")


async def test_an_email_must_be_a_verified_one(plane: Plane, oidc_stub: OidcStub) -> None:
    await trust_oidc(plane, oidc_stub, usernameClaims=["email", "sub"])
    mail = "ada@example.org"
    for verified in (False, "true", 1):
        text = oidc_stub.token(email=mail, email_verified=verified)
        await refused(plane, text, "has not verified")
    assert (await principal(plane, oidc_stub.token(email=mail))).name == f"dex:{mail}"
    good = oidc_stub.token(email=mail, email_verified=True)
    assert (await principal(plane, good)).name == f"dex:{mail}"
    assert (await principal(plane, oidc_stub.token())).name == "dex:ada"
    await refused(plane, oidc_stub.token(email=[mail]), "names nobody by email or sub")


async def test_a_prefix_and_a_name_that_are_reserved_together(
    plane: Plane, oidc_stub: OidcStub
) -> None:
    await trust_oidc(plane, oidc_stub, usernamePrefix="", groupsPrefix="x")
    assert await principal(plane, oidc_stub.token(sub="ystem:x", groups=["system"]))
    await refused(plane, oidc_stub.token(sub="system:x"), "no issuer may give")
    await refused(plane, oidc_stub.token(groups=["system:x"]), "no issuer may give")
    await trust_oidc(plane, oidc_stub, usernamePrefix="%7")
    await refused(plane, oidc_stub.token(sub="3ystem:x"), "no issuer may give")


# Entra.


WRONG_CLAIMS_OF_ENTRA: list[tuple[dict[str, Any], str]] = [
    ({"tid": TENANT}, "of another tenant"),
    ({"tid": None}, "of another tenant"),
    ({"iss": f"https://sts.windows.net/{TENANT}/"}, "is not trusted"),
    ({"aud": URL}, "made for something else"),
    ({"oid": None}, r"\('oid'\)"),
    ({"oid": "ada"}, r"\('oid'\)"),
    ({"oid": ADA.upper()}, r"\('oid'\)"),
    ({"oid": [ADA]}, r"\('oid'\)"),
    ({"upn": "system:admin"}, "no issuer may give"),
]


async def test_a_token_of_entra_with_a_claim_wrong(plane: Plane, entra: EntraServer) -> None:
    tokens = await trust_entra(plane, entra)
    for change, why in WRONG_CLAIMS_OF_ENTRA:
        await refused(plane, tokens.v1(**change), why)


async def test_tokens_of_entra_in_both_versions(plane: Plane, entra: EntraServer) -> None:
    tokens = await trust_entra(plane, entra)
    expected = Principal(
        object_id=ADA,
        kind=MemberKind.USER,
        name="ada@contoso.example",
        groups=frozenset({DEVS}),
        group_ids=frozenset({DEVS}),
        issuer="contoso",
    )
    login = "https://login.microsoftonline.com"
    for text in (
        tokens.v1(),
        tokens.v2(),
        tokens.v2(iss=f"{login}/{tokens.tenant}/v2.0"),
        tokens.v1(upn="ada@contoso.example", aud=[tokens.audience]),
    ):
        assert await principal(plane, text) == expected


async def test_guests_and_applications_are_known_by_their_object_id(
    plane: Plane, entra: EntraServer
) -> None:
    tokens = await trust_entra(plane, entra)
    guest = await principal(plane, tokens.guest())
    assert (guest.name, guest.kind) == (ADA, MemberKind.USER)
    robot = await principal(plane, tokens.application())
    assert (robot.name, robot.object_id) == (ROBOT, ROBOT)
    assert robot.kind is MemberKind.SERVICE_PRINCIPAL
    # An application cannot take a person's name.
    assert (await principal(plane, tokens.application(upn="ada@contoso.example"))).name == ROBOT
    for text in (tokens.overage(), tokens.has_groups()):
        assert (await principal(plane, text)).groups == frozenset()


async def test_every_algorithm_that_is_allowed_works(plane: Plane, oidc_stub: OidcStub) -> None:
    signers: dict[str, Any] = {
        "PS256": RSAKey.import_key((plane.settings.signing_keys / "first.pem").read_bytes()),
        "ES384": ECKey.generate_key("P-384"),
        "EdDSA": OKPKey.generate_key("Ed25519"),
    }
    signers["Ed25519"] = signers["EdDSA"]
    oidc_stub.keys = [oidc_stub.public(key) for key in signers.values()]
    await trust_oidc(plane, oidc_stub, algorithms=[*signers])
    for algorithm, key in signers.items():
        header = {"alg": algorithm, "kid": key.thumbprint()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            text = jwt.encode(header, oidc_stub.claims(), key, algorithms=[algorithm])
        assert await principal(plane, text)


# Keys.


async def test_a_token_need_not_name_its_key_where_only_one_fits(
    plane: Plane, oidc_stub: OidcStub
) -> None:
    await trust_oidc(plane, oidc_stub)
    without = jwt.encode({"alg": "ES256"}, oidc_stub.claims(), oidc_stub.key, algorithms=["ES256"])
    assert await principal(plane, without)
    oidc_stub.keys.append(oidc_stub.public(ECKey.generate_key("P-256")))
    await trust_oidc(plane, oidc_stub)
    await refused(plane, without, "not one of its issuer's")


async def test_an_unknown_key_is_looked_for_at_the_issuer(plane: Plane, dex: OidcStub) -> None:
    before, asked = dex.token(), len(dex.asked)
    dex.key = ECKey.generate_key("P-256")
    dex.keys = [dex.public(dex.key)]
    assert await principal(plane, dex.token())
    assert len(dex.asked) == asked + 2
    await refused(plane, before, "not one of its issuer's")
    assert len(dex.asked) == asked + 2


async def test_an_issuer_that_is_removed_meanwhile(
    plane: Plane, dex: OidcStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def remove(_: str) -> None:
        await plane.api.delete(f"{ISSUERS}/dex")

    monkeypatch.setattr(plane.control.services.issuer_keys, "look_again", remove)
    with pytest.raises(ArmError, match="is not trusted here"):
        await principal(plane, dex.token(header={"kid": "another"}))


# Whose token is good for what.


async def test_an_issuer_that_is_not_trusted_any_more(plane: Plane, dex: OidcStub) -> None:
    assert await principal(plane, dex.token())
    await plane.api.delete(f"{ISSUERS}/dex")
    await refused(plane, dex.token(), "is not trusted here")


async def test_a_trusted_issuer_cannot_speak_for_this_server(plane: Plane, dex: OidcStub) -> None:
    forged = dex.token(
        iss=plane.control.services.tokens.issuer,
        aud=URL,
        tid=TENANT,
        oid=plane.administrator.app_id,
        appid=plane.administrator.app_id,
        idtyp="app",
    )
    await refused(plane, forged)


async def test_only_entras_groups_are_those_of_role_assignments(
    plane: Plane, entra: EntraServer, oidc_stub: OidcStub
) -> None:
    """Another provider can call a group whatever it wants: the id of somebody else's too."""
    tokens = await trust_entra(plane, entra, groupsPrefix="contoso:")
    await trust_oidc(plane, oidc_stub, groupsPrefix="", usernamePrefix="")
    found = await principal(plane, tokens.v1())
    assert found.groups == {f"contoso:{DEVS}"}
    assert found.group_ids == {DEVS}
    found = await principal(plane, oidc_stub.token(groups=[DEVS]))
    assert found.groups == {DEVS}
    assert found.group_ids == frozenset()
