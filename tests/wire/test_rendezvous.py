"""The rendezvous against a plain model of it, whatever the order of things."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from towrope.wire import rendezvous
from towrope.wire.rendezvous import ACCEPT_WITHIN, LISTENER_LIMIT, STANDBY_LIMIT, Rendezvous

PATHS = st.sampled_from(["a", "A", "a/b", "b"])


def test_the_last_listener_is_refused() -> None:
    table = _table()
    assert all(table.listeners.add("a", number) for number in range(LISTENER_LIMIT))
    assert not table.listeners.add("A", LISTENER_LIMIT)
    assert table.listeners.add("b", LISTENER_LIMIT)
    assert table.listeners.discard("a", 3)
    assert table.listeners.add("a", LISTENER_LIMIT)


def test_standbys_are_bounded() -> None:
    table = _table()
    assert sum(table.standbys.add("a", number) for number in range(1000)) == STANDBY_LIMIT


def test_waiting_senders_are_bounded() -> None:
    table = _table()
    admitted = [table.wait("a", number, now=0.0) for number in range(rendezvous.WAITING_LIMIT + 1)]
    assert admitted[-1] is None
    assert None not in admitted[:-1]


def test_an_accept_address_is_good_once_at_its_path_and_in_time() -> None:
    table = _table()
    waiting = table.wait("a", 1, now=0.0)
    assert waiting is not None
    assert table.take(waiting.id, "b", now=1.0) is None
    assert table.take("guess", "a", now=1.0) is None
    assert table.take(waiting.id, "A", now=1.0) == 1
    assert table.take(waiting.id, "a", now=1.0) is None
    late = table.wait("a", 2, now=0.0)
    assert late is not None
    assert table.take(late.id, "a", now=ACCEPT_WITHIN) is None
    assert table.withdraw(late.id) == 2
    assert table.withdraw(late.id) is None


def _table() -> Rendezvous[int, int, int]:
    ids = iter(range(10**6))
    return Rendezvous(choose=lambda members: members[-1], new_id=lambda: f"id{next(ids)}")


class Conversation(RuleBasedStateMachine):
    """Listeners, standbys and senders come and go; the model is plain lists."""

    listeners = Bundle("listeners")
    standbys = Bundle("standbys")
    waiting = Bundle("waiting")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.count = 0
        self.offered: Sequence[int] = ()
        self.table: Rendezvous[int, int, int] = Rendezvous(
            choose=self._choose, new_id=lambda: f"id{self.count}"
        )
        self.model_listeners: list[tuple[str, int]] = []
        self.model_standbys: list[tuple[str, int]] = []
        self.model_waiting: dict[str, tuple[str, int, float]] = {}

    def _choose(self, members: Sequence[int]) -> int:
        self.offered = members
        return members[0]

    def _next(self) -> int:
        self.count += 1
        return self.count

    @rule(target=listeners, path=PATHS)
    def listen(self, path: str) -> tuple[str, int]:
        member = self._next()
        there = sum(other == path.lower() for other, _ in self.model_listeners)
        assert self.table.listeners.add(path, member) is (there < LISTENER_LIMIT)
        if there < LISTENER_LIMIT:
            self.model_listeners.append((path.lower(), member))
        return path.lower(), member

    @rule(entry=listeners)
    def unlisten(self, entry: tuple[str, int]) -> None:
        assert self.table.listeners.discard(*entry) is (entry in self.model_listeners)
        if entry in self.model_listeners:
            self.model_listeners.remove(entry)

    @rule(target=standbys, path=PATHS)
    def stand_by(self, path: str) -> tuple[str, int]:
        member = self._next()
        assert self.table.standbys.add(path, member)
        self.model_standbys.append((path.lower(), member))
        return path.lower(), member

    @rule(entry=consumes(standbys))
    def withdraw_standby(self, entry: tuple[str, int]) -> None:
        assert self.table.standbys.discard(*entry) is (entry in self.model_standbys)
        if entry in self.model_standbys:
            self.model_standbys.remove(entry)

    @rule(path=PATHS)
    def take_standby(self, path: str) -> None:
        first = next((e for e in self.model_standbys if e[0] == path.lower()), None)
        assert self.table.take_standby(path) == (None if first is None else first[1])
        if first is not None:
            self.model_standbys.remove(first)

    @rule(path=PATHS)
    def choose(self, path: str) -> None:
        members = [member for other, member in self.model_listeners if other == path.lower()]
        chosen = self.table.choose_listener(path)
        assert chosen == (members[0] if members else None)
        if members:
            assert list(self.offered) == members

    @rule(target=waiting, path=PATHS)
    def wait(self, path: str) -> str:
        sender = self._next()
        entry = self.table.wait(path, sender, now=self.now)
        assert entry is not None
        self.model_waiting[entry.id] = (path.lower(), sender, self.now + ACCEPT_WITHIN)
        return entry.id

    @rule(waiting_id=waiting, path=PATHS)
    def accept(self, waiting_id: str, path: str) -> None:
        known = self.model_waiting.get(waiting_id)
        right = known is not None and known[0] == path.lower() and self.now < known[2]
        taken = self.table.take(waiting_id, path, now=self.now)
        assert taken == (known[1] if right and known else None)
        if right:
            del self.model_waiting[waiting_id]

    @rule(waiting_id=consumes(waiting))
    def withdraw(self, waiting_id: str) -> None:
        known = self.model_waiting.pop(waiting_id, None)
        assert self.table.withdraw(waiting_id) == (None if known is None else known[1])

    @rule(path=PATHS)
    def withdraw_all(self, path: str) -> None:
        gone = {key for key, value in self.model_waiting.items() if value[0] == path.lower()}
        senders = {self.model_waiting.pop(key)[1] for key in gone}
        assert set(self.table.withdraw_all(senders.__contains__)) == senders

    @rule(seconds=st.sampled_from([1.0, ACCEPT_WITHIN / 2, ACCEPT_WITHIN]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def counts_agree(self) -> None:
        for path in ("a", "a/b", "b"):
            members = [member for other, member in self.model_listeners if other == path]
            assert self.table.listeners.count(path) == len(members)
            assert list(self.table.listeners.at(path)) == members


TestConversation = Conversation.TestCase
