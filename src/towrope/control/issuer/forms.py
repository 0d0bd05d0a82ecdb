"""Forms that programs post to the issuer: bounded, each parameter once."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from towrope.control.issuer.oauth_error import invalid_request, missing
from towrope.control.json_body import read

FORM_LIMIT = 64 * 1024
FIELD_LIMIT = 64

Form = Mapping[str, str]


async def read_form(request: Request) -> Form:
    """Raises `OAuthError`, and what `json_body.read` raises."""
    body = await read(request, limit=FORM_LIMIT)
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=FIELD_LIMIT, errors="strict"
        )
    except ValueError:
        raise invalid_request("The body is not a form.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise invalid_request("A parameter is given more than once.")
    return form


def required(form: Form, name: str) -> str:
    """Raises `OAuthError`."""
    value = form.get(name, "")
    if not value:
        raise missing(name)
    return value
