"""Who may use a hybrid connection: a token's signature first, and only then what is known of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from towrope.wire import address, sas
from towrope.wire.errors import Hop, NotFound
from towrope.wire.sas import Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    path: str
    """The hybrid connection's own name."""
    expires_at: float


class Admission:
    """`knows` says whether a hybrid connection exists; `clock` gives Unix seconds."""

    def __init__(
        self,
        *,
        master: bytes,
        knows: Callable[[str], Awaitable[bool]],
        clock: Callable[[], float],
    ) -> None:
        self._master = master
        self._knows = knows
        self._clock = clock

    async def admit(self, path: str, token: str, right: Right) -> Admitted:
        """Raises `Unauthenticated`, `Forbidden` or `NotFound`.

        A sender may name more than the hybrid connection: the longest name that exists counts. The
        signature is looked at first, so that nobody asks `knows` without a token of ours.
        """
        names = list(address.prefixes(path)) if right is Right.SEND else [path]
        parsed = sas.parse(token)
        if not any(sas.signed_rights(parsed, master=self._master, path=name) for name in names):
            raise sas.not_signed(parsed, master=self._master)
        for name in names:
            if await self._knows(name):
                return self.verify(name, token, right, target=path)
        raise NotFound("Endpoint does not exist.", hop=Hop.RELAY)

    def verify(self, path: str, token: str, right: Right, *, target: str) -> Admitted:
        """Checks a token for a hybrid connection that exists. Raises as `admit`."""
        verified = sas.verify(
            token,
            master=self._master,
            path=path,
            right=right,
            now=self._clock(),
            target=target,
        )
        return Admitted(path=path, expires_at=verified.expires_at)

    def seconds_left(self, admitted: Admitted) -> float:
        return admitted.expires_at - self._clock()
