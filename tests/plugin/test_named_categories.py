"""Aliases and groups as options: command line, ini file and marker; and in every check of the suite."""

from __future__ import annotations

import json

import pytest

NAMED = """
import fakes

def make():
    found = fakes.Finder()
    found.categories = {1: "ruby", 2: "limes", 3: "navy"}
    return found
"""
ALIASES = ("--cropdet-alias=red=ruby,crimson", "--cropdet-alias=blue=navy", "--cropdet-alias=green=lime")


def test_aliases_pair_a_detector_whose_names_are_others_in_every_check(project, said):
    project.write(named=NAMED)
    result = project.gate("named:make", *ALIASES, "--cropdet-checks=gate,search,invariants", "--cropdet-examples=8")
    assert project.gates[0]["pairing"]["merged"] == {"red": ["ruby"], "green": ["limes"], "blue": ["navy"]}
    assert project.gates[0]["drop"]["value"] == 0
    text = said(result)
    assert "though spelt differently: 'limes' = 'lime'" in text
    assert "the detector's 'ruby' mean 'red'" in text
    searched = next(each for each in project.checks if each["kind"] == "search")
    assert searched["verdict"] != "skip", "without the aliases it finds no object"


def test_without_them_both_lists_are_shown_with_the_option_to_set(project, said):
    project.write(named=NAMED)
    result = project.gate("named:make")
    result.assert_outcomes(failed=1)
    assert "the detector does not know 'red', 'green', 'blue' of the data set." in said(result)
    assert "--cropdet-alias='NAME=OTHER'" in said(result)


def test_a_group_is_given_in_the_ini_file_and_in_the_marker_and_may_have_a_limit(project):
    project.write(
        pytest_ini="[pytest]\ncropdet_group =\n    warm=red,green\n",
        test_own="""
import pytest

def test_ini(cropdet):
    run = cropdet.run(max_drop=0.9, by_category={"warm": 0.9})
    assert [each.name for each in run.categories if each.objects] == ["warm", "blue"]

@pytest.mark.cropdet(group="cold=green,blue", max_drop=["0.9", "cold=0.9"])
def test_marker(cropdet):
    run = cropdet.run()
    assert [each.name for each in run.categories if each.objects] == ["red", "cold"]
    assert cropdet.dataset.categories == {1: "red", 2: "green", 3: "blue"}
""",
    )
    result = project.pytest(
        "test_own.py", "--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}", "--cropdet-json=out.json"
    )
    result.assert_outcomes(passed=2)
    assert [gate["pairing"]["groups"] for gate in project.gates] == [
        {"warm": ["red", "green"]},
        {"cold": ["green", "blue"]},
    ]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--cropdet-alias=vehicle", "cropdet_alias must be NAME=OTHER,OTHER, not 'vehicle'"),
        ("--cropdet-group=a=b,,c", "cropdet_group must be NAME=OTHER,OTHER, not 'a=b,,c'"),
    ],
)
def test_what_is_no_list_ends_the_session_before_a_test_runs(project, said, option, sentence):
    result = project.gate("fakes:perfect", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert sentence in said(result)


def test_a_group_that_the_data_set_has_nothing_of_is_one_failure(project, said):
    result = project.gate("fakes:perfect", "--cropdet-group=animal=deer,fox")
    result.assert_outcomes(failed=1)
    assert "cropdet_group animal=deer,fox: the data set has none of these categories; it has red, green, blue" in said(
        result
    )


def test_files_and_the_check_with_pycocotools_have_the_group(project):
    result = project.gate(
        "fakes:perfect",
        "--cropdet-group=warm=red,green",
        "--cropdet-verify",
        "--cropdet-explain=always",
        "--cropdet-objects=objects.csv",
        "--cropdet-detections=coco",
    )
    assert result.ret in (0, 1)
    result.assert_outcomes(**{"passed" if result.ret == 0 else "failed": 1})
    assert project.gates[0]["evaluator"]
    rows = (project.path / "objects.csv").read_text().splitlines()
    place = rows[0].split(",").index("category")
    assert {row.split(",")[place] for row in rows[1:]} == {"warm", "blue"}
    truths = [json.loads(path.read_text()) for path in (project.path / "coco").rglob("*truth*.json")]
    assert truths
    for truth in truths:
        assert {each["id"]: each["name"] for each in truth["categories"]} == {1: "warm", 3: "blue"}
        assert {each["category_id"] for each in truth["annotations"]} == {1, 3}
