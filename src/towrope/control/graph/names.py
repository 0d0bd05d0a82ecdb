"""What names in the directory may be. Each function returns the name, or raises `ArmError` (400).

A user principal name becomes a user name inside clusters, so it is plain ASCII of Entra's alphabet:
no two that look alike, and none with a colon, which all of Kubernetes' own names have.
"""

import re
import uuid

from towrope.control.graph.errors import bad_request, not_found

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PRINCIPAL = re.compile(
    rf"(?P<name>[A-Za-z0-9'_!^~-]+(?:\.[A-Za-z0-9'_!^~-]+)*)@{_LABEL}(?:\.{_LABEL})*"
)
_NICKNAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
PRINCIPAL_LIMIT = 113
NAME_LIMIT = 64
DISPLAY_LIMIT = 256
DESCRIPTION_LIMIT = 1024


def user_principal_name(given: str) -> str:
    found = _PRINCIPAL.fullmatch(given) if len(given) <= PRINCIPAL_LIMIT else None
    if found is None or len(found["name"]) > NAME_LIMIT:
        raise bad_request(
            "Invalid value specified for property 'userPrincipalName': it must be NAME@DOMAIN of"
            f" letters, digits and .'-_!^~, with at most {NAME_LIMIT} characters before the '@' and"
            f" {PRINCIPAL_LIMIT} in all."
        )
    return given


def display_name(given: str) -> str:
    return text("displayName", given, limit=DISPLAY_LIMIT)


def mail_nickname(given: str) -> str:
    if not _NICKNAME.fullmatch(given):
        raise bad_request(
            "Invalid value specified for property 'mailNickname': it has 1 to 64 letters, digits"
            ' and signs, without spaces and @()\\[]";:<>,.'
        )
    return given


def mail(given: str) -> str:
    text("mail", given, limit=DISPLAY_LIMIT)
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", given):
        raise bad_request("Invalid value specified for property 'mail': no address of mail.")
    return given


def text(name: str, given: str, *, limit: int) -> str:
    """One line that can be shown."""
    if not (given.strip() == given and given.isprintable() and 1 <= len(given) <= limit):
        raise bad_request(
            f"Invalid value specified for property '{name}': it must have 1 to {limit} printable"
            " characters, and no spaces at its ends."
        )
    return given


def description(given: str) -> str:
    """May have several lines."""
    shown = given.replace("\n", "").replace("\r", "").replace("\t", "")
    if not shown.isprintable() or not 1 <= len(given) <= DESCRIPTION_LIMIT:
        raise bad_request(
            "Invalid value specified for property 'description': it must have 1 to"
            f" {DESCRIPTION_LIMIT} printable characters."
        )
    return given


def object_id(given: str) -> str:
    """A GUID in lower case; what is none is the name of nothing (404)."""
    found = as_guid(given)
    if found is None:
        raise not_found(given)
    return found


def as_guid(given: str) -> str | None:
    try:
        found = str(uuid.UUID(given))
    except ValueError:
        return None
    # `UUID` takes braces, missing hyphens and a `urn:` too.
    return found if found == given.lower() else None
