"""What a user set once for all commands, by `towrope config` or in the environment.

    defaults.group      the resource group of -g
    defaults.location   the location of -l
    core.output         the format of -o

The environment wins, with `TOWROPE_` and the key in upper case: `TOWROPE_DEFAULTS_GROUP`. All else
is in `config.json` of the client's folder, changed under a lock and replaced in one step.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from towrope.client.file_lock import locked
from towrope.client.token_cache import ENVIRONMENT, config_folder
from towrope.ops.files import write_private
from towrope.wire.errors import Hop, Malformed, TowropeError, foreign

GROUP = "defaults.group"
LOCATION = "defaults.location"
OUTPUT = "core.output"
KEYS = (OUTPUT, GROUP, LOCATION)
FILE = "config.json"

Defaults = dict[str, str]


def variable(key: str) -> str:
    """The environment's name for it."""
    return f"TOWROPE_{key.replace('.', '_').upper()}"


def default(key: str) -> str | None:
    return os.environ.get(variable(key)) or load().get(key)


def load() -> Defaults:
    """What is in the file."""
    path = _path()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Defaults)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable("read", error) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise TowropeError(
            f"{path} is damaged. Delete it, and set what you want with 'towrope config set'.",
            hop=Hop.CLIENT,
        ) from None


def change(changed: Callable[[Defaults], Defaults]) -> None:
    """Writes what `changed` makes of it; no other process's change is lost."""
    path = _path()
    try:
        with locked(path):
            made = dict(sorted(changed(load()).items()))
            write_private(path, msgspec.json.format(msgspec.json.encode(made)))
    except OSError as error:
        raise _unusable("write", error) from None


def checked_key(text: str) -> str:
    """One of `KEYS`, whatever its case. Raises `Malformed`."""
    key = text.strip().lower()
    if key not in KEYS:
        raise Malformed(
            f"'{foreign(text)}' is nothing that can be set. There are {', '.join(KEYS)}.",
            hop=Hop.CLIENT,
        )
    return key


def _path() -> Path:
    return Path(config_folder()) / FILE


def _unusable(verb: str, error: OSError) -> TowropeError:
    return TowropeError(
        f"Cannot {verb} {_path()}: {error.strerror}. Make it yours, or name another folder with"
        f" {ENVIRONMENT}.",
        hop=Hop.CLIENT,
    )
