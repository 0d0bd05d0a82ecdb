"""Who listens where, and which senders wait: the relay's only state, sans-IO.

Listeners and standbys belong to a path, the name of a hybrid connection, compared without case.
A waiting sender has an unguessable id, which a listener shows once and in time. Nothing here is
needed by another relay node. What the members are is the caller's affair.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

ACCEPT_WITHIN = 30.0
"""Seconds that a sender waits for a listener."""
LISTENER_LIMIT = 25
STANDBY_LIMIT = 64
WAITING_LIMIT = 5000

Listener = TypeVar("Listener", bound=Hashable)
Standby = TypeVar("Standby", bound=Hashable)
Sender = TypeVar("Sender")
Member = TypeVar("Member", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Generic[Sender]):
    """A sender that waits for a listener to accept it."""

    id: str
    path: str
    """What the sender named: the hybrid connection's path, and what followed it."""
    sender: Sender
    deadline: float


class Members(Generic[Member]):
    """Members of paths, in the order they came, so many a path at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_path: dict[str, dict[Member, None]] = {}

    def at(self, path: str) -> Sequence[Member]:
        return tuple(self._by_path.get(path.lower(), ()))

    def count(self, path: str) -> int:
        return len(self._by_path.get(path.lower(), ()))

    def add(self, path: str, member: Member) -> bool:
        """False where there is no room for another."""
        members = self._by_path.setdefault(path.lower(), {})
        if len(members) >= self._limit:
            return False
        members[member] = None
        return True

    def discard(self, path: str, member: Member) -> bool:
        """Whether it was there."""
        members = self._by_path.get(path.lower(), {})
        if member not in members:
            return False
        del members[member]
        if not members:
            del self._by_path[path.lower()]
        return True


class Rendezvous(Generic[Listener, Standby, Sender]):
    """`choose` takes one of several members; `new_id` makes ids that nobody can guess."""

    def __init__(
        self, *, choose: Callable[[Sequence[Listener]], Listener], new_id: Callable[[], str]
    ) -> None:
        self.listeners: Members[Listener] = Members(LISTENER_LIMIT)
        self.standbys: Members[Standby] = Members(STANDBY_LIMIT)
        self._choose = choose
        self._new_id = new_id
        self._waiting: dict[str, Waiting[Sender]] = {}

    def has_members(self, path: str) -> bool:
        return self.listeners.count(path) > 0 or self.standbys.count(path) > 0

    def take_standby(self, path: str) -> Standby | None:
        """The standby that waited longest; it is no longer one."""
        for standby in self.standbys.at(path):
            self.standbys.discard(path, standby)
            return standby
        return None

    def choose_listener(self, path: str) -> Listener | None:
        members = self.listeners.at(path)
        return self._choose(members) if members else None

    def wait(self, path: str, sender: Sender, *, now: float) -> Waiting[Sender] | None:
        """Lets a sender wait; None where too many do."""
        if len(self._waiting) >= WAITING_LIMIT:
            return None
        waiting = Waiting(id=self._new_id(), path=path, sender=sender, deadline=now + ACCEPT_WITHIN)
        self._waiting[waiting.id] = waiting
        return waiting

    def take(self, waiting_id: str, path: str, *, now: float) -> Sender | None:
        """The sender that waits by that id at that path. It is there once, and in time only."""
        waiting = self._waiting.get(waiting_id)
        if waiting is None or waiting.path.lower() != path.lower() or waiting.deadline <= now:
            return None
        del self._waiting[waiting_id]
        return waiting.sender

    def withdraw(self, waiting_id: str) -> Sender | None:
        """Takes a sender out, whatever the time."""
        waiting = self._waiting.pop(waiting_id, None)
        return None if waiting is None else waiting.sender

    def withdraw_all(self, concerns: Callable[[Sender], bool]) -> Sequence[Sender]:
        """Takes out the senders that `concerns` is true of."""
        found = [waiting for waiting in self._waiting.values() if concerns(waiting.sender)]
        return [self._waiting.pop(waiting.id).sender for waiting in found]
