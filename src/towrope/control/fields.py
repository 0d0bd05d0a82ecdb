"""The fields that every ARM resource has, and their rules."""

import re
from http import HTTPStatus
from typing import Annotated

import msgspec

from towrope.control.arm_error import ArmError, invalid_content

Tags = Annotated[
    dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=512)],
        Annotated[str, msgspec.Meta(max_length=256)],
    ],
    msgspec.Meta(max_length=50),
]
_LOCATION = re.compile(r"[a-z0-9-]{1,64}")


def location(given: str) -> str:
    """A location in ARM's normal form: lower case, no spaces. Raises `ArmError`."""
    normal = given.lower().replace(" ", "")
    if not normal:
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "LocationRequired",
            "The location property is required for this definition.",
        )
    if not _LOCATION.fullmatch(normal):
        raise invalid_content("The location may have letters, digits and hyphens only.")
    return normal
