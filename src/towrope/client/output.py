"""How a result is printed: `az`'s formats, and `--query` (JMESPath).

json    indented
table   one row for each member, the columns that a command names, or every plain member; on a
        terminal long cells are shortened to fit it
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

Columns = Mapping[str, str | Callable[[Json], str]]
"""A table's headings, and the member that each shows, or what makes it of a row."""

GAP = "  "
NARROWEST = 8
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
    is_in_group = len(segments) > 4 and segments[3].lower() == "resourcegroups"
    group = {"resourceGroup": segments[4]} if is_in_group else {}
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


def render(
    value: Any, style: Format, columns: Columns | None = None, *, width: int | None = None
) -> str:
    """`value` as text, with no newline at its end; empty where there is nothing to print.

    A table is at most `width` wide where that is given, however little then stays of its cells.
    """
    if value is None or style is Format.NONE:
        return ""
    if style is Format.JSON:
        return json.dumps(value, indent=2, ensure_ascii=False)
    if style is Format.YAML:
        return _yaml(value)
    rows = value if isinstance(value, list) else [value]
    if style is Format.TSV:
        return "\n".join(_tsv_row(row) for row in rows)
    return _table(rows, columns, width)


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


def _table(rows: Sequence[Any], columns: Columns | None, width: int | None) -> str:
    members = [row if isinstance(row, dict) else {"result": row} for row in rows]
    if not members:
        return ""
    wanted = columns or _plain_columns(members)
    table = [[_cell(_shown(member, what)) for what in wanted.values()] for member in members]
    lines = [list(wanted), *table]
    widths = [max(len(line[i]) for line in lines) for i in range(len(wanted))]
    if width is not None:
        widths = _fitted(widths, width - len(GAP) * (len(widths) - 1))
    lines.insert(1, ["-" * each for each in widths])
    return "\n".join(_line(cells, widths) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = [_short(cell, width) for cell, width in zip(cells, widths, strict=True)]
    padded = [cell.ljust(width) for cell, width in zip(shown, widths, strict=True)]
    return GAP.join(padded).rstrip()


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """The widest columns give way first, as far as the narrowest that still shows something."""
    fitted = list(widths)
    while sum(fitted) > room and max(fitted) > NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _short(text: str, width: int) -> str:
    """Without its middle: ids and paths differ at both ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _shown(member: Json, what: str | Callable[[Json], str]) -> Any:
    return _member(member, what) if isinstance(what, str) else what(member)


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
