"""examples/ci: the numbers and entries that its scripts make of a result, and where MLflow and TFX take them."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import pytest

from tests.examples.conftest import CI, environment
from tests.report.made import benchmark, invariant, lossy, searched, told

MLFLOW = """
import json
import shutil
from pathlib import Path

HERE = Path(__file__).parent


def log_metrics(metrics):
    (HERE / "metrics.json").write_text(json.dumps(metrics))


def log_artifact(path):
    shutil.copy(path, HERE / "artifacts")
"""


def script(name):
    return runpy.run_path(str(CI / f"{name}.py"))


@pytest.fixture(scope="module")
def gate():
    return told(lossy())[0]


@pytest.fixture(scope="module")
def result(gate):
    checks = [invariant("fail", value=0.5), invariant("skip", "D9"), invariant("pass", "D12", 0.1), searched()]
    return {"gates": [gate], "benchmarks": [benchmark("bench/mark")], "checks": json.loads(json.dumps(checks))}


def changed(gate, outcome, passes, verdict=None):
    """A record with one limit of this outcome."""
    return {
        **gate,
        "verdict": verdict or outcome,
        "verdicts": [{**gate["verdicts"][0], "outcome": outcome, "passes": passes}],
    }


class TestFlatMetrics:
    def test_numbers_are_those_of_the_result(self, result, gate):
        found = script("flat_metrics")["flat_metrics"](result)
        assert found["random.drop.value"] == gate["drop"]["value"]
        assert found["random.drop.low"] == gate["drop"]["low"]
        assert found["random.ap.crop"] == gate["ap"]["crop"]
        assert found["bench_mark.mpc"] == result["benchmarks"][0]["benchmark"]["mpc"]["value"]
        assert found["D6-interior-object-found.value"] == 0.5
        assert not [name for name in found if ".worse." in name], "there is no old model"
        assert all(type(value) in (int, float) for value in found.values())

    @pytest.mark.parametrize(
        ("outcome", "passes", "verdict", "expected"),
        [
            ("pass", True, None, 1),
            ("fail", False, None, 0),
            ("undecided", False, None, 0),
            ("undecided", True, None, 1),  # --cropdet-undecided=pass
            ("pass", True, "error", 0),
        ],
    )
    def test_passes_is_what_stops_a_pipeline(self, gate, outcome, passes, verdict, expected):
        result = {"gates": [changed(gate, outcome, passes, verdict)], "benchmarks": [], "checks": []}
        assert script("flat_metrics")["flat_metrics"](result)["random.passes"] == expected

    def test_checks_are_judged_and_what_could_not_be_judged_is_left_out(self, result):
        found = script("flat_metrics")["flat_metrics"](result)
        passes = {name: value for name, value in found.items() if name.endswith(".passes") and name != "random.passes"}
        assert passes == {"D6-interior-object-found.passes": 0, "D12.passes": 1, "search.passes": 0}

    def test_judging_names_what_does_not_pass(self):
        judged = script("flat_metrics")["judged"]
        assert judged({"a.passes": 1.0, "a.drop.value": 0}) is None
        assert judged({"a.passes": 1.0, "b.passes": 0.0}) == "crop gate: did not pass: b"
        assert judged({"bench.mpc": 0.4}) == "crop gate: did not pass: there is no gate"

    def test_names_have_only_letters_that_mlflow_takes(self):
        assert script("flat_metrics")["plain"]("new-val/2-tile(size=320)") == "new-val_2-tile_size_320_"


class TestCodeQuality:
    @pytest.fixture
    def entries(self):
        code_quality = script("code_quality")["code_quality"]
        return lambda *gates, checks=(): code_quality(
            {"gates": gates, "benchmarks": [], "checks": checks}, "models/detector.tflite"
        )

    def test_a_limit_that_does_not_pass_is_an_entry(self, entries, gate):
        (entry,) = entries(changed(gate, "fail", False))
        assert (entry["severity"], entry["description"]) == ("major", gate["verdicts"][0]["text"])
        assert set(entry) == {"check_name", "description", "fingerprint", "severity", "location"}

    def test_what_is_undecided_and_let_pass_is_minor(self, entries, gate):
        assert [each["severity"] for each in entries(changed(gate, "undecided", True))] == ["minor"]
        assert [each["severity"] for each in entries(changed(gate, "undecided", False))] == ["major"]

    def test_a_gate_that_passes_is_none(self, entries, gate):
        assert entries(changed(gate, "pass", True)) == []

    def test_a_test_that_failed_for_another_reason_says_so(self, entries, gate):
        (entry,) = entries({**changed(gate, "pass", True, "error"), "test_error": "assert 1 == 2"})
        assert entry["description"] == "assert 1 == 2"

    def test_a_check_that_fails_is_one(self, entries, result):
        found = entries(checks=result["checks"])
        assert [each["check_name"] for each in found] == [
            "crop robustness: D6-interior-object-found",
            "crop robustness: search",
        ]
        assert all(isinstance(each["description"], str) for each in found)

    def test_the_fingerprint_is_of_the_limit_and_not_of_its_numbers(self, entries, gate):
        one, other = changed(gate, "fail", False), changed(gate, "fail", False)
        other["verdicts"][0] = {**other["verdicts"][0], "text": "other numbers"}
        named = {**one, "name": "tile"}
        prints = [each["fingerprint"] for each in entries(one, other, named)]
        assert prints[0] == prints[1] != prints[2]

    def test_no_result_blocks(self, entries):
        assert [each["severity"] for each in entries()] == ["blocker"]


@pytest.fixture
def results(tmp_path, result):
    """A folder of results as pytest.ini makes it."""
    folder = tmp_path / "crop-results"
    (folder / "report").mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "report" / "index.html").write_text("<!doctype html>")
    return folder


def log_to_mlflow(results, **more):
    command = [sys.executable, str(CI / "log_mlflow.py"), str(results)]
    env = {**environment(results.parent), **more}
    done = subprocess.run(command, cwd=results.parent, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.subprocess
class TestMlflow:
    def test_numbers_and_files_are_logged(self, results, result, tmp_path):
        """By a look-alike that takes what MLflow's functions of these names take."""
        folder = tmp_path / "look_alike"
        (folder / "artifacts").mkdir(parents=True)
        (folder / "mlflow.py").write_text(MLFLOW)
        log_to_mlflow(results, PYTHONPATH=str(folder))
        logged = json.loads((folder / "metrics.json").read_text())
        assert logged == script("flat_metrics")["flat_metrics"](result)
        assert {path.name for path in (folder / "artifacts").iterdir()} == {"result.json", "index.html"}

    @pytest.mark.slow
    def test_mlflow_itself_keeps_them(self, results, result, tmp_path):
        if find_spec("mlflow") is None:
            pytest.skip("needs MLflow: pip install mlflow")
        log_to_mlflow(results, MLFLOW_TRACKING_URI=(tmp_path / "store").as_uri(), MLFLOW_ALLOW_FILE_STORE="true")
        kept = {path.name: path for path in (tmp_path / "store").glob("*/*/metrics/*")}
        logged = {name: float(path.read_text().split()[1]) for name, path in kept.items()}
        assert logged == pytest.approx(script("flat_metrics")["flat_metrics"](result))
        assert {path.name for path in (tmp_path / "store").glob("*/*/artifacts/*")} == {"result.json", "index.html"}


class TestTfx:
    """By a look-alike with the names of TFX's v1 that the component uses."""

    @pytest.fixture
    def component(self, monkeypatch):
        def taking(name):
            return type(name, (), {"__class_getitem__": lambda self, item: (name, item)})

        kinds = {name: taking(name) for name in ("InputArtifact", "Parameter")}
        components = SimpleNamespace(component=lambda function: function, **kinds)
        v1 = ModuleType("tfx.v1")
        v1.dsl = SimpleNamespace(components=components)
        v1.types = SimpleNamespace(standard_artifacts=SimpleNamespace(Model="Model"))
        tfx = ModuleType("tfx")
        tfx.v1 = v1
        monkeypatch.setitem(sys.modules, "tfx", tfx)
        monkeypatch.setitem(sys.modules, "tfx.v1", v1)
        return script("tfx_gate")["CropGate"]

    @pytest.fixture
    def ends(self, monkeypatch):
        calls = []

        def end(code):
            def run(command, cwd, check):
                calls.append((command, cwd))
                return SimpleNamespace(returncode=code)

            monkeypatch.setattr(subprocess, "run", run)
            return calls

        return end

    def test_it_gates_the_exported_saved_model_in_the_project(self, component, ends):
        calls = ends(0)
        component(SimpleNamespace(uri="/pipeline/Trainer/model/7"), "/project")
        ((command, folder),) = calls
        assert command[:5] == [sys.executable, "-m", "pytest", "--pyargs", "pytest_cropdet.suite"]
        assert command[5] == "--cropdet-model=saved_model:/pipeline/Trainer/model/7/Format-Serving"
        assert folder == "/project"

    @pytest.mark.parametrize("code", [1, 2, 4, 5])
    def test_a_model_that_does_not_pass_stops_the_pipeline(self, component, ends, code):
        ends(code)
        with pytest.raises(RuntimeError, match=f"ended with exit code {code}; its report is in /project/crop-results"):
            component(SimpleNamespace(uri="/model"), "/project")

    def test_its_inputs_are_declared(self, component):
        assert component.__annotations__ == {"model": ("InputArtifact", "Model"), "project": ("Parameter", str)}
