"""Inputs for the targets: seeds that are spliced, cut, doubled and changed at random places."""

import random
from collections.abc import Iterator, Sequence


def mutations(seeds: Sequence[bytes], words: Sequence[bytes], *, seed: int) -> Iterator[bytes]:
    """Endless; the same for the same `seed`."""
    rng = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    pool = list(seeds)
    while True:
        data = bytearray(rng.choice(pool))
        for _ in range(rng.randint(0, 6)):
            _mutate(data, pool, words, rng)
        if len(data) < 4096 and rng.random() < 0.01:
            pool[rng.randrange(len(pool))] = bytes(data)
            pool.append(rng.choice(seeds))
            del pool[256:]
        yield bytes(data)


def _mutate(
    data: bytearray, pool: Sequence[bytes], words: Sequence[bytes], rng: random.Random
) -> None:
    at = rng.randint(0, len(data))
    match rng.randrange(6):
        case 0:
            data[at:at] = rng.choice(words)
        case 1:
            del data[at : at + rng.randint(1, 8)]
        case 2:
            data[at:at] = rng.randbytes(rng.randint(1, 4))
        case 3 if at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        case 4:
            other = rng.choice(pool)
            data[at:] = other[rng.randint(0, len(other)) :]
        case _:
            data[at:at] = data[at : at + rng.randint(1, 32)]
