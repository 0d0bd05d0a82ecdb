"""`$filter` of `Microsoft.Authorization`: equalities and functions, joined by `and`.

    roleName eq 'x'    principalId eq 'x'    atScope()    assignedTo('x')

Texts are compared without case. Anything else is refused, so that no condition is ever left out.
"""

import re
from collections.abc import Collection, Mapping
from http import HTTPStatus

from starlette.requests import Request

from towrope.control.arm_error import ArmError
from towrope.control.routing import parameter
from towrope.wire.errors import foreign

LENGTH_LIMIT = 1024

# A GUID may stand without quotation marks.
_TEXT = r"'(?:[^']|'')*'|[0-9a-f-]{36}"
_TERM = re.compile(
    rf"(?P<function>\w+)\(\s*(?P<argument>{_TEXT})?\s*\)"
    rf"|(?P<property>\w+)\s+eq\s+(?P<value>{_TEXT})",
    re.IGNORECASE | re.ASCII,
)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE | re.ASCII)

Conditions = Mapping[str, str]
"""By the name of what is asked for, the text that it must have; empty where it takes none."""


def asked(request: Request, supported: Collection[str]) -> Conditions:
    """`supported` are written as they are asked: `name`, `name()` or `name(x)`. Raises `ArmError`.

    The names of the conditions are as they are in `supported`.
    """
    text = (parameter(request, "$filter") or "").strip()
    if len(text) > LENGTH_LIMIT:
        raise _invalid(f"it is longer than {LENGTH_LIMIT} characters")
    by_key = {each.lower(): each for each in supported}
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        joined = _AND.match(text, at) if found else None
        term = _TERM.match(text, joined.end() if joined else at)
        name = by_key.get(_key(term)) if term and (joined or not found) else None
        if term is None or name is None or name in found:
            raise _unsupported(text[at:], supported)
        found[name] = _unquoted(term["argument"] or term["value"] or "")
        at = term.end()
    return found


def _key(term: re.Match[str]) -> str:
    if term["property"]:
        return term["property"].lower()
    return f"{term['function'].lower()}({'x' if term['argument'] else ''})"


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def _unsupported(rest: str, supported: Collection[str]) -> ArmError:
    forms = [
        each.replace("(x)", "('ID')") if "(" in each else f"{each} eq 'x'" for each in supported
    ]
    return _invalid(
        f"unsupported at '{foreign(rest)}'; supported are {', '.join(forms)}, each once, joined by"
        " 'and'"
    )


def _invalid(why: str) -> ArmError:
    return ArmError(
        HTTPStatus.BAD_REQUEST, "InvalidFilterInQueryString", f"The $filter is invalid: {why}."
    )
