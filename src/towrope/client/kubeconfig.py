"""Users' kubeconfig files: an entry for a cluster put in, made the current context, and taken out.

What else is in the file stays as it is: order, comments, quotes, line ends. An entry carries a note
of who put it there and which context was the current one before (a kubeconfig extension, which
kubectl keeps), so that any number of proxies, ended in any order or killed, leave the file right.
"""

import contextlib
import io
import os
import re
import stat
import sys
from collections.abc import Iterator, MutableMapping, MutableSequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from towrope.client.credential_plugin import CredentialPlugin
from towrope.client.file_lock import locked
from towrope.ops.files import write_private
from towrope.wire.errors import Hop, Malformed, TowropeError, foreign

EXTENSION = "towrope-proxy"
CLOCK_STEP = 60.0
"""Seconds by which the start of a process may seem to move when the clock is set."""
FILE_LIMIT = 16 * 1024 * 1024
SECTIONS = {"clusters": "cluster", "users": "user", "contexts": "context"}
"""Each list of a kubeconfig, and the member of its items that holds the thing itself."""

Document = MutableMapping[str, Any]
Item = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A cluster, a user and the context that joins them."""

    context: str
    cluster: str
    user: str
    server: str
    tls_server_name: str
    authority: str
    """The cluster's certificate authority, base64 of PEM."""
    token: str | None = field(default=None, repr=False)
    """The user's credential; without one, `plugin` gives it."""
    plugin: CredentialPlugin | None = None
    namespace: str | None = None


def default_path() -> Path:
    """Where kubectl writes: the first file of KUBECONFIG, else `~/.kube/config`."""
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return Path(named[0]) if named else Path.home() / ".kube" / "config"


def entry_of(
    kubeconfig: bytes,
    *,
    port: int,
    token: str | None = None,
    plugin: CredentialPlugin | None = None,
    context: str | None = None,
) -> Entry:
    """The entry for a kubeconfig that the server gave, reached through the proxy at `port`.

    Only what an entry needs is taken over: a server cannot bring in a command to run (`exec`), or
    switch the verification of certificates off. Raises `Malformed`.
    """
    try:
        document = YAML(typ="safe", pure=True).load(kubeconfig)
        cluster, given = (document[name][0] for name in ("clusters", "contexts"))
        entry = Entry(
            context=context or given["name"],
            cluster=context or cluster["name"],
            user=given["context"]["user"],
            server=f"https://127.0.0.1:{port}",
            tls_server_name=cluster["cluster"]["tls-server-name"],
            authority=cluster["cluster"]["certificate-authority-data"],
            token=token,
            plugin=plugin,
            namespace=given["context"].get("namespace"),
        )
    except (YAMLError, LookupError, TypeError, AttributeError, ValueError):
        raise _unusable_answer() from None
    required = (entry.context, entry.cluster, entry.user, entry.tls_server_name, entry.authority)
    if not all(isinstance(value, str) and value for value in required):
        raise _unusable_answer()
    return entry


def _unusable_answer() -> Malformed:
    return Malformed(
        "The server gave a kubeconfig without a cluster's name, certificate authority or"
        " tls-server-name. Its version may not fit this client's, or the agent has not enrolled.",
        hop=Hop.SERVER,
    )


def render(entry: Entry) -> str:
    """A whole kubeconfig with this entry alone."""
    document = _new_document()
    for section, item in _items(entry).items():
        document[section].append(item)
    document["current-context"] = entry.context
    return _dump(document, _Format())


def looser_mode(path: Path) -> str | None:
    """The file's permissions where others than its owner have some, as octal digits."""
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if os.name != "nt" and mode & 0o077:
            return f"{mode:o}"
    return None


class Kubeconfig:
    """A kubeconfig file into which this process puts one entry, and takes it out again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._replaced: dict[str, Item | None] = {}
        """By section, what was there under the entry's names."""
        self._replaced_note: Item | None = None
        """The note of the proxy that had put it there, if one had."""

    def merge(self, entry: Entry) -> None:
        """Puts `entry` in and makes it the current context. Raises `TowropeError`."""
        with self._changing() as document:
            old = _find(document, "contexts", entry.context)
            note = _note(old)
            is_stale = note is not None and not _is_alive(note)
            self._replaced_note = deepcopy(note)
            current = document.get("current-context") or None
            previous = (
                note.get("previous-context") if note and current == entry.context else current
            )
            for section, item in _items(entry).items():
                found = _find(document, section, item["name"])
                self._replaced[section] = None if is_stale else deepcopy(found)
                if section == "contexts":
                    _annotate(item, previous)
                _put(document, section, item)
            document["current-context"] = entry.context

    def remove(self, entry: Entry) -> None:
        """Takes `entry` out, and puts back what was there before it. Raises `TowropeError`."""
        with self._changing() as document:
            note = _note(_find(document, "contexts", entry.context))
            if note is None or note.get("pid") != os.getpid():
                return
            yields = self._replaced_note is not None and _is_alive(self._replaced_note)
            puts_back = yields or self._replaced_note is None
            for section, name in _names(entry).items():
                before = self._replaced.get(section) if puts_back else None
                if before is None:
                    _take_out(document, section, name)
                else:
                    _put(document, section, before)
            if yields:  # to another proxy for this cluster, whose context it is again
                return
            previous = note.get("previous-context")
            if document.get("current-context") == entry.context:
                document["current-context"] = previous or ""
            _bridge(document, gone=entry.context, previous=previous)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Document]:
        """The file's content, written when the block ends well and has changed it."""
        try:
            with locked(self.path):
                raw = self._read()
                form = _Format.of(raw)
                document = _load(raw, form, self.path)
                before = _dump(document, form) if raw else None
                yield document
                after = _dump(document, form)
                if after != before:
                    write_private(self.path, after)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise TowropeError(
                f"Cannot write the kubeconfig {self.path}: {reason}. Make it a file that you can"
                " write, or give another with --file.",
                hop=Hop.CLIENT,
            ) from None

    def _read(self) -> str:
        try:
            if self.path.stat().st_size > FILE_LIMIT:
                raise _broken(self.path, f"it is over {FILE_LIMIT} bytes")
            return self.path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError:
            raise _broken(self.path, "it is not UTF-8 text") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """How a file is laid out, as far as a new one could be laid out otherwise."""

    newline: str = "\n"
    has_start: bool = False
    is_indented: bool = False
    """Whether the dashes of lists stand to the right of the list's key."""

    @classmethod
    def of(cls, text: str) -> "_Format":
        return cls(
            newline="\r\n" if "\r\n" in text else "\n",
            has_start=re.search(r"^---\s*$", text, re.MULTILINE) is not None,
            is_indented=re.search(r"^(clusters|users|contexts):\s*\n +-", text, re.MULTILINE)
            is not None,
        )

    def yaml(self) -> YAML:
        yaml = YAML()
        yaml.preserve_quotes = True
        yaml.width = sys.maxsize
        yaml.explicit_start = self.has_start
        if self.is_indented:
            yaml.indent(mapping=2, sequence=4, offset=2)
        return yaml


def _load(text: str, form: _Format, path: Path) -> Document:
    try:
        document = form.yaml().load(text.replace("\r\n", "\n"))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _broken(path, f"line {line}: {foreign(error.problem or 'no YAML')}") from None
    except (YAMLError, ReaderError, ValueError, RecursionError):
        raise _broken(path, "it is not YAML") from None
    if document is None:
        document = _new_document()
    _check(document, path)
    return document  # type: ignore[no-any-return]  # checked just above


def _check(document: Any, path: Path) -> None:
    if not isinstance(document, MutableMapping):
        raise _broken(path, "it is not a mapping")
    if not isinstance(document.get("current-context"), str | None):
        raise _broken(path, "'current-context' is not a name")
    for section, member in SECTIONS.items():
        if document.get(section) is None or document.get(section) == []:
            document[section] = CommentedSeq()
        items = document[section]
        if not isinstance(items, MutableSequence):
            raise _broken(path, f"'{section}' is not a list")
        for item in items:
            if not isinstance(item, MutableMapping) or not isinstance(item.get("name"), str):
                raise _broken(path, f"an item of '{section}' has no name")
            if not isinstance(item.get(member), MutableMapping | None):
                raise _broken(path, f"'{member}' of '{foreign(item['name'])}' is not a mapping")


def _broken(path: Path, what: str) -> TowropeError:
    return TowropeError(
        f"Failed to load kubeconfig. {path} is broken: {what}. Repair it, or give another file with"
        " --file.",
        hop=Hop.CLIENT,
    )


def _dump(document: Document, form: _Format) -> str:
    text = io.StringIO()
    form.yaml().dump(document, text)
    return text.getvalue().replace("\n", form.newline)


def _new_document() -> Document:
    return CommentedMap(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": CommentedSeq(),
            "contexts": CommentedSeq(),
            "users": CommentedSeq(),
            "current-context": "",
        }
    )


def _names(entry: Entry) -> dict[str, str]:
    return {"clusters": entry.cluster, "users": entry.user, "contexts": entry.context}


def _items(entry: Entry) -> dict[str, Item]:
    context = {"cluster": entry.cluster, "user": entry.user}
    if entry.namespace:
        context["namespace"] = entry.namespace
    things = {
        "clusters": {
            "certificate-authority-data": entry.authority,
            "server": entry.server,
            "tls-server-name": entry.tls_server_name,
        },
        "users": _user(entry),
        "contexts": context,
    }
    return {
        section: CommentedMap({SECTIONS[section]: CommentedMap(things[section]), "name": name})
        for section, name in _names(entry).items()
    }


def _user(entry: Entry) -> dict[str, Any]:
    if entry.token:
        return {"token": entry.token}
    return {"exec": entry.plugin.as_exec()} if entry.plugin else {}


def _find(document: Document, section: str, name: str) -> Item | None:
    return next((item for item in document[section] if item["name"] == name), None)


def _put(document: Document, section: str, item: Item) -> None:
    items = document[section]
    for at, other in enumerate(items):
        if other["name"] == item["name"]:
            items[at] = item
            return
    items.append(item)


def _take_out(document: Document, section: str, name: str) -> None:
    items = document[section]
    for at in reversed(range(len(items))):
        if items[at]["name"] == name:
            del items[at]


def _annotate(context: Item, previous: str | None) -> None:
    started = int(psutil.Process().create_time())
    note = {"pid": os.getpid(), "started": started, "previous-context": previous}
    context["context"]["extensions"] = [
        CommentedMap({"extension": CommentedMap(note), "name": EXTENSION})
    ]


def _note(context: Item | None) -> Item | None:
    """What a proxy noted in a context that it put in; None where none did."""
    extensions = context and (context.get("context") or {}).get("extensions")
    if not isinstance(extensions, MutableSequence):
        return None
    for extension in extensions:
        if isinstance(extension, MutableMapping) and extension.get("name") == EXTENSION:
            note = extension.get("extension")
            return note if isinstance(note, MutableMapping) else CommentedMap()
    return None


def _bridge(document: Document, *, gone: str, previous: Any) -> None:
    """A context that would bring `gone` back when it ends brings back what `gone` would have."""
    for context in document["contexts"]:
        note = _note(context)
        if note is not None and note.get("previous-context") == gone:
            note["previous-context"] = previous


def _is_alive(note: Item) -> bool:
    """Whether the proxy that made this note still runs; another process may have its number."""
    pid, started = note.get("pid"), note.get("started")
    if not isinstance(pid, int) or not isinstance(started, int) or pid <= 0:
        return False
    try:
        return abs(psutil.Process(pid).create_time() - started) < CLOCK_STEP
    except psutil.Error:
        return False
