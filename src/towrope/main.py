"""The `towrope` command.

kubectl runs `towrope get-token` whenever it starts. What is kept for it is answered before anything
is imported that takes time; all else is the command tree's.
"""

import sys


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["get-token"]:
        from towrope.client import get_token

        raise SystemExit(get_token.run(arguments[1:], lambda: _run(arguments)))
    raise SystemExit(_run(arguments))


def _run(arguments: list[str]) -> int:
    from towrope.client.cli.errors import run
    from towrope.programs.tree import cli

    return run(lambda: cli.main(arguments, "towrope", standalone_mode=False), arguments)


if __name__ == "__main__":
    main()
