"""`$filter` of the resource API (OData): the conditions that clients send, joined by `and`.

    resourceType eq 'x'    name eq 'x'    location ne 'x'    resourceGroup eq 'x'
    tagName eq 'x' and tagValue eq 'y'    startswith(tagName, 'x')    substringof('x', name)

Texts are compared without case, but for a tag's value. Anything else is refused, so that no
condition is ever left out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request

from towrope.control.arm_error import ArmError
from towrope.control.routing import parameter
from towrope.wire.errors import foreign

LENGTH_LIMIT = 2048
TERMS_LIMIT = 16

_TEXT = r"'(?:[^']|'')*'"
_TERM = re.compile(
    rf"""
      (?P<property>\w+) \s+ (?P<operator>eq|ne) \s+ (?P<value>{_TEXT})
    | startswith\( \s* (?P<beginning>\w+) \s* , \s* (?P<prefix>{_TEXT}) \s* \)
    | substringof\( \s* (?P<part>{_TEXT}) \s* , \s* (?P<whole>\w+) \s* \)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a resource may be chosen by."""

    name: str
    resource_type: str
    resource_group: str
    location: str
    tags: Mapping[str, str]


Condition = Callable[[Facts], bool]

_PROPERTIES: Mapping[str, Callable[[Facts], str]] = {
    "name": lambda facts: facts.name,
    "resourcetype": lambda facts: facts.resource_type,
    "resourcegroup": lambda facts: facts.resource_group,
    "location": lambda facts: facts.location,
}


def asked(request: Request) -> Condition:
    """Which resources a request's `$filter` chooses; all, without one. Raises `ArmError`."""
    return parse(parameter(request, "$filter") or "")


def parse(text: str) -> Condition:
    """Raises `ArmError` (400)."""
    if len(text) > LENGTH_LIMIT:
        raise _invalid(f"it is longer than {LENGTH_LIMIT} characters")
    terms = _terms(text.strip())
    names = [_unquoted(t["value"]) for t in terms if _is_on(t, "tagname") and t["value"]]
    if len(names) > 1:
        raise _invalid("it names more than one tag")
    conditions = [_condition(term, tag=names[0] if names else None) for term in terms]
    return lambda facts: all(condition(facts) for condition in conditions)


def _terms(text: str) -> list[re.Match[str]]:
    terms: list[re.Match[str]] = []
    at = 0
    while at < len(text):
        joined = _AND.match(text, at) if terms else None
        if terms and joined is None:
            raise _unsupported(text[at:])
        term = _TERM.match(text, joined.end() if joined else at)
        if term is None:
            raise _unsupported(text[at:])
        terms.append(term)
        at = term.end()
    if len(terms) > TERMS_LIMIT:
        raise _invalid(f"it has more than {TERMS_LIMIT} conditions")
    return terms


def _is_on(term: re.Match[str], name: str) -> bool:
    return (term["property"] or term["beginning"] or term["whole"]).lower() == name


def _condition(term: re.Match[str], *, tag: str | None) -> Condition:
    if _is_on(term, "tagname"):
        return _tag_name(term)
    if _is_on(term, "tagvalue"):
        return _tag_value(term, tag)
    of = _PROPERTIES.get((term["property"] or term["beginning"] or term["whole"]).lower())
    if of is None:
        raise _unsupported(term[0])
    if term["part"]:
        part = _unquoted(term["part"]).lower()
        return lambda facts: part in of(facts).lower()
    if term["prefix"]:
        prefix = _unquoted(term["prefix"]).lower()
        return lambda facts: of(facts).lower().startswith(prefix)
    value, is_wanted = _unquoted(term["value"]).lower(), term["operator"].lower() == "eq"
    if _is_on(term, "location"):
        value = value.replace(" ", "")
    return lambda facts: (of(facts).lower() == value) is is_wanted


def _tag_name(term: re.Match[str]) -> Condition:
    if term["prefix"]:
        prefix = _unquoted(term["prefix"]).lower()
        return lambda facts: any(name.lower().startswith(prefix) for name in facts.tags)
    if term["part"] or term["operator"].lower() != "eq":
        raise _unsupported(term[0])
    name = _unquoted(term["value"]).lower()
    return lambda facts: any(each.lower() == name for each in facts.tags)


def _tag_value(term: re.Match[str], tag: str | None) -> Condition:
    if tag is None:
        raise _invalid("it asks for a tag's value and not for its name: add \"tagName eq 'NAME'\"")
    if not term["value"] or term["operator"].lower() != "eq":
        raise _unsupported(term[0])
    wanted = (tag.lower(), _unquoted(term["value"]))
    return lambda facts: wanted in ((name.lower(), value) for name, value in facts.tags.items())


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")


def _unsupported(rest: str) -> ArmError:
    return _invalid(
        f"unsupported at '{foreign(rest)}'; supported are \"NAME eq 'TEXT'\", \"NAME ne 'TEXT'\","
        " \"startswith(NAME, 'TEXT')\" and \"substringof('TEXT', NAME)\", joined by 'and', where"
        " NAME is name, resourceType, resourceGroup, location, tagName or tagValue"
    )


def _invalid(why: str) -> ArmError:
    return ArmError(
        HTTPStatus.BAD_REQUEST, "InvalidFilterInQueryString", f"The $filter is invalid: {why}."
    )
