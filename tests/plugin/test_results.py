"""Where results go: JSON, JUnit properties, the summary; whatever happens to the run."""

import json
import shutil
from pathlib import Path

import pytest

from pytest_cropdet.report.records import write_json

KEYS = {
    *("name", "verdict", "limit", "metric", "drop", "ap", "ap50", "ap75", "images", "crops", "objects"),
    *("distinct_objects", "model_calls", "seconds", "seed", "plan", "detector", "dataset", "categories"),
}
CATEGORY_KEYS = {"name", "reference", "crop", "drop", "objects", "images"}


def without_seconds(gates):
    return sorted(({**gate, "seconds": None} for gate in gates), key=lambda gate: gate["name"])


@pytest.mark.subprocess
def test_the_json_is_complete_and_the_same_on_workers(project):
    models = ("--cropdet-model=fakes:perfect", "--cropdet-seed=3", "--junitxml=junit.xml", "--cropdet-metric=AP50")
    assert project.gate("fakes:make", *models).ret == 1
    plain, cases = project.gates, project.cases()
    assert project.gate("fakes:make", *models, workers=2).ret == 1
    assert without_seconds(plain) == without_seconds(project.gates)
    assert sorted(cases) == sorted(project.cases())

    content = json.loads((project.path / "out.json").read_text())
    assert content["schema"] == 1
    for gate in content["gates"]:
        assert set(gate) >= KEYS
        assert set(gate["seconds"]) == {"model", "total"}
        assert [set(each) >= CATEGORY_KEYS for each in gate["categories"]] == [True] * 3
        assert (gate["seed"], gate["metric"], gate["images"], gate["crops"]) == (3, "AP50", 60, 60)
        assert gate["model_calls"] >= 120
        assert gate["drop"]["value"] == pytest.approx(gate["ap50"]["reference"] - gate["ap50"]["crop"])
    # JUnit: flat values, and nothing of the record that travels
    for _, name, properties in cases:
        gate = next(gate for gate in plain if f"[{gate['name']}]" in name)
        assert properties[f"cropdet.{gate['name']}.verdict"] == gate["verdict"]
        assert float(properties[f"cropdet.{gate['name']}.drop"]) == gate["drop"]["value"]
        assert all("{" not in value for value in properties.values())


@pytest.mark.subprocess
def test_what_was_measured_is_written_when_the_run_is_interrupted_or_stops(project):
    interrupted = project.gate("fakes:perfect", "--cropdet-model=fakes:interrupted")
    assert interrupted.ret == 2
    assert [gate["name"] for gate in project.gates] == ["perfect-random"]
    assert project.gate("fakes:make", "--cropdet-model=fakes:perfect", "-x").ret == 1
    assert [gate["name"] for gate in project.gates] == ["make-random"]


@pytest.mark.subprocess
def test_a_worker_that_dies_takes_no_other_results_along(project):
    result = project.gate("fakes:make", "--cropdet-model=fakes:dying", workers=2)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*crashed while running*test_map_drop*dying*"])
    assert [gate["name"] for gate in project.gates] == ["make-random"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "new" / "out.json"
    write_json(target, [{"name": "first"}])
    with pytest.raises(ValueError, match="Out of range"):
        write_json(target, [{"name": float("nan")}])

    def full(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write_json(target, [{"name": "second"}])
    assert [path.name for path in target.parent.iterdir()] == ["out.json"]
    assert json.loads(target.read_text())["gates"] == [{"name": "first"}]


def test_a_place_that_cannot_be_written_costs_one_warning_also_where_warnings_are_errors(project, said):
    (project.path / "blocked").write_text("")
    result = project.gate("fakes:perfect", "--cropdet-json=blocked/out.json", "-W", "error", "-q")
    assert result.ret == 0
    assert said(result).count("blocked/out.json could not be written") == 1
    assert "INTERNALERROR" not in said(result)


def test_warnings_of_detector_and_data_break_no_run_where_warnings_are_errors(project):
    folder = project.path / "flat"
    shutil.copytree(project.data, folder)
    content = json.loads((folder / "shapes.json").read_text())
    content["annotations"].append({"id": 999, "image_id": 0, "category_id": 1, "bbox": [3, 3, 0, 5]})
    (folder / "shapes.json").write_text(json.dumps(content))
    project.write(pytest_ini="[pytest]\nfilterwarnings = error\n")
    result = project.gate("fakes:warning", f"--cropdet-data={folder}", "-W", "error")
    result.assert_outcomes(passed=2, warnings=2)
    result.stdout.fnmatch_lines(["*1 box without area is left out (image 000.png: annotation 999)*"])
    result.stdout.fnmatch_lines(["*this format is old*"])


@pytest.mark.subprocess
def test_a_run_writes_nothing_but_what_was_asked_for_and_is_quiet_when_asked(project, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    before = set(project.path.rglob("*"))
    result = project.gate("fakes:make", "-q", "-p", "no:cacheprovider", "--cropdet-report=off")
    harness = {"runpytest-0", "runpytest-current", "stdout", "stderr"}
    assert {path.name for path in set(project.path.rglob("*")) - before} - harness == {"out.json", "notes.txt"}
    result.stdout.no_fnmatch_line("*crop robustness*")
    result.stdout.no_fnmatch_line("cropdet:*")
    result.stdout.fnmatch_lines(["FAILED *0.* > 0.050*", "1 failed in *"])
