"""The objects of all gates in one file, CSV or Parquet by its ending."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_cropdet.object_table import COLUMNS
from pytest_cropdet.report.parts import write_whole

__all__ = ["write_objects"]


def write_objects(path: Path, tables: Sequence[tuple[str, Mapping[str, Sequence[Any]] | None]]) -> None:
    """Write ``(gate, columns)`` with the gate's name as first column; ``None`` stands for a table that was lost."""
    joined: dict[str, list[Any]] = {"gate": []}
    joined |= {name: [] for name in COLUMNS}
    for gate, table in tables:
        if table is not None:
            joined["gate"] += [gate] * len(table["image"])
            for name in COLUMNS:
                joined[name] += table[name]
    write_whole(path, _parquet(joined) if path.suffix == ".parquet" else _csv(joined))


def _csv(columns: Mapping[str, Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([str(each).lower() if isinstance(each, bool) else each for each in row])
    return stream.getvalue()


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
