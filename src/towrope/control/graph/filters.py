"""`$filter` (OData 4.01): the forms that clients of the directory send, joined by `and`.

    displayName eq 'x'      startswith(displayName,'x')      accountEnabled eq true
    servicePrincipalNames/any(c:c eq 'x')

A quotation mark in a text is written twice. Anything else is refused, so that no condition is ever
left out.
"""

import re
from collections.abc import Mapping

from towrope.control.arm_error import ArmError
from towrope.control.graph.errors import bad_request
from towrope.control.store.directory import Match
from towrope.wire.errors import foreign

LENGTH_LIMIT = 2048
TERMS_LIMIT = 8

Columns = Mapping[str, str]
"""What may be filtered by: a property in lower case, `/any` at its end for a list, and the column
that holds it."""

FLAGS = frozenset({"account_enabled"})

_TEXT = r"'(?:[^']|'')*'"
_TERM = re.compile(
    rf"""
      startswith\( \s* (?P<beginning>\w+) \s* , \s* (?P<prefix>{_TEXT}) \s* \)
    | (?P<list>\w+)/any\( \s*
        (?P<each>\w+) \s* : \s* (?P=each) \s+ eq \s+ (?P<member>{_TEXT}) \s* \)
    | (?P<property>\w+) \s+ eq \s+ (?P<value>{_TEXT}|true|false) (?!\w)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE | re.ASCII)


def parse(text: str, columns: Columns) -> tuple[Match, ...]:
    """What an object must have. Raises `ArmError` (400)."""
    if len(text) > LENGTH_LIMIT:
        raise bad_request(f"The $filter is longer than {LENGTH_LIMIT} characters.")
    matches: list[Match] = []
    rest = text.strip()
    while len(matches) < TERMS_LIMIT:
        term = _TERM.match(rest)
        if term is None:
            raise _unsupported(rest)
        matches.append(_match(term, columns))
        rest = rest[term.end() :]
        if not rest:
            return tuple(matches)
        joined = _AND.match(rest)
        if joined is None:
            raise _unsupported(rest)
        rest = rest[joined.end() :]
    raise bad_request(f"The $filter has more than {TERMS_LIMIT} conditions.")


def _match(term: re.Match[str], columns: Columns) -> Match:
    if term["beginning"]:
        column = _column(term["beginning"], columns)
        if column in FLAGS:
            raise _unsupported(term[0])
        return Match(column=column, value=_unquoted(term["prefix"]), is_prefix=True)
    if term["list"]:
        return Match(
            column=_column(f"{term['list']}/any", columns), value=_unquoted(term["member"])
        )
    column = _column(term["property"], columns)
    is_flag = not term["value"].startswith("'")
    if is_flag != (column in FLAGS):
        raise _unsupported(term[0])
    if is_flag:
        return Match(column=column, value=term["value"].lower() == "true")
    return Match(column=column, value=_unquoted(term["value"]))


def _column(name: str, columns: Columns) -> str:
    column = columns.get(name.lower())
    if column is None:
        raise bad_request(f"The $filter cannot ask for '{foreign(name)}' of this resource.")
    return column


def _unquoted(text: str) -> str:
    value = text[1:-1].replace("''", "'")
    if not value.isprintable():
        raise bad_request("The $filter has characters that no value can have.")
    return value


def _unsupported(rest: str) -> ArmError:
    return bad_request(
        f"Invalid filter clause: unsupported at '{foreign(rest)}'. Supported are"
        " \"NAME eq 'TEXT'\", \"startswith(NAME,'TEXT')\" and \"LIST/any(x:x eq 'TEXT')\", joined"
        " by 'and'; an apostrophe in a text is written twice."
    )
