"""The section in the terminal: right at any width, in the colours of pytest, in ASCII where nothing else is shown."""

from __future__ import annotations

import copy
import io
from types import SimpleNamespace

import pytest
from _pytest._io import TerminalWriter

from pytest_cropdet.report.github import github_summary
from pytest_cropdet.report.html import MissingResult, html_page
from pytest_cropdet.report.limit_rows import named_apart
from pytest_cropdet.report.terminal import steps, table, write_summary
from tests.report.made import without


class Reporter:
    """A terminal of a width and an encoding."""

    def __init__(self, width=80, encoding="utf-8", verbosity=0, colour=False):
        self.bytes = io.BytesIO()
        self._tw = TerminalWriter(io.TextIOWrapper(self.bytes, encoding=encoding, write_through=True))
        self._tw.fullwidth, self._tw.hasmarkup = width, colour
        self.verbosity, self.config = verbosity, self
        self.section, self.encoding = (lambda title: self._tw.sep("=", title)), encoding

    def get_terminal_writer(self):
        return self._tw

    def write_line(self, line, **markup):
        self._tw.line(line, **markup)

    @property
    def lines(self):
        return self.bytes.getvalue().decode(self.encoding).splitlines()


def several(gate):
    long = "a-rather-long-name-of-a-model-on-a-data-set-random:keep=0.3-0.9,per_image=4"
    return [{**gate[0], "name": name, "verdict": verdict} for name, verdict in (("a", "pass"), (long, "fail"))]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("verbosity", [0, 1])
def test_no_line_is_longer_than_the_terminal_and_verdict_and_drop_always_show(gate, width, verbosity):
    reporter = Reporter(width, verbosity=verbosity)
    write_summary(
        reporter, several(gate), [MissingResult("t.py::test_long" + "x" * 200, "did not run")], "r/index.html"
    )
    assert max(map(len, reporter.lines)) <= width
    rows = [line for line in reporter.lines if line.startswith(("PASS", "FAIL"))]
    assert [f"{gate[0]['drop']['value']:.3f} [" in row for row in rows] == [True, True]
    assert reporter.lines[-1] == "report: r/index.html"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_what_is_odd_in_the_data_is_said_once_and_whole_at_any_width(gate, width):
    text = "12 masks do not fit their boxes (first: image 001.png: annotation 1): these masks are left out of the gate"
    odd = [{"kind": "mask_scale", "count": 12, "example": "x", "text": text}]
    reporter = Reporter(width)
    write_summary(reporter, [{**each, "data_warnings": odd} for each in several(gate)])
    assert max(map(len, reporter.lines)) <= width
    said = " ".join(" ".join(reporter.lines).split())
    assert said.count(f"data: {text}") == 1
    assert said.count("data: ") == 1


def test_a_wide_terminal_shows_all_columns_and_a_narrow_one_the_first_four(gate):
    head, row = table([gate[0]], 200)
    assert head.split() == ["verdict", "gate", "drop", "allowed", "whole", "->", "crop", "crops", "images", "objects"]
    assert row.endswith(str(gate[0]["objects"]))
    assert table([gate[0]], 45)[0].split() == ["verdict", "gate", "drop", "allowed"]


def test_bars_are_shown_once_and_of_what_passes_with_v(gate):
    def bars(verbosity, style="auto"):
        reporter = Reporter(verbosity=verbosity)
        reporter.option = SimpleNamespace(tbstyle=style)
        write_summary(reporter, several(gate))
        return sum("objects cut" in line for line in reporter.lines)

    assert (bars(0), bars(1), bars(-1)) == (0, 1, 0)  # the text of a failure, further up, has its bars
    assert (bars(0, "no"), bars(1, "no"), bars(-1, "no")) == (1, 2, 0)


def test_q_writes_nothing(gate):
    reporter = Reporter(verbosity=-1)
    write_summary(reporter, [gate[0]], page="p")
    assert reporter.lines == []


@pytest.mark.parametrize(("encoding", "block"), [("utf-8", "█"), ("ascii", "#"), ("cp1252", "#"), ("cp437", "█")])
def test_bars_are_blocks_where_the_encoding_has_them(gate, encoding, block):
    reporter = Reporter(encoding=encoding)
    reporter.option = SimpleNamespace(tbstyle="no")
    write_summary(reporter, [gate[0]])
    assert block * 4 in "\n".join(reporter.lines)


def test_verdicts_are_coloured_only_where_pytest_colours(gate):
    reporter = Reporter(colour=True)
    write_summary(reporter, several(gate))
    text = reporter.bytes.getvalue().decode()
    assert "\x1b[32mPASS" in text
    assert "\x1b[31mFAIL" in text
    plain = Reporter()
    write_summary(plain, several(gate))
    assert b"\x1b" not in plain.bytes.getvalue()


def test_gates_of_one_name_are_named_by_their_tests(gate):
    tests = {"test_day": "tests/test_crops.py::test_day[tile]", "test_night": "tests/test_crops.py::test_night[tile]"}
    records = [{**gate[0], "name": "tile", "test": test} for test in tests.values()]
    reporter = Reporter(160)
    write_summary(reporter, [*records, {**gate[0], "name": "random", "test": "tests/test_crops.py::test_day[random]"}])
    text = "\n".join(reporter.lines)
    assert all(f"  tile ({test})" in text for test in tests)
    assert "  random  " in text
    assert [each["name"] for each in records] == ["tile", "tile"]
    for shown in (github_summary(records).replace("\\", ""), html_page(records, [{}, {}])):
        assert all(f"tile ({test})" in shown for test in tests)
    twice = [{**gate[0], "name": "tile", "test": f"tests/test_{place}.py::test_it"} for place in "ab"]
    assert [each["name"] for each in named_apart(twice)] == [f"tile (tests/test_{place}.py::test_it)" for place in "ab"]
    of_one_test = [{**gate[0], "name": "tile", "test": "tests/test_a.py::test_it"}] * 2
    assert named_apart(of_one_test) == of_one_test


def test_a_step_that_is_not_distinguishable_has_no_bar_and_undefined_ones_are_said(gate):
    record = copy.deepcopy(gate[0])
    record["steps"] = [
        {"name": "context", "value": 0.2, "low": 0.1, "high": 0.3, "distinguishable": True},
        {"name": "cut", "value": 0.05, "low": -0.1, "high": 0.3, "distinguishable": False},
        {"name": "position", "value": None, "low": None, "high": None, "distinguishable": False},
        {"name": "scale", "value": -0.1, "low": -0.2, "high": -0.05, "distinguishable": True},
    ]
    lines = steps(record, 80, "#")
    assert lines[0] == f"    {'context lost':<21}  0.200  " + "#" * 20
    assert lines[1] == f"    {'objects cut':<21}  0.050  no clear effect"
    assert "undefined" in lines[2]
    assert lines[3] == f"    {'scale, aspect, frame':<21} -0.100  " + "#" * 10
    assert steps(without(record, "steps"), 80, "#") == []
    record["steps"][3]["value"] = -0.001
    assert steps(record, 80, "#")[3].endswith("-0.001  #"), "what is clear has a bar, however short"


@pytest.mark.parametrize("verdict", ["fail", "undecided", "pass"])
def test_twenty_five_columns_still_say_verdict_value_and_limit(gate, verdict):
    reporter = Reporter(25)
    reporter.option = SimpleNamespace(tbstyle="no")
    record = {**gate[0], "verdict": verdict, "name": "a-model-with-a-long-name-random"}
    write_summary(reporter, [record])
    lines = reporter.lines[1:]
    assert max(map(len, lines)) <= 25
    assert lines[0].startswith(f"{verdict.upper()} drop {gate[0]['drop']['value']:.3f}")
    assert "limit <= 0.050; a-model" in " ".join(" ".join(lines).split())
    shown = [line for line in lines if line.startswith(("  context", "  scale"))]
    assert len(shown) == (0 if verdict == "pass" else 2)
    assert all(line.split()[-1].lstrip("-")[:2] == "0." for line in shown)


def test_the_map_of_whole_images_is_said_once_for_each_model(gate):
    reporter = Reporter(120)
    other = {**gate[0], "whole_images": {**gate[0]["whole_images"], "mAP": 0.123}}
    write_summary(reporter, [gate[0], gate[0], other, {**gate[0], "whole_images": None}])
    told = [line.strip() for line in reporter.lines if "COCO" in line]
    assert len(told) == 2
    assert f"whole images {gate[0]['whole_images']['mAP']:.3f}" in told[0]
    assert "whole images 0.123" in told[1]
