"""The names that a token gives its bearer: never Kubernetes's own, however they are written."""

import unicodedata
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent import signing
from tests.agent.signing import GROUP, NOW, OID, claims
from tests.fixtures.entra import ADA, ROBOT, EntraServer
from towrope.agent import tokens
from towrope.agent.caller import Caller
from towrope.agent.issuers import Issuers
from towrope.agent.tokens import Rejected, Verified
from towrope.agent.usernames import GROUPS_LIMIT, NAME_LIMIT, caller_of
from towrope.wire.agent_api import IssuerKind, Trust
from towrope.wire.names import external_object_id, object_id_group
from towrope.wire.reserved_names import is_reserved


def read(given_claims: dict[str, Any], **issuer: Any) -> Caller | Rejected:
    return caller_of(
        Verified(
            issuer=signing.issuer(**issuer), claims=given_claims, issued_at=NOW, expires_at=NOW + 9
        )
    )


def caller(given_claims: dict[str, Any], **issuer: Any) -> Caller:
    found = read(given_claims, **issuer)
    assert isinstance(found, Caller)
    return found


def reason(given_claims: dict[str, Any], **issuer: Any) -> str:
    found = read(given_claims, **issuer)
    assert isinstance(found, Rejected)
    return found.reason


def test_a_user() -> None:
    assert caller(claims()) == Caller(
        username="ada@contoso.example",
        groups=(GROUP,),
        uid=OID,
        extra={"oid": (OID,)},
        issuer="towrope",
        object_ids=(OID,),
    )
    assert caller(claims()).all_groups == (GROUP, object_id_group(OID))


def test_an_application_is_its_object_id() -> None:
    found = caller(claims(idtyp="app", upn="root@contoso.example"))
    assert (found.username, found.uid) == (OID, OID)
    assert "names no user" in reason(claims(idtyp="app", oid=None))


def test_elsewhere_the_kind_of_a_principal_means_nothing() -> None:
    found = caller(claims(idtyp="app"), kind=IssuerKind.OIDC, username_claims=("upn",))
    assert found.username == "ada@contoso.example"


def test_the_first_claim_that_is_there_names_the_user() -> None:
    for value in (None, ""):
        assert caller(claims(upn=value)).username == OID
    assert "none of upn, oid" in reason(claims(upn=["ada"]))
    assert "none of upn, oid" in reason(claims(upn=7))
    assert "none of upn, oid" in reason(claims(upn=None, oid=None))


def test_another_provider_with_prefixes() -> None:
    oidc: dict[str, Any] = {
        "kind": IssuerKind.OIDC,
        "username_claims": ("preferred_username", "sub"),
        "groups_claim": "roles",
        "username_prefix": "corp:",
        "groups_prefix": "corp:",
    }
    known = {"iss": signing.ISS, "sub": "42"}
    found = caller({**known, "roles": ["dev", "dev", "ops"]}, **oidc)
    made = external_object_id(signing.ISS, "42")
    assert found == Caller(
        username="corp:42",
        groups=("corp:dev", "corp:ops"),
        uid=made,
        extra={"oid": (made,)},
        issuer="towrope",
        object_ids=(made,),
        is_external=True,
    )
    assert caller({**known, "roles": "dev"}, **oidc).groups == ("corp:dev",)
    assert caller(known, **oidc).groups == ()


def test_another_providers_oid_means_nothing() -> None:
    """Whoever may choose it would choose the object id of somebody else."""
    oidc: dict[str, Any] = {"kind": IssuerKind.OIDC}
    found = caller(claims(sub="mallory", oid=OID), **oidc)
    made = external_object_id(signing.ISS, "mallory")
    assert (found.uid, found.object_ids, found.extra) == (made, (made,), {"oid": (made,)})
    assert object_id_group(OID) not in found.all_groups
    assert caller(claims(sub=OID), **oidc).object_ids == (external_object_id(signing.ISS, OID),)
    for value in (None, "", 7):
        assert "whose it is" in reason(claims(sub=value, oid=OID), **oidc)


def test_what_is_no_object_id_makes_no_group() -> None:
    for given_claims in (claims(oid="ada"), claims(oid=None, sub=OID), claims(oid=f"{OID}\u0660")):
        assert caller(given_claims).all_groups == (GROUP,)
    assert caller(claims(oid=OID.upper())).all_groups == (GROUP, object_id_group(OID))


@pytest.mark.parametrize(("verified", "good"), [(True, True), (False, False), ("true", False)])
def test_an_address_counts_when_the_issuer_verified_it(verified: Any, good: bool) -> None:
    email = claims(email="ada@contoso.example", email_verified=verified)
    found = read(email, username_claims=("email",))
    assert isinstance(found, Caller) is good
    assert isinstance(read(claims(email="a@b"), username_claims=("email",)), Caller)
    assert isinstance(read(email, username_claims=("upn",)), Caller)


@pytest.mark.parametrize("value", [7, {"a": 1}, [7], [[GROUP]], [None], True])
def test_groups_are_texts(value: Any) -> None:
    assert "'groups' is not a list of texts" in reason(claims(groups=value))


def test_only_so_many_groups() -> None:
    groups = [f"g{n}" for n in range(GROUPS_LIMIT)]
    assert len(caller(claims(groups=groups)).groups) == GROUPS_LIMIT
    assert "more than" in reason(claims(groups=[*groups, "one more"]))


def test_it_must_say_whose_it_is() -> None:
    for value in (7, "", ["a"], None):
        assert "whose it is" in reason(claims(oid=None, sub=value))
    assert "whose it is" in reason(claims(oid=7))


RESERVED = [
    "system:masters",
    "System:Masters",
    "SYSTEM:MASTERS",
    "system:",
    "system:serviceaccount:kube-system:default",
    "  system:masters",
    "sys tem:masters",
    "\u200bsystem:masters",
    "sys\u00adtem:masters",
    "s\ufe0fystem:masters",
    "s\u034fystem:masters",
    "s\u3164ystem:masters",
    "system\u00a0:masters",
    "system：masters",  # noqa: RUF001 - a wide colon
    "ｓｙｓｔｅｍ:masters",  # noqa: RUF001 - wide letters
    "ſystem:masters",  # noqa: RUF001 - a long s
    "𝐬𝐲𝐬𝐭𝐞𝐦:masters",  # noqa: RUF001 - mathematical letters
    "ⓢⓨⓢⓣⓔⓜ:masters",
    "system%3amasters",
    "%73ystem:masters",
    "%2573ystem:masters",
    "％73ystem:masters",  # noqa: RUF001 - a wide percent sign
    "system%ff:masters",
    "%E2%80%8Bsystem:masters",
    "%00system:masters",
    object_id_group(OID),
    "TowRope:oid:x",
    " towrope:",
    "tow\u200brope:oid:x",
    "%2574owrope%3Aoid:x",
    "\uff54owrope\uff1aoid:x",
]


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("place", ["upn", "groups", "oid", "sub"])
def test_a_name_of_kubernetes_is_refused_anywhere(place: str, name: str) -> None:
    given_claims = claims(**{place: [GROUP, name] if place == "groups" else name})
    if place == "sub":
        del given_claims["oid"]
    assert "names '" in reason(given_claims)
    assert is_reserved(name)


@pytest.mark.parametrize("prefix", ["system:", "sys", "system", "corp:", "Sys%", "tow"])
def test_no_prefix_makes_or_hides_one(prefix: str) -> None:
    rest = {
        "tow": "rope:oid:x",
        "system:": "masters",
        "sys": "tem:masters",
        "system": ":masters",
        "Sys%": "74em:x",
    }
    name = rest.get(prefix, "system:masters")
    assert "names '" in reason(claims(upn=name), username_prefix=prefix)
    assert "names '" in reason(claims(groups=[name]), groups_prefix=prefix)


@pytest.mark.parametrize(
    "name",
    ["systems@contoso.example", "my-system:x", "ecosystem:a", "system", "jörg@müller.example"],
)
def test_a_name_that_only_looks_alike_is_good(name: str) -> None:
    assert caller(claims(upn=name)).username == name
    assert not is_reserved(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a\nb",
            "a\rb",
            "a\0b",
            "a\x7fb",
            "a\u0085b",
            "a\u2028b",
            "a\u202eb",
            "a\u200bb",
            "a\ud800",
        ),
        *(" a", "a ", "a\u00a0", "\ta", "x" * (NAME_LIMIT + 1), " "),
    ],
)
def test_a_name_has_nothing_that_cannot_be_seen(name: str) -> None:
    assert "cannot be seen" in reason(claims(upn=name))
    assert "cannot be seen" in reason(claims(groups=[name]))


def test_a_name_is_not_decoded_without_end() -> None:
    name = "a"
    for _ in range(20):
        name = quote(name, safe="").replace("a", "%61")
    assert is_reserved(name)


NAMES = st.text(max_size=30) | st.sampled_from(RESERVED) | st.sampled_from(["system", ":", "%73"])
VALUES = NAMES | st.lists(NAMES, max_size=3) | st.integers() | st.none()
PLACES = st.sampled_from(["upn", "oid", "sub", "groups", "idtyp", "email", "name"])


@given(st.dictionaries(PLACES, VALUES), st.sampled_from(["", "system", "corp:", "%"]))
def test_no_claims_bring_a_forbidden_name(values: dict[str, Any], prefix: str) -> None:
    found = read(values, username_prefix=prefix, groups_prefix=prefix)
    if isinstance(found, Rejected):
        return
    extra = [value for values in found.extra.values() for value in values]
    for name in (found.username, found.uid, *found.groups, *extra):
        assert name == name.strip() != ""
        assert name.isprintable() or all(
            unicodedata.category(c) in ("Zs", "Cn", "Co") for c in name if not c.isprintable()
        )
        plain = unicodedata.normalize("NFKC", unquote(unicodedata.normalize("NFKC", name)))
        assert not plain.casefold().strip().startswith(("system:", "towrope:"))
        name.encode()


def test_entras_tokens(entra: EntraServer) -> None:
    """Guests have no `upn`; applications no name at all."""
    made = entra.tokens
    trusted = signing.trusted(
        name="contoso",
        kind=IssuerKind.ENTRA,
        issuers=(f"https://sts.windows.net/{made.tenant}/", f"{made.login}/{made.tenant}/v2.0"),
        audiences=(made.audience,),
        keys=made.keys,
        tenant=made.tenant,
    )
    names = {
        "ada@contoso.example": (made.v1(), made.v2()),
        ADA: (made.guest(), made.v2(upn=None)),
        ROBOT: (made.application(),),
    }
    for name, texts in names.items():
        for text in texts:
            token = tokens.parse(text)
            assert token is not None
            issuer = Issuers(Trust(issuers=(trusted,))).find(token.iss, ())
            found = tokens.verify(token, issuer, now=made.now())
            assert isinstance(found, Verified)
            read_caller = caller_of(found)
            assert isinstance(read_caller, Caller)
            assert read_caller.username == name
            assert read_caller.extra["oid"] == (ROBOT if name == ROBOT else ADA,)
