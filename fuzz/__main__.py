"""`python -m fuzz [--seconds S] [--seed N] [TARGET…]`: runs the targets one after the other.

What breaks one is written to `fuzz-failure-TARGET.bin`, and can be given again with `--input FILE`.
"""

import argparse
import importlib
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import click

from fuzz.mutation import mutations

TARGETS = ("requests", "responses", "tokens")


def run(name: str, *, seconds: float, seed: int) -> bool:
    target: Any = importlib.import_module(f"fuzz.{name}")
    count, until = 0, time.monotonic() + seconds
    for data in mutations(target.SEEDS, target.WORDS, seed=seed):
        try:
            target.check(data)
        except Exception as error:
            path = Path(f"fuzz-failure-{name}.bin")
            path.write_bytes(data)
            click.echo(f"{name}: {type(error).__name__}: {error}; the input is in {path}")
            return False
        count += 1
        if time.monotonic() > until:
            break
    click.echo(f"{name}: {count} inputs in {seconds:g} s, seed {seed}")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--input", type=Path, help="checks one input instead")
    options = parser.parse_args()
    targets = options.targets or TARGETS
    if options.input:
        for name in targets:
            importlib.import_module(f"fuzz.{name}").check(options.input.read_bytes())
        return
    results = [run(name, seconds=options.seconds, seed=options.seed) for name in targets]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
