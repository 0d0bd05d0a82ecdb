"""As whom a verified caller's request goes upstream: all `Impersonate-*` fields are made here.

They are a function of the caller, and of what a SubjectAccessReview lets it impersonate (`kubectl
--as`); a field that the client sent never goes on. The apiserver's rules for these headers are in
k8s.io/apiserver, pkg/endpoints/filters/impersonation.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol
from urllib.parse import unquote_to_bytes

from towrope.agent.access_reviews import Access, Verdict
from towrope.agent.caller import Caller
from towrope.agent.identity import Decision
from towrope.agent.usernames import OBJECT_ID
from towrope.wire import names
from towrope.wire.errors import Forbidden, Hop, Malformed, Unauthenticated, foreign
from towrope.wire.head import Field, RequestHead
from towrope.wire.reserved_names import RESERVED

IMPERSONATOR = names.IMPERSONATOR_EXTRA
"""The key under which the caller itself stands when it acts as somebody else."""
NAMED_LIMIT = 64
"""Things that one request may ask to impersonate; each is a review."""

_PREFIX, _EXTRA = b"impersonate-", b"impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"
# Values that no header can carry, or that could end up as another value than the one reviewed.
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|^ | $")
_ESCAPES = re.compile(rb"(?:[^%]|%[0-9a-f]{2})+")
_UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-._")
_DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SERVICE_ACCOUNT = re.compile(
    rf"system:serviceaccount:({_DNS_LABEL}):({_DNS_LABEL}(?:\.{_DNS_LABEL})*)"
)


class Reviewer(Protocol):
    async def review(self, caller: Caller, access: Access) -> Verdict: ...


class Impersonation:
    """`reviews` answers what a caller may impersonate."""

    def __init__(self, reviews: Reviewer) -> None:
        self._reviews = reviews

    async def decide(self, caller: Caller, head: RequestHead) -> Decision:
        """Raises `Malformed`, `Forbidden`, or what hinders the reviews."""
        _check_caller(caller)
        caller = replace(caller, extra={_qualified(k): v for k, v in caller.extra.items()})
        target = _wanted(head)
        if target is None:
            return Decision(
                principal=caller.username,
                groups=caller.all_groups,
                credential=_fields(caller),
                is_impersonated=True,
                acting=caller,
            )
        await self._check(caller, target)
        acting = replace(target, extra={**target.extra, IMPERSONATOR: (caller.username,)})
        return Decision(
            principal=caller.username,
            groups=caller.all_groups,
            credential=_fields(acting),
            is_impersonated=True,
            subject=target.username,
            acting=acting,
        )

    async def _check(self, caller: Caller, target: Caller) -> None:
        wanted = list(_accesses(target))
        if len(wanted) > NAMED_LIMIT:
            raise _malformed(f"it asks to impersonate over {NAMED_LIMIT} things at once")
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._reviews.review(caller, access)) for access in wanted
                ]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        for access, task in zip(wanted, tasks, strict=True):
            if not task.result().is_allowed:
                raise _forbidden(caller, access, task.result().reason)


# What the client asks for.


def _wanted(head: RequestHead) -> Caller | None:
    """Whom the client asks to act as; None where it asks for nobody else."""
    named = [(name.lower(), value) for name, value in head.fields if _is_impersonation(name)]
    if not named:
        return None
    users, uids, groups = [], [], []
    extra: dict[str, tuple[str, ...]] = {}
    for name, value in named:
        text = _text(name, value)
        if name == b"impersonate-user":
            users.append(text)
        elif name == b"impersonate-uid":
            uids.append(text)
        elif name == b"impersonate-group":
            groups.append(text)
        elif name.startswith(_EXTRA):
            key = _extra_key(name)
            extra[key] = (*extra.get(key, ()), text)
        else:
            raise _malformed(f"'{foreign(name)}' is not the name of a header")
    if len(users) != 1 or len(uids) > 1:
        raise _malformed(
            "it asks to impersonate a group, a uid or an extra without impersonating a user"
            if not users
            else "it names more than one user or uid to impersonate"
        )
    return Caller(username=users[0], groups=tuple(groups), uid="".join(uids), extra=extra)


def _is_impersonation(name: bytes) -> bool:
    return name.lower().startswith(_PREFIX)


def _text(name: bytes, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise _malformed(f"'{foreign(name)}' is not UTF-8") from None
    if not text or _UNFIT.search(text):
        raise _malformed(f"'{foreign(name)}' is empty or holds a control character")
    return text


def _extra_key(name: bytes) -> str:
    """As the apiserver reads it: first in lower case, then without its percent-encoding."""
    encoded = name[len(_EXTRA) :]
    if _ESCAPES.fullmatch(encoded) is None:
        raise _malformed(f"'{foreign(name)}' is not percent-encoded")
    try:
        key = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise _malformed(f"'{foreign(name)}' is not UTF-8") from None
    if key.lower() == IMPERSONATOR:
        raise _malformed(f"'{IMPERSONATOR}' is for the agent alone to say")
    return key


def _accesses(target: Caller) -> Iterator[Access]:
    """Everything that the apiserver asks about, were the caller to impersonate by itself."""
    account = _SERVICE_ACCOUNT.fullmatch(target.username)
    # The apiserver takes a name that no service account can have for a user's.
    if account is None or len(account[1]) > 63 or len(account[2]) > 253:
        yield _core("users", target.username)
    else:
        yield _core("serviceaccounts", account[2], namespace=account[1])
    for group in target.groups:
        yield _core("groups", group)
    if target.uid:
        yield _authentication("uids", target.uid)
    for key, values in target.extra.items():
        for value in values:
            yield _authentication("userextras", value, subresource=key)


def _core(resource: str, name: str, *, namespace: str = "") -> Access:
    return Access(verb="impersonate", group="", resource=resource, name=name, namespace=namespace)


def _authentication(resource: str, name: str, *, subresource: str = "") -> Access:
    return Access(
        verb="impersonate",
        group=_AUTHENTICATION,
        resource=resource,
        name=name,
        subresource=subresource,
    )


# What goes upstream.


def _fields(who: Caller) -> tuple[Field, ...]:
    fields = [(b"Impersonate-User", who.username.encode())]
    fields += [(b"Impersonate-Group", group.encode()) for group in who.all_groups]
    if who.uid:
        fields.append((b"Impersonate-Uid", who.uid.encode()))
    for key, values in who.extra.items():
        name = b"Impersonate-Extra-" + _percent_encoded(key)
        fields += [(name, value.encode()) for value in values]
    return tuple(fields)


def _percent_encoded(key: str) -> bytes:
    return b"".join(
        b"%c" % byte if byte in _UNRESERVED else b"%%%02X" % byte for byte in key.encode()
    )


def _qualified(key: str) -> str:
    return key if "/" in key else names.EXTRA_DOMAIN + key


def _check_caller(caller: Caller) -> None:
    """The last guard: whatever was verified before, none of these ever goes upstream."""
    said = [caller.username, *caller.groups, *([caller.uid] if caller.uid else [])]
    for values in caller.extra.values():
        said += values
    is_reserved = any(text.strip().casefold().startswith(RESERVED) for text in said)
    is_unfit = any(not text or _UNFIT.search(text) for text in said)
    is_unfit |= not all(OBJECT_ID.fullmatch(found.lower()) for found in caller.object_ids)
    if is_reserved or is_unfit or IMPERSONATOR in map(_qualified, caller.extra):
        raise Unauthenticated(
            "The token names something that this cluster takes from no token: a name that is"
            " empty, starts with 'system:' or 'towrope:', or holds control characters.",
            hop=Hop.AGENT,
        )


def _forbidden(caller: Caller, access: Access, reason: str) -> Forbidden:
    """In the apiserver's own words (`ForbiddenStatusError`), but that they name the whole path."""
    resource = access.resource + (f"/{access.subresource}" if access.subresource else "")
    where = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
    kind = f"{access.resource}.{access.group}" if access.group else access.resource
    message = (
        f'{kind} "{foreign(access.name)}" is forbidden: User "{foreign(caller.username)}" cannot'
        f' {access.verb} resource "{foreign(resource)}" in API group "{access.group}" {where}'
    )
    return Forbidden(f"{message}: {foreign(reason)}" if reason else message, hop=Hop.AGENT)


def _malformed(what: str) -> Malformed:
    return Malformed(f"The request is refused: {what}.", hop=Hop.AGENT)
