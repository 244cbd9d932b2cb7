"""The objects of all gates in one file, CSV or Parquet by its ending."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_cropdet.causes import COLUMNS
from pytest_cropdet.files import write_whole
from pytest_cropdet.terms import encodable, one_line

__all__ = ["write_objects"]

FORMULA = re.compile(r"\s*[=+\-@]|\t")
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def write_objects(path: Path, tables: Sequence[tuple[str, Mapping[str, Sequence[Any]] | None]]) -> None:
    """Write ``(gate, columns)`` with the gate's name as first column; ``None`` stands for a table that was lost."""
    joined: dict[str, list[Any]] = {"gate": []}
    joined |= {name: [] for name in COLUMNS}
    for gate, table in tables:
        if table is not None:
            joined["gate"] += [encodable(gate)] * len(table["image"])
            for name in COLUMNS:
                joined[name] += encodable(table[name])
    write_whole(path, _parquet(joined) if path.suffix == ".parquet" else _csv(joined))


def _csv(columns: Mapping[str, Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_plain(each) for each in row])
    return stream.getvalue()


def _plain(value: Any) -> Any:
    """Return a cell; a text that a spreadsheet would run as a formula gets an apostrophe, which makes it a text."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    text = one_line(value)  # a line break would begin a line of its own where the file is printed
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def _parquet(columns: Mapping[str, Sequence[Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    words, whole = pyarrow.string(), pyarrow.int64()
    kinds = dict.fromkeys(("gate", "image", "category", "fate", "step"), words)
    kinds |= dict.fromkeys(("object", "left", "top", "width", "height"), whole)
    kinds["scored"] = pyarrow.bool_()
    table = pyarrow.table(
        {name: pyarrow.array(rows, kinds.get(name, pyarrow.float64())) for name, rows in columns.items()}
    )
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream)
    return stream.getvalue()
