"""`--ids`: resources by their ids, in place of `-g` and names, as `az` has it."""

import functools
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from towrope.client.cli.command import Function, Words
from towrope.client.cli.context import SUBSCRIPTION
from towrope.wire.errors import Hop, Malformed, foreign

_IDS = "ids"
_GROUP = "resource_group"


def ids_option(kind: str, *names: str) -> Callable[[Function], Function]:
    """Adds `--ids` to a command that takes `resource_group` and `names`: the arguments for each
    name in an id of `kind`, such as `Microsoft.Kubernetes/connectedClusters`.

    The command runs once for each id; of several, the results are a list. It stands above the
    options that it replaces.
    """

    def decorate(function: Function) -> Function:
        replaced = _replaced(function, (_GROUP, *names))

        @functools.wraps(function)
        def by_ids(*, ids: tuple[str, ...], **given: Any) -> Any:
            context = click.get_current_context()
            if not ids:
                _check_given(context, replaced, given)
                return function(**given)
            _check_not_given(context, replaced)
            wanted = [_arguments(each, kind, names) for each in ids]
            results = [_run(context, function, {**given, **each}) for each in wanted]
            return results if len(results) > 1 else results[0]

        return click.option(
            "--ids",
            cls=Words,
            metavar="ID...",
            help="Resource ids, separated by spaces, in place of the group and the name.",
        )(by_ids)

    return decorate


def _replaced(function: Function, names: tuple[str, ...]) -> list[click.Parameter]:
    declared: list[click.Parameter] = getattr(function, "__click_params__", [])
    found = [each for each in declared if each.name in names]
    assert len(found) == len(names), f"--ids stands above the options of {names}"
    for each in found:
        each.required = False
    return found


def _check_given(
    context: click.Context, replaced: list[click.Parameter], given: dict[str, Any]
) -> None:
    for each in reversed(replaced):
        if given[str(each.name)] is None:
            raise click.UsageError(
                f"Missing option {'/'.join(each.opts)}. Give it, or the resource's id with --ids.",
                context,
            )


def _check_not_given(context: click.Context, replaced: list[click.Parameter]) -> None:
    for each in replaced:
        if context.get_parameter_source(str(each.name)) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"Give --ids or {'/'.join(each.opts)}, not both.", context)


def _run(context: click.Context, function: Function, arguments: dict[str, Any]) -> Any:
    context.meta[SUBSCRIPTION] = arguments.pop("subscription")
    return function(**arguments)


def _arguments(resource_id: str, kind: str, names: tuple[str, ...]) -> dict[str, str]:
    """The names in an id, by argument; raises `Malformed` where it is of another kind."""
    provider, *types = kind.split("/")
    expected = ["subscriptions", "", "resourceGroups", "", "providers", provider]
    for each in types:
        expected += [each, ""]
    segments = resource_id.strip("/").split("/")
    fits = len(segments) == len(expected) and all(
        found and (not fixed or found.lower() == fixed.lower())
        for found, fixed in zip(segments, expected, strict=False)
    )
    if not fits:
        shown = "/".join(each or "NAME" for each in expected)
        raise Malformed(
            f"'{foreign(resource_id)}' is no id of this kind. Expected /{shown}.", hop=Hop.CLIENT
        )
    found = [name for name, fixed in zip(segments, expected, strict=True) if not fixed]
    return dict(zip(("subscription", _GROUP, *names), found, strict=True))
