"""How often may be tried: growing delays for an account, for an address, and for device codes.

An attempt counts as failed before it is judged, in one transaction with the question whether it
may be made: many attempts at once are no way around it. What succeeded is taken back. While
something is locked, attempts are neither judged nor counted: nobody learns whether the password
was right, and a program that goes on with an old password does not lengthen the lock.
"""

import hashlib
import ipaddress
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store import sign_in_failures
from towrope.control.store.database import Database
from towrope.control.store.sign_in_failures import Failures

MINUTE = 60
HOUR = 60 * MINUTE
FIRST_LOCK = MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """After `allowed` failures each further one locks twice as long as the one before it."""

    allowed: int
    longest_lock: int
    forgotten_after: int
    """Seconds after the last failure."""


ACCOUNT = Rule(allowed=5, longest_lock=15 * MINUTE, forgotten_after=24 * HOUR)
# Many people may share an address, and a success does not clear it.
ADDRESS = Rule(allowed=30, longest_lock=15 * MINUTE, forgotten_after=HOUR)
CODE_ADDRESS = Rule(allowed=10, longest_lock=15 * MINUTE, forgotten_after=HOUR)
# A short lock: guessing from everywhere must not keep everybody out for long.
CODE_EVERYWHERE = Rule(allowed=500, longest_lock=MINUTE, forgotten_after=15 * MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What attempts are counted for."""

    key: str
    rule: Rule


def account(name: str) -> Subject:
    """An account by the name that was typed, whether or not there is such an account."""
    return _subject("account", unicodedata.normalize("NFKC", name).casefold(), ACCOUNT)


def address(host: str) -> Subject:
    return _subject("address", _network(host), ADDRESS)


def code_address(host: str) -> Subject:
    return _subject("code address", _network(host), CODE_ADDRESS)


def code_everywhere() -> Subject:
    return _subject("code", "", CODE_EVERYWHERE)


def _subject(kind: str, name: str, rule: Rule) -> Subject:
    text = f"{kind}:{name}".encode("utf-8", "surrogatepass")
    return Subject(key=hashlib.sha256(text).hexdigest(), rule=rule)


def _network(host: str) -> str:
    """IPv6 by its /64, which is what one subscriber has."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)


class Throttle:
    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def admit(self, *subjects: Subject) -> bool:
        """Whether an attempt may be made; if so it counts as failed until it is taken back."""
        now = int(self._clock())
        async with self._database.writing() as connection:
            known = [await _of(connection, each, now) for each in subjects]
            if any(failures.locked_until > now for failures in known):
                return False
            for subject, failures in zip(subjects, known, strict=True):
                await sign_in_failures.put(connection, _one_more(failures, subject.rule, now))
            await sign_in_failures.trim(connection, now=now)
        return True

    async def succeeded(self, *counted: Subject, cleared: Subject | None = None) -> None:
        """An attempt that was admitted did not fail: it is taken back; of `cleared`, everything."""
        now = int(self._clock())
        ended = () if cleared is None else (cleared.key,)
        async with self._database.writing() as connection:
            for subject in counted:
                await _one_fewer(connection, await _of(connection, subject, now))
            for key in ended:
                await sign_in_failures.remove(connection, key)


async def _of(connection: AsyncConnection, subject: Subject, now: int) -> Failures:
    found = await sign_in_failures.find(connection, subject.key, now=now)
    return found or Failures(key=subject.key, failures=0, locked_until=0, expires_at=now)


def _one_more(failures: Failures, rule: Rule, now: int) -> Failures:
    count = failures.failures + 1
    beyond = count - rule.allowed
    lock = 0
    if beyond >= 0:
        # The exponent is bounded too, so that no count makes a number without end.
        lock = min(FIRST_LOCK * 2 ** min(beyond, 16), rule.longest_lock)
    return Failures(
        key=failures.key,
        failures=count,
        locked_until=now + lock if lock else 0,
        expires_at=now + rule.forgotten_after,
    )


async def _one_fewer(connection: AsyncConnection, failures: Failures) -> None:
    if failures.failures <= 1:
        await sign_in_failures.remove(connection, failures.key)
    else:
        fewer = replace(failures, failures=failures.failures - 1, locked_until=0)
        await sign_in_failures.put(connection, fewer)
