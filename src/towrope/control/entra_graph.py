"""Microsoft Graph, asked which of some groups a principal is in, as an application of the tenant.

https://learn.microsoft.com/graph/api/directoryobject-checkmembergroups and -getmembergroups. The
application needs `GroupMember.Read.All` and `User.ReadBasic.All`, and for service principals
`Application.Read.All`. The caller's own token is never used: the server does not have it.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import httpx2
import msgspec

from towrope.control.issuer_metadata import bounded, client
from towrope.control.issuer_settings import GUID, IssuerSettings
from towrope.wire.errors import Hop, Unreachable, foreign

WITHIN = 3.5
"""Seconds; the agent that asks waits for 4."""
ANSWER_LIMIT = 4 * 1024 * 1024
CHECKED_AT_ONCE = 20
"""Groups that one `checkMemberGroups` takes."""
MOST_CHECKS = 5
"""Calls after which it is cheaper to ask for all groups of the principal."""
TOKEN_MARGIN = 120.0
TOKENS_LIMIT = 64

_Shape = TypeVar("_Shape")


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float


class _Ids(msgspec.Struct, frozen=True):
    value: list[str]
    next_link: str = msgspec.field(name="@odata.nextLink", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    object_id: str
    is_application: bool
    groups: Sequence[str]

    @property
    def path(self) -> str:
        kind = "servicePrincipals" if self.is_application else "users"
        return f"/v1.0/{kind}/{self.object_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What the server asks Graph as."""

    settings: IssuerSettings
    client_id: str
    endpoint: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str = field(repr=False)
    until: float


class EntraGraph:
    """Keeps the access token of each application until shortly before its end."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens: dict[Application, _Kept] = {}

    async def groups_of(
        self, application: Application, question: Question
    ) -> frozenset[str] | None:
        """Those of the groups that the principal is in, by nesting too; None: there is none such.

        Raises `Unreachable` with a sentence that says what failed.
        """
        # What is no id of Entra's, in the form that its tokens have, matches none of its groups.
        wanted = [group for group in question.groups if GUID.fullmatch(group)]
        if not GUID.fullmatch(question.object_id):
            return None
        if not wanted:
            return frozenset()
        try:
            async with asyncio.timeout(WITHIN), client(application.settings) as http:
                return await self._ask(http, application, question, wanted)
        except TimeoutError:
            raise _failed("it does not answer in time") from None
        except httpx2.HTTPError as error:
            why = foreign(str(error)) or type(error).__name__
            raise _failed(f"it cannot be reached ({why})") from None

    async def _ask(
        self,
        http: httpx2.AsyncClient,
        application: Application,
        question: Question,
        wanted: list[str],
    ) -> frozenset[str] | None:
        found: set[str] = set()
        for action, body in _calls(wanted):
            url = f"{application.endpoint}{question.path}/{action}"
            there = await self._post(http, application, url, body)
            if there is None:
                return None
            found.update(there)
        return frozenset(found.intersection(wanted))

    async def _post(
        self, http: httpx2.AsyncClient, application: Application, url: str, body: object
    ) -> list[str] | None:
        headers = {
            "authorization": f"Bearer {await self._token(http, application)}",
            "content-type": "application/json",
            "accept-encoding": "identity",
        }
        content = msgspec.json.encode(body)
        async with http.stream("POST", url, content=content, headers=headers) as answer:
            if answer.status_code == httpx2.codes.NOT_FOUND:
                return None
            if answer.status_code == httpx2.codes.UNAUTHORIZED:
                self._tokens.pop(application, None)
            if answer.status_code != httpx2.codes.OK:
                raise _failed(f"it answers {answer.status_code}")
            ids = await _decoded(answer, _Ids)
        if ids.next_link:
            raise _failed("it does not say all groups at once")
        return ids.value

    async def _token(self, http: httpx2.AsyncClient, application: Application) -> str:
        kept = self._tokens.get(application)
        if kept is not None and self._clock() < kept.until:
            return kept.value
        form = {
            "grant_type": "client_credentials",
            "client_id": application.client_id,
            "client_secret": application.secret,
            "scope": f"{application.endpoint}/.default",
        }
        url, headers = application.settings.token_url, {"accept-encoding": "identity"}
        async with http.stream("POST", url, data=form, headers=headers) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise _failed(f"the server's application gets no token ({answer.status_code})")
            token = await _decoded(answer, _Token)
        if len(self._tokens) >= TOKENS_LIMIT:
            self._tokens.clear()
        until = self._clock() + token.expires_in - TOKEN_MARGIN
        self._tokens[application] = _Kept(token.access_token, until)
        return token.access_token


def _calls(wanted: list[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """The calls that answer for all of the groups: a few small ones, or one for everything."""
    if len(wanted) > CHECKED_AT_ONCE * MOST_CHECKS:
        yield "getMemberGroups", {"securityEnabledOnly": False}
        return
    for start in range(0, len(wanted), CHECKED_AT_ONCE):
        yield "checkMemberGroups", {"groupIds": wanted[start : start + CHECKED_AT_ONCE]}


async def _decoded(answer: httpx2.Response, shape: type[_Shape]) -> _Shape:
    content = await bounded(answer, limit=ANSWER_LIMIT)
    try:
        return msgspec.json.decode(content or b"", type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _failed("its answer is not understood") from None


def _failed(what: str) -> Unreachable:
    return Unreachable(
        f"The caller's groups are not in its token, and Microsoft Graph does not tell them: {what}."
        " The server's administrator can see to it with 'towrope issuer'.",
        hop=Hop.SERVER,
    )
