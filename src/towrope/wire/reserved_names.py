"""Names that no token may bring: Kubernetes keeps `system:` for itself, and we keep `towrope:`.

A name is looked at as every reader down the line might read it: compatibility forms folded, escapes
undone, without case and without what cannot be seen.
"""

import unicodedata
from urllib.parse import unquote

from towrope.wire import names

RESERVED = ("system:", names.RESERVED_PREFIX)
LAYERS = 16
"""Times that a name may be encoded for us to say what it is; one more is refused."""

# Letters to Unicode, and nothing to a reader: the fillers of Hangul.
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")


def is_reserved(name: str) -> bool:
    """Whether anybody could read it as a reserved one, after whatever decoding."""
    return any(layer.startswith(RESERVED) for layer in _layers(name))


def begins_reserved(prefix: str) -> bool:
    """Whether what comes after `prefix` can make the name a reserved one."""
    return any(
        layer.startswith(RESERVED) or any(name.startswith(layer) for name in RESERVED)
        for layer in _layers(prefix)
        if layer
    )


def is_presentable(name: str) -> bool:
    """Whether it is a name at all: not empty, no control characters, no white space around it."""
    return name != "" and name == name.strip() and name.isprintable()


def _layers(text: str) -> list[str]:
    """The readings of it, one decoding after the other; a reserved one last where they are too
    many to say."""
    found = []
    for _ in range(LAYERS):
        seen = _seen(text)
        found.append(seen)
        if seen == text:
            return found
        text = seen
    return [*found, RESERVED[0]]


def _seen(text: str) -> str:
    """One layer less: percent-decoded, without compatibility forms, case, and what is not seen."""
    folded = unicodedata.normalize("NFKD", unquote(text, errors="ignore")).casefold()
    return "".join(c for c in folded if _is_seen(c))


def _is_seen(character: str) -> bool:
    # Controls and formats, separators, and marks on the letter before.
    return unicodedata.category(character)[0] not in "CZM" and character not in _FILLERS
