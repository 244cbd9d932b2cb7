"""Windows from a strategy in a gate: drawn once, listed in the JSON, read by workers and by the next run."""

import json

import pytest

STRATEGY = """
import pytest
from pytest_cropdet import Drawn
from pytest_cropdet.crops.strategies import crops

def around(sample):
    with open("drawn.txt", "a") as stream:
        stream.write("drawn\\n")
    return crops(sample.width, sample.height, min_side=32)

@pytest.mark.parametrize("number", range(2))
def test_run(cropdet, number):
    assert cropdet.run(around, name="around", per_image=1).drop <= 0.9

@pytest.mark.cropdet(crops=Drawn(around, "around", per_image=1))
def test_marker(cropdet):
    assert cropdet.run().drop <= 0.9
"""


@pytest.mark.slow
def test_it_is_drawn_once_whatever_the_workers_and_repeated_from_its_file(project, workers):
    project.write(test_gate=STRATEGY)
    rest = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}", "--cropdet-json=out.json")
    first = project.pytest("test_gate.py", *rest, workers=workers)
    first.assert_outcomes(passed=3)
    assert (project.path / "drawn.txt").read_text().count("drawn") == 60
    windows = [gate["windows"] for gate in project.gates]
    assert windows == [windows[0]] * 3
    assert len(windows[0]) == 60
    assert {gate["name"] for gate in project.gates} == {"around"}
    assert {gate["plan"] for gate in project.gates} == {"drawn:name=around,per_image=1"}

    (kept,) = (project.path / ".cropdet" / "plans").glob("*.json")
    content = json.loads(kept.read_text())
    content["windows"] = {name: [[1, 2, 50, 40]] for name in content["windows"]}
    (project.path / "mine.json").write_text(json.dumps(content))
    project.pytest("test_gate.py", *rest, "--cropdet-plan=mine.json").assert_outcomes(passed=3)
    assert project.gates[0]["windows"]["000.png"] == [[1, 2, 50, 40]]
    assert project.pytest("test_gate.py", *rest, "--cropdet-plan=nowhere.json").ret == 4


def test_a_plan_that_no_gate_reads_is_told_whatever_warnings_are(project):
    project.write(test_gate="def test_run(cropdet):\n    assert cropdet.run('tile:size=48').drop <= 0.9\n")
    plan = {"schema": 1, "name": "around", "strategy": "", "windows": {}}
    (project.path / "mine.json").write_text(json.dumps(plan))
    rest = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}")
    result = project.pytest("test_gate.py", *rest, "--cropdet-plan=mine.json", "-Werror")
    result.assert_outcomes(passed=1)
    told = "*--cropdet-plan=*mine.json was read by no gate: none has windows of a strategy called 'around'"
    result.stdout.fnmatch_lines([told])


TWO = """
import pytest
from pytest_cropdet import Drawn
from pytest_cropdet.crops.strategies import crops

def wide(sample):
    return crops(sample.width, sample.height, min_side=40)

def narrow(sample):
    return crops(sample.width, sample.height, min_side=20)

def test_wide(cropdet):
    assert cropdet.run(wide, name="wide", per_image=1).drop <= 0.9

def test_narrow(cropdet):
    assert cropdet.run(narrow, name="narrow", per_image=1).drop <= 0.9

def test_taken(cropdet):
    cropdet.run(narrow, name="wide", per_image=1)

def test_without_a_name(cropdet):
    cropdet.run(wide)

def test_a_spec_with_a_name(cropdet):
    cropdet.run("random", name="wide")

@pytest.mark.cropdet(plan="nowhere.json")
def test_no_plan(cropdet):
    cropdet.run(wide, name="wide", per_image=1)
"""


@pytest.mark.slow
def test_a_plan_serves_the_strategy_of_its_name_and_a_name_is_of_one_strategy(project, said):
    project.write(test_gate=TWO)
    rest = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}", "--cropdet-json=out.json")
    first = project.pytest("test_gate.py", *rest)
    first.assert_outcomes(passed=2, failed=3, errors=1)
    text = said(first)
    assert "were drawn by another strategy of that name: give one of them another name" in text
    assert "give name='around', say" in text
    assert "name= and per_image= are of a strategy; 'random' says its own" in text
    assert "nowhere.json: no such file" in text
    kept = next((project.path / ".cropdet" / "plans").glob("wide-*.json"))
    content = json.loads(kept.read_text())
    content["windows"] = {name: [[1, 2, 50, 40]] for name in content["windows"]}
    (project.path / "mine.json").write_text(json.dumps(content))
    again = project.pytest("test_gate.py", *rest, "--cropdet-plan=mine.json", "-k", "wide or narrow")
    again.assert_outcomes(passed=2, deselected=4)
    windows = {gate["name"]: gate["windows"]["000.png"] for gate in project.gates}
    assert windows["wide"] == [[1, 2, 50, 40]] != windows["narrow"]
