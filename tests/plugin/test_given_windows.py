"""Windows that a test gives itself, in the fixture."""

from __future__ import annotations

TESTS = """
from pytest_cropdet import Crop, make_plan

def test_mapping(cropdet):
    assert cropdet.run({"000.png": [Crop(0, 0, 50, 40)]}, name="mine", explain="off").crops == 1

def test_function(cropdet):
    run = cropdet.run(lambda sample: [Crop(0, 0, sample.width, sample.height)] * 2, name="whole", explain="off")
    assert run.crops == 2 * len(cropdet.dataset)

def test_plan(cropdet):
    plan = make_plan(cropdet.dataset, "tile:size=48", seed=5)
    assert cropdet.run(plan, explain="off").plan.windows == plan.windows

def test_several(cropdet):
    cropdet.run(["tile:size=48", "edge"], explain="off")

def test_wrong(cropdet):
    cropdet.run({"000.png": [Crop(0, 0, 5000, 40)]})
"""


def test_are_cut_and_listed_in_the_json(project, said):
    project.write(test_gate=TESTS)
    result = project.pytest(
        "test_gate.py", "--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}", "--cropdet-json=out.json"
    )
    result.assert_outcomes(passed=4, failed=1)
    assert "Crop(left=0, top=0, width=5000, height=40) is not inside 000.png" in said(result)
    gates = {gate["name"]: gate for gate in project.gates}
    assert gates["mine"]["windows"] == {name: [] for name in gates["mine"]["windows"]} | {"000.png": [[0, 0, 50, 40]]}
    assert gates["mine"]["plan"].startswith("windows:name=mine,hash=")
    assert {"mine", "whole", "tile", "tile+edge"} <= set(gates)
    assert gates["tile"]["windows"]
    assert gates["tile+edge"]["windows"] is None
