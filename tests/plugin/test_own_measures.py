"""Measures of one's own in a test: the assertion fails with the run's text, and JSON and page have the number."""

TEST = """
import numpy as np


def unseen(tables, weights):
    seen = np.zeros(len(tables.counted), dtype=bool)
    rows = tables.matches["crop"].truth_of()[0]
    seen[rows[rows >= 0]] = True
    weight = tables.object_weights(weights)[tables.counted]
    return (weight * ~seen[tables.counted]).sum() / weight.sum()


def test_unseen(cropdet):
    assert cropdet.run("random:keep=0.8,per_image=1").measure(unseen, unit="of the objects") <= 0.1
"""


def run(project, model, *arguments, workers=0):
    named = (f"--cropdet-model={model}", f"--cropdet-data={project.data}", "--cropdet-json=out.json")
    return project.pytest(*named, *arguments, workers=workers)


def test_an_own_measure_passes_and_fails_like_a_built_in_one(project, workers):
    project.write(test_it=TEST)
    run(project, "fakes:perfect", workers=workers).assert_outcomes(passed=1)
    (gate,) = project.gates
    assert (gate["verdict"], gate["measures"][0]["name"], gate["measures"][0]["value"]) == ("pass", "unseen", 0.0)
    result = run(project, "fakes:blind", workers=workers)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*FAIL unseen 1.000 > 0.100: unseen is 1.000 of the objects*"])
    (gate,) = project.gates
    assert (gate["verdict"], gate["verdicts"][0]["measure"]) == ("fail", "unseen")
    page = (project.path / ".cropdet" / "report" / "index.html").read_text()
    assert "Further measures" in page


def test_the_page_without_any_does_not_speak_of_them(project):
    project.gate("fakes:perfect")
    assert "Further measures" not in (project.path / ".cropdet" / "report" / "index.html").read_text()
