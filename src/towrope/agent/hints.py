"""Hints of the control channel, for all who fetch something upon them."""

from towrope.agent.control_channel import Hints


class Everybody:
    """Passes each hint on to all of them, in their order."""

    def __init__(self, *receivers: Hints) -> None:
        self._receivers = receivers

    def notified(self, kind: str) -> None:
        for each in self._receivers:
            each.notified(kind)

    def missed(self) -> None:
        for each in self._receivers:
            each.missed()
