"""The table of exit codes in docs/baseline.md: what a pipeline sees, and that the JSON says the same."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "baseline.md"

# Loses nothing; loses far more than 0.05; too few images for a verdict.
CASES = {
    "every gate passes": (("fakes:perfect",), 0, "pass"),
    "a gate fails": (("fakes:make",), 1, "fail"),
    "undecided, `fail` (the default)": (("fakes:make", "--cropdet-max-drop=0.5"), 1, "undecided"),
    "undecided, `pass`": (("fakes:make", "--cropdet-max-drop=0.5", "--cropdet-undecided=pass"), 0, "undecided"),
    "undecided, `point`, the value is over the limit": (
        ("fakes:make", "--cropdet-max-drop=0.49", "--cropdet-undecided=point"),
        1,
        "undecided",
    ),
    "undecided, `point`, the value is within the limit": (
        ("fakes:make", "--cropdet-max-drop=0.5", "--cropdet-undecided=point"),
        0,
        "undecided",
    ),
    "undecided for a reason that more data cannot cure, whatever the policy": (
        ("fakes:blind", "--cropdet-undecided=pass"),
        1,
        "undecided",
    ),
    "no result: the detector or the data cannot be read": (("fakes:cannot_load",), 1, None),
    "the options are wrong": (("fakes:make", "--cropdet-max-drop=7"), 4, None),
    "interrupted": (("fakes:interrupted",), 2, None),
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.subprocess) if case == "interrupted" else case for case in CASES],
)
def test_the_exit_code_of(case, project):
    (model, *options), code, verdict = CASES[case]
    result = project.gate(model, *options)
    assert int(result.ret) == code
    gates = project.gates if (project.path / "out.json").exists() else []
    assert [each["verdict"] for each in gates] == ([] if verdict is None else [verdict])


def test_nothing_collected_has_a_code_of_its_own(project):
    project.write(test_it="")
    assert int(project.pytest("test_it.py").ret) == 5


def test_the_page_lists_these_cases():
    rows = re.findall(r"^\| ([^|]+) \| (\d) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name.strip(): int(code) for name, code in rows} == {
        **{name: code for name, (_, code, _) in CASES.items()},
        "no test was collected": 5,
    }


class TestOneGateOfSeveral:
    BOTH = ("--cropdet-crops=random:keep=0.7-0.9,per_image=1", "--cropdet-crops=tile:size=32", "--cropdet-max-drop=0.5")

    def test_a_policy_may_be_of_one_gate(self, project):
        project.gate("fakes:make", *self.BOTH, "--cropdet-undecided=random=pass", "-v")
        by_name = {each["name"]: each for each in project.gates}
        assert by_name["random"]["verdict"] == "undecided"
        assert [each["passes"] for each in by_name["random"]["verdicts"]] == [True]

    def test_a_gate_that_there_is_not_is_named(self, project, said):
        result = project.gate("fakes:make", "--cropdet-undecided=rondom=pass")
        assert "--cropdet-undecided names rondom, but the gates of this session are random" in said(result)

    def test_a_word_that_is_no_policy_is_a_usage_error(self, project, said):
        result = project.gate("fakes:make", "--cropdet-undecided=random=maybe")
        assert int(result.ret) == 4
        assert "must be one of fail, pass, point, not 'maybe'" in said(result)
