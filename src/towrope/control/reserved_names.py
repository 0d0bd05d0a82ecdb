"""Names that no token may bring: Kubernetes keeps `system:` for itself.

A name is looked at as every reader down the line might read it: compatibility forms folded, escapes
undone, without case and without what cannot be seen.
"""

import unicodedata
from urllib.parse import unquote

RESERVED = "system:"
LAYERS = 16
"""Times that a name may be encoded for us to say what it is; one more is refused."""


def is_reserved(name: str) -> bool:
    """Whether `name`, in any case or encoding, is one that Kubernetes keeps for itself."""
    return _plain(name).startswith(RESERVED)


def begins_reserved(prefix: str) -> bool:
    """Whether what comes after `prefix` can make the name a reserved one."""
    plain = _plain(prefix)
    return plain.startswith(RESERVED) or (plain != "" and RESERVED.startswith(plain))


def is_presentable(name: str) -> bool:
    """Whether it is a name at all: not empty, no control characters, no white space around it."""
    return name != "" and name == name.strip() and name.isprintable()


def _plain(text: str) -> str:
    for _ in range(LAYERS):
        seen = _seen(text)
        if seen == text:
            return text
        text = seen
    return RESERVED


def _seen(text: str) -> str:
    """One layer less."""
    folded = unicodedata.normalize("NFKD", unquote(text, errors="ignore")).casefold()
    # Controls and formats, separators, and marks on the letter before.
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "CZM")
