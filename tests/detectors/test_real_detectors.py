"""The gate on real detectors and real photographs: what a user runs, from the command line to the JSON."""

import json

import pytest

from pytest_cropdet import load_dataset, load_detector
from pytest_cropdet.search.dataset_search import search

pytest.importorskip("tensorflow")

WINDOWS = "random:keep=0.3,per_image=6"
KEYS = {
    "name",
    "verdict",
    "limit",
    "metric",
    "drop",
    "ap",
    "ap50",
    "ap75",
    "images",
    "crops",
    "objects",
    "distinct_objects",
    "model_calls",
    "seconds",
    "seed",
    "plan",
    "detector",
    "dataset",
    "categories",
    "verdict_reason",
    "speaks_for",
    "cap",
    "controls",
    "looks",
    "model_calls_spared",
    "hidden",
    "operating_point",
    "evaluator",
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """One folder of kept detections for the module, so that each picture is detected once."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def gate(pytester, assets, kept, monkeypatch):
    for name in ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)

    def run(model, *arguments):
        result = pytester.runpytest_subprocess(
            "--pyargs",
            "pytest_cropdet.suite",
            f"--cropdet-model={assets / 'models' / model}",
            f"--cropdet-data={assets / 'data' / 'coco-open-dev'}",
            f"--cropdet-cache={kept}",
            "--cropdet-json=out.json",
            *arguments,
        )
        return result, json.loads((pytester.path / "out.json").read_text())["gates"]

    return run


def settled(gate):
    """What of a gate must not differ from run to run."""
    return {key: value for key, value in gate.items() if key not in ("seconds", "model_calls")}


def test_centernet_loses_on_crops_and_the_gate_says_so(gate):
    result, (first,) = gate("centernet_coco/saved_model", f"--cropdet-crops={WINDOWS}", "--cropdet-max-drop=0.01")
    assert result.ret == 1
    assert set(first) >= KEYS
    assert (first["images"], first["crops"]) == (116, 696)
    assert 812 + 3 * 696 < first["model_calls"] <= 812 + 4 * 696  # the same pixels count once
    assert first["verdict"] == "fail"
    assert first["ap"]["reference"] > first["ap"]["crop"] > 0.05
    assert first["drop"]["value"] == pytest.approx(first["ap"]["reference"] - first["ap"]["crop"], abs=1e-12)
    assert 0.02 < first["drop"]["low"] < first["drop"]["value"] < first["drop"]["high"] < 0.2
    assert first["controls"]["geometric_floor"] > 0.02
    steps = {step["name"]: step for step in first["steps"]}
    assert sum(step["value"] for step in steps.values()) == pytest.approx(first["drop"]["value"], abs=1e-12)
    for name in ("context", "cut"):
        assert steps[name]["distinguishable"]
        assert 0.01 < steps[name]["value"] < 0.12

    parallel, (second,) = gate(
        "centernet_coco/saved_model", f"--cropdet-crops={WINDOWS}", "--cropdet-max-drop=0.01", "-n2", "--cropdet-verify"
    )
    assert parallel.ret == 1
    assert second["model_calls"] == 0
    assert second["settings"].pop("verify") is not first["settings"].pop("verify")  # all that was asked for differently
    assert settled(second) == settled(first)


def test_a_crop_that_keeps_everything_costs_exactly_nothing(gate):
    _, (identity,) = gate("centernet_coco/saved_model", "--cropdet-crops=random:keep=1.0,per_image=1")
    assert identity["drop"]["value"] == 0
    assert identity["ap"]["reference"] == identity["ap"]["crop"]


def test_the_smallest_cut_that_loses_an_object_costs_few_calls(assets):
    detector = load_detector(assets / "models" / "centernet_coco" / "saved_model")
    *_, found = search(detector, load_dataset(assets / "data" / "coco-open-dev"), seed=1)
    worst = found.worst
    assert worst.lost
    assert worst.score_whole >= 0.5 > 0.3 > worst.score_crop
    assert found.calls <= 60


def test_a_detector_capped_at_ten_boxes_is_not_let_pass(gate, assets):
    model = next((assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite"))
    result, (capped,) = gate(
        model.relative_to(assets / "models"),
        "--cropdet-crops=random:keep=0.3,per_image=2",
        "--cropdet-max-drop=0.3",
        "--cropdet-min-ap=0",
        "--cropdet-explain=off",
    )
    assert result.ret == 1
    assert capped["verdict"] == "undecided"
    assert capped["cap"] == {"share": 1.0, "rows": 10, "binds": True}
    assert capped["controls"]["equal_boxes"] > capped["drop"]["value"]
