"""The `towrope` command."""


def main() -> None:
    raise SystemExit("towrope: not built yet")
