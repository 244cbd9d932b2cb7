"""Markdown for a summary of CI, and annotations."""

from __future__ import annotations

import copy

from pytest_cropdet.report.github import annotations, github_summary
from pytest_cropdet.report.html import MissingResult
from tests.report.made import HOSTILE


def test_a_row_a_gate_failures_first_and_the_steps_of_what_did_not_pass(gate):
    passed = {**gate[0], "name": "good", "verdict": "pass"}
    text = github_summary([passed, gate[0]], [MissingResult("t.py::test_a", "did not run")])
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[1] for row in rows] == ["gate", "random", "good"]
    assert len({row.count("|") for row in rows}) == 1
    assert text.count("**random**: context lost") == 1
    assert "**good**" not in text
    assert "- t.py::test\\_a: did not run" in text


def test_names_stay_in_their_cell_and_are_no_markup(gate):
    for name in [*HOSTILE, "a | b", "line\nbreak", "[link](http://x)", "*bold* `code`"]:
        rows = [line for line in github_summary([{**gate[0], "name": name}]).splitlines() if line.startswith("| ")]
        assert len(rows) == 2
        plain = rows[1].replace("\\|", "")
        assert plain.count("|") == rows[0].count("|")
        assert "<" not in rows[1]
        assert "](" not in rows[1].replace("\\]\\(", "")


def test_what_is_odd_in_the_data_stands_below_the_table_once(gate):
    odd = [{"kind": "crowds", "count": 2, "example": "x", "text": "2 annotations are <b>crowds</b>"}]
    told = [{**gate[0], "name": name, "data_warnings": odd} for name in ("one", "two")]
    text = github_summary(told, checks=[{"name": "D1", "verdict": "pass", "kind": "invariant", "data_warnings": odd}])
    assert text.count("2 annotations are &lt;b&gt;crowds&lt;/b&gt;") == 1
    assert "Data:" not in github_summary([gate[0]])


def test_an_annotation_stands_in_one_line_and_is_an_error_only_where_the_gate_stops(gate):
    record = copy.deepcopy(gate[0])
    record["name"] = "a:b,c%"
    (line,) = annotations([record, {**record, "verdict": "pass"}])
    assert line.startswith("::error title=crop robustness%3A a%3Ab%2Cc%25::FAIL drop 0.")
    assert "> 0.050" in line
    for verdict in record["verdicts"]:
        verdict.update(outcome="undecided", passes=True, text="line\nbreak")
    (line,) = annotations([{**record, "verdict": "undecided"}])
    assert line.startswith("::warning ")
    assert line.endswith("::line%0Abreak")
