"""Invariants, searches and benchmarks in the results and on the page."""

from __future__ import annotations

import copy
import json
import re
from importlib import resources

import pytest

from pytest_cropdet.report.check_texts import sorted_checks
from pytest_cropdet.report.github import annotations, github_summary
from pytest_cropdet.report.html import MissingResult, html_page
from pytest_cropdet.report.junit import check_properties
from pytest_cropdet.report.terminal import checks_summary
from tests.report.made import HOSTILE, invariant, png, searched
from tests.report.test_page import Checked, titles
from tests.report.test_terminal import Reporter

CHECKS = [
    invariant("pass", "D1-repeatable", 0.0, 1e-6),
    invariant("fail", "D6-interior-object-found", 0.25, 0.2),
    invariant("skip", "D10-no-duplicates"),
    invariant("pass", "D15-conventions", 1.5, None),
]


@pytest.fixture(scope="module")
def lost():
    return searched()


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    schema = json.loads(resources.files("pytest_cropdet.report").joinpath("schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def shown(html):
    """The words of a page, each run of blanks as one."""
    read = Checked(html.partition("<script>")[0] + "</body></html>")
    return " ".join(" ".join(read.text).split())


# Records


def test_the_records_are_as_the_schema_says(validator, lost, benchmarked):
    nothing = {**lost, "verdict": "skip", "worst": None, "picture": None, "again": None}
    told = {"schema": 1, "gates": [], "benchmarks": [benchmarked], "checks": [*CHECKS, lost, searched(False), nothing]}
    assert not [error.message for error in validator.iter_errors(told)]


@pytest.mark.parametrize(
    ("place", "key", "wrong"),
    [
        ("invariant", "verdict", "undecided"),
        ("invariant", "value", "much"),
        ("invariant", "kind", "search"),
        ("invariant", "hint", 4),
        ("search", "worst", {}),
        ("search", "verdict", "undecided"),
        ("search", "windows", -1),
        ("benchmark", "benchmark", {}),
        ("benchmark", "seconds", 3),
    ],
)
def test_the_schema_sees_what_is_wrong_or_missing(validator, lost, benchmarked, place, key, wrong):
    record = {"invariant": CHECKS[1], "search": lost, "benchmark": benchmarked}[place]
    group = "benchmarks" if place == "benchmark" else "checks"
    for changed in ({**record, key: wrong}, {name: each for name, each in record.items() if name != key}):
        assert list(validator.iter_errors({"schema": 1, "gates": [], group: [changed]}))


def test_the_record_of_a_search_says_what_was_cut_and_how_to_see_it_again(lost):
    worst = lost["worst"]
    assert (lost["verdict"], worst["cut"], worst["crop"]) == ("fail", "cutting 7 px off the left", [7, 0, 113, 90])
    assert (worst["category"], worst["box"], worst["score_whole"]) == ("cat", [60.0, 30.0, 90.0, 60.0], 0.9)
    assert (worst["sample"], worst["size"], worst["visibility"]) == ("000.png", [120, 90], 1.0)
    assert lost["calls"] <= lost["windows"]
    assert (lost["picture"], lost["again"]) == ("search/one.png", "pytest --again")
    assert '@example(case=("000.png", Crop(left=7, top=0, width=113, height=90)))' in worst["test"]
    kept = searched(lost=False)
    assert (kept["verdict"], kept["reason"], kept["worst"]["lost"]) == ("pass", None, False)


def test_flat_properties_are_numbers_and_verdicts(lost):
    assert check_properties(CHECKS[1]) == {
        "cropdet.D6-interior-object-found.verdict": "fail",
        "cropdet.D6-interior-object-found.value": 0.25,
        "cropdet.D6-interior-object-found.allowed": 0.2,
    }
    assert check_properties(CHECKS[2]) == {"cropdet.D10-no-duplicates.verdict": "skip"}
    found = check_properties(lost)
    assert found["cropdet.search.verdict"] == "fail"
    assert found["cropdet.search.score_whole"] == 0.9
    assert {type(value) for value in found.values()} <= {str, int, float}


def test_the_order_does_not_depend_on_which_came_first(lost):
    checks = [*CHECKS, lost]
    assert sorted_checks(checks[::-1]) == sorted_checks(checks)
    names = [check["name"] for check in sorted_checks(checks[::-1])]
    assert names == ["D1-repeatable", "D6-interior-object-found", "D10-no-duplicates", "D15-conventions", "search"]


# The page


def test_checks_alone_make_a_page_failures_first_and_skipped_ones_folded(lost):
    html = html_page([], checks=[*CHECKS, lost], pictures=[None] * 4 + [png()], command="pytest --it")
    assert titles(html) == ["Search", "Invariants", "What was run"]
    text = shown(html)
    assert "2 of 4 checks fail, 1 could not be judged" in text
    assert re.findall(r'<td class="plain"[^>]*>(D\d+[\w-]+)</td>', html) == [
        "D6-interior-object-found",
        "D1-repeatable",
        "D15-conventions",
        "D10-no-duplicates",
    ]
    assert re.search(r"<details><summary>Could not be judged <span[^>]*>\(1 row\)", html)
    assert "only 3 confident objects" in text
    assert "An object is not found. 0.25 > 0.2: share of objects that are not found." in text
    assert "0.25 of 0.2 allowed" in html  # the bar
    assert f"data:image/png;base64,{png()}" in html
    assert "Cutting 7 px off the left is enough: cat scores 0.90 in the whole image and 0.09 in the crop" in text
    assert "def test_no_crop_loses_an_object(cropdet, case):" in html
    assert f"It looked at {lost['windows']} windows of 1 image, for {lost['calls']} detector calls." in text
    assert "No test came to an end" not in html
    read = Checked(html)
    links = {attributes["href"][1:] for tag, attributes in read.elements if tag == "a"}
    assert links <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))


def test_a_search_without_its_picture_says_where_it_may_lie(lost):
    assert "may lie at search/one.png" in html_page([], checks=[lost])
    without = {**lost, "picture": None, "no_picture": "needs matplotlib"}
    assert "There is no picture to show: needs matplotlib" in html_page([], checks=[without])


def test_a_search_that_loses_nothing_says_what_came_nearest():
    text = shown(html_page([], checks=[searched(lost=False)]))
    assert "The check passes" in text
    assert "No window lost an object. Nearest to it came cutting" in text
    nothing = {**searched(False), "verdict": "skip", "worst": None, "reason": "no object was found with CONFIDENCE"}
    text = shown(html_page([], checks=[nothing]))
    assert "No object was found with CONFIDENCE." in text
    assert "No check could be judged" in text


def test_pictures_of_searches_keep_the_page_below_5_mb(gate, lost):
    checks = [{**lost, "name": f"{number}-search"} for number in range(6)]
    record, left = copy.deepcopy(gate)
    entry = left["gallery"]["entries"][0]
    entry["pictures"] = {"whole": "A" * 150_000, "crop": "A" * 150_000}
    left["gallery"].update(entries=[entry] * 24, losing=24)
    html = html_page([record], [left], checks=checks, pictures=["B" * 700_000] * 6)
    assert len(html) < 5_000_000
    assert html.count("B" * 700_000) == 2
    assert html.count("There is no picture to show") == 4
    assert html.count("A" * 150_000) >= 8


def test_a_benchmark_alone_makes_a_page_with_its_numbers(benchmarked):
    html = html_page([], benchmarks=[benchmarked], command="pytest --it")
    assert titles(html) == ["By family", "By severity", "Control lines", "For a model card", "What was run"]
    text = shown(html)
    found = benchmarked["benchmark"]
    ratio = found["rpc"]
    assert f"Crops keep {ratio['value']:.0%} of AP" in text
    assert f"{ratio['value']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]" in text
    assert html.count('<td class="plain" data-key="edge"') == 1 + len(
        [c for c in found["cells"] if c["family"] == "edge"]
    )
    defined = [cell for cell in found["cells"] if cell["crop"]["value"] is not None]
    assert len(defined) > 8
    for cell in defined:
        assert f"{cell['reference']['value']:.3f} → {cell['crop']['value']:.3f}" in text
    assert "Left out: severities 2, 4" in text
    assert all(note in text for note in found["notes"])
    assert "cropdet-benchmark 1 quick" in text
    assert "AP at the worst shift" in text


def test_what_a_benchmark_cannot_tell_is_said_and_not_drawn(benchmarked):
    record = copy.deepcopy(benchmarked)
    nothing = {"value": None, "low": None, "high": None}
    found = record["benchmark"]
    found.update(mpc=nothing, rpc=nothing, shifts=None)
    for each in [*found["families"], *found["cells"]]:
        each.update(reference=nothing, crop=nothing, drop=nothing, ratio=nothing)
    html = html_page([], benchmarks=[record])
    text = shown(html)
    assert "The benchmark has no rPC" in text
    assert "undefined → undefined" in text
    assert "AP at the worst shift" not in text
    assert "NaN" not in text
    assert "None" not in text


def test_everything_on_one_page_failures_first_benchmarks_last(gate, benchmarked, lost):
    passed = {**gate[0], "verdict": "pass"}
    html = html_page(
        [passed], [gate[1]], [MissingResult("t.py::a", "did not run")], benchmarks=[benchmarked], checks=[lost]
    )
    assert re.findall(r"<bdi>([\w-]+)</bdi></h2>", html) == ["random", "Checks", "benchmark"]
    assert re.search(r"</span> The gate passes, the check fails, crops keep \d+% of AP, 1 without result</h1>", html)
    assert html.index("<bdi>Checks</bdi></summary>") < html.index("<bdi>benchmark</bdi></summary>")
    read = Checked(html)
    assert len(read.ids) == len(set(read.ids))
    order = html_page([passed, {**gate[0], "verdict": "fail"}], [gate[1]] * 2, checks=[CHECKS[0]])
    assert re.findall(r"<bdi>([\w-]+)</bdi></h2>", order) == ["random", "random", "Checks"]


def hostile(lost, benchmarked):
    """Checks and a benchmark whose names are all hostile."""
    worst = {**lost["worst"], "sample": HOSTILE[1], "category": HOSTILE[0], "test": HOSTILE[4]}
    search = {**lost, "worst": worst, "again": HOSTILE[0], "name": HOSTILE[2], "dataset": HOSTILE[3]}
    checks = [invariant("fail", HOSTILE[place], 0.25) for place in range(5)]
    checks += [invariant("skip", HOSTILE[0]), search]
    record = copy.deepcopy(benchmarked)
    record.update(name=HOSTILE[1], dataset=HOSTILE[0], detector={"name": HOSTILE[4]})
    record["benchmark"].update(notes=[HOSTILE[0]], left_out=[HOSTILE[1]], categories=list(HOSTILE))
    return checks, record


def test_hostile_names_are_text_everywhere(lost, benchmarked):
    checks, record = hostile(lost, benchmarked)
    html = html_page([], benchmarks=[record], checks=checks, pictures=[None] * 6 + [png()])
    read = Checked(html)
    assert [tag for tag, _ in read.elements].count("script") == 1
    assert not [value for _, attributes in read.elements for name, value in attributes.items() if name.startswith("on")]
    assert not [attributes for tag, attributes in read.elements if tag == "img" and attributes.get("src") == "x"]
    assert HOSTILE[0] in "".join(read.text)


# Other places


def test_the_summary_names_what_fails_and_what_a_benchmark_comes_to(lost, benchmarked):
    text = github_summary([], (), [*CHECKS, lost], [benchmarked])
    assert "2 of 4 checks fail, 1 could not be judged:" in text
    assert "- ❌ **D6-interior-object-found**: An object is not found. 0.25 \\> 0.2" in text.replace("&gt;", "\\>")
    assert "- ❌ **search**: cat lost: 0.90 in the whole image" in text
    assert "D1-repeatable" not in text
    assert re.search(
        r"\*\*benchmark\*\*: mPC 0\.\d{3} \[.*\], rPC 0\.\d{3} \[.*\]; lost by family: random 0\.\d{3}", text
    )
    assert github_summary([], (), [CHECKS[0]]).split("\n\n")[-2].strip() == "The check passes."
    checks, record = hostile(lost, benchmarked)
    assert "<" not in github_summary([], (), checks, [record])


def test_a_check_that_fails_is_annotated(lost):
    lines = annotations([], [*CHECKS, lost])
    assert [line.partition("::")[2].partition("::")[0] for line in lines] == [
        "error title=crop robustness%3A D6-interior-object-found",
        "error title=crop robustness%3A search",
    ]


@pytest.mark.parametrize("width", [60, 200])
def test_with_v_the_terminal_shows_what_was_measured(lost, width):
    reporter = Reporter(width, verbosity=1)
    checks_summary(reporter, [*CHECKS, lost])
    assert max(map(len, reporter.lines)) <= width
    assert [line.split()[:4] for line in reporter.lines[1:]] == [
        ["pass", "D1-repeatable", "0", "of"],
        ["fail", "D6-interior-object-found", "0.25", "of"],
        ["pass", "D15-conventions", "1.5", "of"],
    ]
    quiet = Reporter(width)
    checks_summary(quiet, CHECKS)
    assert quiet.lines == []


HINT = "objects are found better in another way: set --cropdet-detector resize=letterbox\n  0.4 instead of 0.3 <b>"


@pytest.mark.parametrize("width", [40, 200])
def test_a_hint_is_on_the_terminal_the_page_and_in_the_summary_and_fails_nothing(width):
    checks = [CHECKS[0], invariant("pass", "D15-conventions", 1.5, None, hint=HINT)]
    assert (checks[1]["verdict"], checks[1]["hint"]) == ("pass", HINT)
    reporter = Reporter(width)
    checks_summary(reporter, checks)
    assert max(map(len, reporter.lines)) <= width
    said = " ".join(" ".join(reporter.lines[1:]).split())
    assert said == f"hint D15-conventions: {' '.join(HINT.split())}"
    silent = Reporter(width, verbosity=-1)
    checks_summary(silent, checks)
    assert silent.lines == []
    html = html_page([], checks=checks)
    assert f"Hint: {' '.join(HINT.split())}" in shown(html)
    assert "<b>" not in html
    assert "D15-conventions**, hint: objects are found better" in github_summary([], (), checks)
    assert annotations([], checks) == []
