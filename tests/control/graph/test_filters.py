import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.control.arm_error import ArmError
from towrope.control.graph import filters
from towrope.control.store.directory import Match

COLUMNS = {
    "displayname": "display_name",
    "appid": "app_id",
    "serviceprincipalnames/any": "app_id",
    "accountenabled": "account_enabled",
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("displayName eq 'x'", [Match(column="display_name", value="x")]),
        ("  DISPLAYNAME  EQ  ''  ", [Match(column="display_name", value="")]),
        (
            "displayName eq 'O''Brien and ''co'''",
            [Match(column="display_name", value="O'Brien and 'co'")],
        ),
        ("startswith(displayName,'x')", [Match(column="display_name", value="x", is_prefix=True)]),
        (
            "startsWith( displayName , 'x' )",
            [Match(column="display_name", value="x", is_prefix=True)],
        ),
        ("servicePrincipalNames/any(c:c eq 'x')", [Match(column="app_id", value="x")]),
        ("accountEnabled eq false", [Match(column="account_enabled", value=False)]),
        (
            "accountEnabled eq true and appId eq 'a' AND displayName eq ' and '",
            [
                Match(column="account_enabled", value=True),
                Match(column="app_id", value="a"),
                Match(column="display_name", value=" and "),
            ],
        ),
    ],
)
def test_what_is_understood(text: str, matches: list[Match]) -> None:
    assert filters.parse(text, COLUMNS) == tuple(matches)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "displayName",
        "displayName eq x",
        "displayName eq 'x",
        "displayName eq 'O'Brien'",
        "displayName eq 'x' or appId eq 'y'",
        "displayName eq 'x'and appId eq 'y'",
        "displayName eq 'x' and",
        "displayName ne 'x'",
        "not displayName eq 'x'",
        "(displayName eq 'x')",
        "displayName eq true",
        "accountEnabled eq 'true'",
        "accountEnabled eq trueish",
        "startswith(accountEnabled,'t')",
        "startswith(password,'x')",
        "password_hash eq 'x'",
        "servicePrincipalNames eq 'x'",
        "servicePrincipalNames/any(c:d eq 'x')",
        "servicePrincipalNames/all(c:c eq 'x')",
        "displayName eq 'a\x00b'",
        " and ".join(["displayName eq 'x'"] * 9),
        "displayName eq '" + "x" * 3000 + "'",
    ],
)
def test_what_is_refused_whole(text: str) -> None:
    with pytest.raises(ArmError) as refused:
        filters.parse(text, COLUMNS)
    assert (refused.value.answer, refused.value.code) == (400, "Request_BadRequest")


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=50))
def test_a_quoted_text_comes_back(text: str) -> None:
    quoted = text.replace("'", "''")
    wanted = (Match(column="display_name", value=text),)
    assert filters.parse(f"displayName eq '{quoted}'", COLUMNS) == wanted
