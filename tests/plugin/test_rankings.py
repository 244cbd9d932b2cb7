"""Several models in one session: their ranking in the terminal, the JSON, the page and the summary of a job."""

import json
from importlib import resources

import pytest

MODELS = ("--cropdet-model=blind=fakes:blind", "--cropdet-model=good=fakes:perfect", "--cropdet-explain=off")


@pytest.fixture
def ranked(project):
    def rank(*arguments, workers=0):
        result = project.gate("cut=fakes:make", *MODELS, *arguments, workers=workers)
        return result, json.loads((project.path / "out.json").read_text())

    return rank


def test_models_on_the_same_crops_are_ranked(ranked, said, workers, project, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    result, content = ranked("--junitxml=junit.xml", workers=workers)
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    schema = json.loads(resources.files("pytest_cropdet.report").joinpath("schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(content)
    (ranking,) = content["rankings"]
    assert ranking["name"] == "random"
    assert [(each["name"], each["rank"]) for each in ranking["models"]] == [
        ("good", [1, 1]),
        ("cut", [2, 2]),
        ("blind", [3, 3]),
    ]
    assert [each["crop_ap"]["distinguishable"] for each in ranking["pairs"]] == [True] * 3
    gates = {gate["name"]: gate for gate in content["gates"]}
    for each in ranking["models"]:
        assert each["ap"] == gates[each["gate"]]["ap"]
        assert ranking["data"] == gates[each["gate"]]["data_digest"]
    assert "The highest mAP on crops: good, clearly higher" in said(result)
    assert "| 1 | good |" in (project.path / "summary.md").read_text()
    assert "cropdet.ranking" not in (project.path / "junit.xml").read_text()
    page = (project.path / ".cropdet/report/index.html").read_text()
    assert "Ranking: random" in page
    assert "The highest mAP on crops: good" in page


def test_each_gate_has_a_ranking_of_its_own(ranked):
    _, content = ranked("--cropdet-crops=tile", "--cropdet-crops=edge")
    assert [each["name"] for each in content["rankings"]] == ["edge", "tile"]
    assert {len(each["models"]) for each in content["rankings"]} == {3}


def test_one_model_has_no_ranking(project, said):
    result = project.gate("fakes:perfect")
    assert "ranking of" not in said(result)
    assert json.loads((project.path / "out.json").read_text())["rankings"] == []


def test_a_test_of_ones_own_with_other_parameters_has_a_ranking_for_each(project):
    project.write(
        test_own="""
        import pytest

        @pytest.mark.parametrize("keep", [0.6, 0.8])
        def test_it(cropdet, keep):
            run = cropdet.run(f"random:keep={keep},per_image=1")
            assert run.images == 60
        """.replace("\n        ", "\n")
    )
    given = ["--cropdet-model=a=fakes:make", "--cropdet-model=b=fakes:perfect", f"--cropdet-data={project.data}"]
    project.pytest(*given, "--cropdet-json=out.json", "--cropdet-report=off").assert_outcomes(passed=4)
    rankings = json.loads((project.path / "out.json").read_text())["rankings"]
    assert sorted(each["plan"] for each in rankings) == ["random:keep=0.6,per_image=1", "random:keep=0.8,per_image=1"]
    assert [[model["name"] for model in each["models"]] for each in rankings] == [["b", "a"]] * 2
