"""Who may use a hybrid connection: a token's signature first, and only then what is known of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from towrope.wire import address, sas
from towrope.wire.errors import Hop, NotFound, Unauthenticated
from towrope.wire.names import is_of_cluster
from towrope.wire.sas import Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    path: str
    """The hybrid connection's own name."""
    expires_at: float


class Admission:
    """`knows` says whether a hybrid connection exists, `has_rule` whether it has such a rule.

    `clock` gives Unix seconds.
    """

    def __init__(
        self,
        *,
        master: bytes,
        knows: Callable[[str], Awaitable[bool]],
        has_rule: Callable[[str, str], Awaitable[bool]],
        clock: Callable[[], float],
    ) -> None:
        self._master = master
        self._knows = knows
        self._has_rule = has_rule
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
                admitted = self.verify(name, token, right, target=path)
                await self._check_rule(name, parsed.rule)
                return admitted
        raise NotFound("Endpoint does not exist.", hop=Hop.RELAY)

    async def _check_rule(self, path: str, rule: str) -> None:
        # A key is derived for ever; the rule that it belongs to may be gone. A cluster's two rules
        # are no resources: their tokens are minted, and end by themselves.
        if not is_of_cluster(path) and not await self._has_rule(path, rule):
            raise Unauthenticated(
                "The token's authorization rule does not exist any more. Make one, and a token"
                " with its key.",
                hop=Hop.RELAY,
            )

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
