"""How a result is printed: `az`'s formats, and `--query` (JMESPath).

json    indented
table   one row for each member, the columns that a command names, or every plain member
tsv     values only, separated by tabs, for scripts
yaml    block style
none    nothing
"""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from io import StringIO
from typing import Any

from towrope.client.rest import Json

Columns = Mapping[str, str]
"""A table's headings, and the member that each shows."""

CLUSTER_COLUMNS: Columns = {
    "Name": "name",
    "Location": "location",
    "ResourceGroup": "resourceGroup",
}


class Format(StrEnum):
    JSON = "json"
    TABLE = "table"
    TSV = "tsv"
    YAML = "yaml"
    NONE = "none"


def flat(resource: Json) -> Json:
    """A resource as `az` prints it: its properties beside its name, and its resource group."""
    properties = resource.get("properties") or {}
    lifted = {name: value for name, value in properties.items() if name not in resource}
    plain = {name: value for name, value in resource.items() if name != "properties"}
    segments = str(resource.get("id", "")).split("/")
    group = {"resourceGroup": segments[4]} if len(segments) > 4 else {}
    return dict(sorted({**plain, **group, **lifted}.items()))


def compile_query(text: str) -> Callable[[Any], Any]:
    """A JMESPath expression, ready to search; raises `ValueError` with the place of the slip."""
    import jmespath

    try:
        expression = jmespath.compile(text)
    except jmespath.exceptions.JMESPathError as error:
        raise ValueError(f"it is no JMESPath expression: {' '.join(str(error).split())}") from None

    def search(value: Any) -> Any:
        try:
            return expression.search(value)
        except jmespath.exceptions.JMESPathError as error:
            raise ValueError(" ".join(str(error).split())) from None

    return search


def render(value: Any, style: Format, columns: Columns | None = None) -> str:
    """`value` as text, with no newline at its end; empty where there is nothing to print."""
    if value is None or style is Format.NONE:
        return ""
    if style is Format.JSON:
        return json.dumps(value, indent=2, ensure_ascii=False)
    if style is Format.YAML:
        return _yaml(value)
    rows = value if isinstance(value, list) else [value]
    if style is Format.TSV:
        return "\n".join(_tsv_row(row) for row in rows)
    return _table(rows, columns)


def _yaml(value: Any) -> str:
    from ruamel.yaml import YAML

    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(value, text)
    return text.getvalue().removesuffix("...\n").rstrip("\n")


def _tsv_row(row: Any) -> str:
    if isinstance(row, dict):
        return "\t".join(_tsv_cell(value) for value in row.values())
    if isinstance(row, list):
        return "\t".join(_tsv_cell(value) for value in row)
    if isinstance(row, bool):
        return str(row).lower()
    return "" if row is None else str(row)


def _tsv_cell(value: Any) -> str:
    """As `az`: a list is its length, an object nothing, so that the columns stay in place."""
    if isinstance(value, list):
        return str(len(value))
    return "" if isinstance(value, dict) else str(value)


def _table(rows: Sequence[Any], columns: Columns | None) -> str:
    members = [row if isinstance(row, dict) else {"result": row} for row in rows]
    if not members:
        return ""
    wanted = columns or _plain_columns(members)
    table = [[_cell(_member(member, key)) for key in wanted.values()] for member in members]
    lines = [list(wanted), *table]
    widths = [max(len(line[i]) for line in lines) for i in range(len(wanted))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _member(value: Any, path: str) -> Any:
    """What stands at a path like `user.name`."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _plain_columns(members: Sequence[Json]) -> Columns:
    """Every member that is text or a number in some row, in the order they come."""
    keys = dict.fromkeys(
        key
        for member in members
        for key, value in member.items()
        if value is not None and not isinstance(value, dict | list)
    )
    return {key[:1].upper() + key[1:]: key for key in keys}


def _cell(value: Any) -> str:
    text = "" if value is None or isinstance(value, dict | list) else str(value)
    return "".join(c if c.isprintable() else "�" for c in text)
