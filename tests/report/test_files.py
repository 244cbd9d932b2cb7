"""Files for other programs: the schema of the JSON, objects as CSV, Parquet and data frame, detections as COCO."""

from __future__ import annotations

import builtins
import csv
import json
from importlib import resources

import pytest

from pytest_cropdet.causes.diagnostics.object_table import COLUMNS, object_table
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.report.coco_export import write_detections
from pytest_cropdet.report.object_file import write_objects
from pytest_cropdet.report.worker_files import WorkerFiles
from tests.report.made import lossy, told, without


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    schema = json.loads(resources.files("pytest_cropdet.report").joinpath("schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_json_is_as_its_schema_says(validator, gate):
    unexplained, _ = told(lossy(explain="off", max_drop=None))
    for record in (gate[0], unexplained):
        assert not [error.message for error in validator.iter_errors({"schema": 1, "gates": [record]})]
    assert {key for key in gate[0] if key != "test"} - {"anchors", "benchmark"} <= set(
        validator.schema["$defs"]["gate"]["properties"]
    )


@pytest.mark.parametrize("key", ["name", "verdict", "drop", "categories", "hidden", "verdicts", "steps"])
def test_the_schema_sees_what_is_missing_or_wrong(validator, gate, key):
    absent = {name: value for name, value in gate[0].items() if name != key}
    for wrong in (absent, {**gate[0], key: "wrong" if key != "name" else 3}):
        assert list(validator.iter_errors({"schema": 1, "gates": [wrong]}))
    assert not list(validator.iter_errors({"schema": 1, "gates": [without(gate[0], "fates", "where")]}))


def test_objects_are_counted_as_the_run_counts_them(run):
    table = object_table(run.scored, run.causes)
    fates = {name: table["fate"].count(name) for name in ("kept", "lost", "gained", "missed")}
    assert fates["lost"] == run.lost.over.sum()
    assert fates["gained"] == run.gained.over.sum()
    assert sum(fates.values()) == run.scored_objects == sum(table["scored"])
    steps = {name: table["step"].count(name) for name in ("context", "cut", "position", "scale")}
    told_steps = {name: int(each.over.sum()) for name, each in run.causes.fates.lost.items()}
    assert steps == told_steps  # nothing is gained in this run
    found = [row for row, fate in enumerate(table["fate"]) if fate in ("kept", "lost")]
    assert min(table["score_whole"][row] for row in found) >= run.hidden.score
    assert {table["score_crop"][row] for row, fate in enumerate(table["fate"]) if fate is None} == {None}


def test_csv_and_parquet_hold_the_same_rows(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    table = object_table(run.scored, None)
    write_objects(tmp_path / "o.csv", [("one", table), ("lost", None), ("two, three", table)])
    write_objects(tmp_path / "o.parquet", [("one", table), ("lost", None), ("two, three", table)])
    with (tmp_path / "o.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    columns = parquet.read_table(tmp_path / "o.parquet").to_pydict()
    assert list(columns) == ["gate", *COLUMNS] == list(rows[0])
    assert len(rows) == len(columns["gate"]) == 2 * len(table["image"])
    assert [row["gate"] for row in rows] == columns["gate"]
    assert [float(row["visibility"]) for row in rows] == columns["visibility"]
    assert [row["score_crop"] or None for row in rows] == [v if v is None else str(v) for v in columns["score_crop"]]
    assert columns["step"] == [None] * len(rows)


def test_a_run_is_a_data_frame_where_pandas_is(run, monkeypatch):
    pytest.importorskip("pandas", reason="needs pandas")
    frame = run.to_frame()
    assert list(frame.columns) == list(COLUMNS)
    assert (frame.fate == "lost").sum() == run.lost.over.sum()
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name == "pandas":
            raise ImportError("No module named 'pandas'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(CropdetError, match="pip install pandas"):
        run.to_frame()


def test_the_detections_of_every_rendering_are_written(run, tmp_path):
    write_detections(tmp_path, run)
    folder = tmp_path / "random"
    renderings = {"reference", "crop", "context", "cut", "moved", "placebo"}
    pairs = {f"{kind}-{name}" for kind in ("truth", "detections") for name in renderings}
    assert {path.stem for path in folder.iterdir()} == {"truth", *renderings, *pairs}
    for name in ("reference", "crop"):
        results = json.loads((folder / f"{name}.json").read_text())
        assert len(results) == len(run.detected[name])


def test_what_a_session_leaves_is_read_back_and_taken_away_with_what_is_old(tmp_path):
    import os

    parts = WorkerFiles(tmp_path, "ours")
    old, fresh = WorkerFiles(tmp_path, "old"), WorkerFiles(tmp_path, "fresh")
    for each in (parts, old, fresh):
        each.begin("t.py::test_a[x/y]", 0, "random")
    parts.begin("t.py::test_a[x/y]", 1, "tile")
    parts.finish("t.py::test_a[x/y]", 0, {"gallery": {}})
    (parts.folder / "run-broken.json").write_text("{")
    assert {key: each["done"] for key, each in parts.read().items()} == {
        ("t.py::test_a[x/y]", 0): True,
        ("t.py::test_a[x/y]", 1): False,
    }
    os.utime(old.folder, (0, 0))
    parts.remove()
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["fresh"]
    fresh.remove()
    assert list(tmp_path.iterdir()) == []
