"""`towrope config`: what is meant where an option is left out."""

import os

import click

from towrope.client import defaults
from towrope.client.cli.command import command
from towrope.client.output import Format
from towrope.client.rest import Json
from towrope.wire.errors import Hop, Malformed, NotFound, foreign

COLUMNS = {"Name": "name", "Value": "value", "Source": "source"}


@command(
    "set",
    example="""
    towrope config set defaults.group=shops
    towrope config set defaults.location=westeurope core.output=table
    """,
)
@click.argument("pairs", metavar="KEY=VALUE...", nargs=-1, required=True)
def set_values(pairs: tuple[str, ...]) -> None:
    """Set defaults: defaults.group, defaults.location and core.output."""
    wanted = dict(map(_pair, pairs))
    defaults.change(lambda kept: {**kept, **wanted})


@command(
    "get",
    example="""
    towrope config get -o table
    towrope config get defaults.group --query value -o tsv
    """,
    columns=COLUMNS,
)
@click.argument("key", required=False)
def get(key: str | None) -> Json | list[Json]:
    """Show the defaults, or one of them."""
    wanted = defaults.checked_key(key) if key else None
    kept = defaults.load()
    found = [_described(each, kept) for each in defaults.KEYS if defaults.default(each)]
    if wanted is None:
        return found
    for each in found:
        if each["name"] == wanted:
            return each
    raise NotFound(
        f"{wanted} is not set. 'towrope config set {wanted}=VALUE' sets it.", hop=Hop.CLIENT
    )


@command("unset", example="towrope config unset defaults.group")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
def unset(keys: tuple[str, ...]) -> None:
    """Forget defaults."""
    gone = {defaults.checked_key(each) for each in keys}
    defaults.change(lambda kept: {key: kept[key] for key in kept.keys() - gone})


def _described(key: str, kept: defaults.Defaults) -> Json:
    variable = defaults.variable(key)
    source = variable if os.environ.get(variable) else defaults.FILE
    return {"name": key, "source": source, "value": os.environ.get(variable) or kept[key]}


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not value:
        raise Malformed(
            f"'{foreign(text)}' sets nothing: expected KEY=VALUE, as in defaults.group=shops."
            " 'towrope config unset KEY' forgets one.",
            hop=Hop.CLIENT,
        )
    formats = [each.value for each in Format]
    if defaults.checked_key(key) == defaults.OUTPUT and value not in formats:
        raise Malformed(
            f"'{foreign(value)}' is no format. Formats are {', '.join(formats)}.", hop=Hop.CLIENT
        )
    return defaults.checked_key(key), value
