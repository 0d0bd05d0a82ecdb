from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from towrope.control.arm_error import ArmError
from towrope.control.authorization_filter import LENGTH_LIMIT, asked

GUID = "11111111-1111-4111-8111-111111111111"
SUPPORTED = ("roleName", "principalId", "atScope()", "assignedTo(x)")


def request(text: str | None) -> Request:
    query = urlencode({"$Filter": text}) if text is not None else ""
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {}),
        ("  ", {}),
        ("roleName eq 'Azure Arc Kubernetes Viewer'", {"roleName": "Azure Arc Kubernetes Viewer"}),
        ("ROLENAME EQ 'it''s'", {"roleName": "it's"}),
        ("roleName eq ''", {"roleName": ""}),
        (f"principalId eq {GUID}", {"principalId": GUID}),
        ("atScope()", {"atScope()": ""}),
        (f"assignedTo( '{GUID}' )", {"assignedTo(x)": GUID}),
        (f"atscope() and assignedto({GUID})", {"atScope()": "", "assignedTo(x)": GUID}),
    ],
)
def test_what_is_asked(text: str | None, expected: dict[str, str]) -> None:
    assert asked(request(text), SUPPORTED) == expected


@pytest.mark.parametrize(
    "text",
    [
        "type eq 'CustomRole'",
        "roleName ne 'x'",
        "roleName eq x",
        "roleName eq 'x",
        "atScope",
        "atScope('x')",
        "assignedTo()",
        "atScope() atScope()",
        "atScope() and atScope()",
        "atScope() or roleName eq 'x'",
        "atScope() and ",
        "not atScope()",
        f"roleName eq '{'x' * LENGTH_LIMIT}'",
    ],
)
def test_what_is_not_supported(text: str) -> None:
    with pytest.raises(ArmError) as error:
        asked(request(text), SUPPORTED)
    assert (error.value.answer, error.value.code) == (400, "InvalidFilterInQueryString")
