"""Windows from a strategy in a gate: drawn once, listed in the JSON, read by workers and by the next run."""

import json

STRATEGY = """
import pytest
from pytest_cropdet import Drawn
from pytest_cropdet.strategies import crops

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


def test_a_gate_whose_windows_follow_from_a_spec_says_that_it_reads_no_plan(project):
    project.write(test_gate="def test_run(cropdet):\n    assert cropdet.run('tile:size=48').drop <= 0.9\n")
    (project.path / "mine.json").write_text("{}")
    rest = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}")
    result = project.pytest("test_gate.py", *rest, "--cropdet-plan=mine.json")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*--cropdet-plan=*mine.json is not read: the windows of 'tile:size=48' follow from the seed"]
    )
