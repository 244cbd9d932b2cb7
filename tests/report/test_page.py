"""The page: every section where its key is there, nothing where it is not, failures first, and one file."""

from __future__ import annotations

import builtins
import copy
import re
from html.parser import HTMLParser

import pytest

from pytest_cropdet.errors import CropdetError
from pytest_cropdet.report.html import MissingResult, html_page
from tests.report.made import HOSTILE, anchors, lossy, many_categories, picture, told, without

SECTIONS = {
    "steps": "Why it dropped",
    "labels": "Labels that changed",
    "shift": "Object size, shape and position at the model input",
    "errors": "Kinds of mistakes",
    "bias": "Bias of boxes",
    "controls": "Controls",
    "anchors": "Anchors",
}


def titles(html):
    return re.findall(r"<h3[^>]*>([^<]*)</h3>", html)


class Checked(HTMLParser):
    """Reads a page: elements, their attributes, text; every element must be closed by its own end."""

    VOID = ("meta", "link", "img", "input", "br", "hr")

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.text, self.elements = [], [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_a_whole_record_shows_all_sections_in_the_order_in_which_one_asks(gate):
    record, left = gate
    label = {"from": "a", "to": "b", "count": 2, "examples": []}
    record = {**record, "anchors": anchors(), "labels": {"flipped": [label], "righted": []}}
    html = html_page([record], [left], command="pytest --cropdet-model=m", versions=[("python", "3.11")])
    assert titles(html) == [
        "Why it dropped",
        "The fate of each object",
        "Worst crops",
        "Where it dropped",
        "Map of misses",
        "Labels that changed",
        "Object size, shape and position at the model input",
        "Anchors",
        "Kinds of mistakes",
        "Bias of boxes",
        "Controls",
        "What was run",
    ]
    assert "pytest --cropdet-model=m" in html
    read = Checked(html)
    assert len(read.ids) == len(set(read.ids))
    links = {attributes["href"][1:] for tag, attributes in read.elements if tag == "a"}
    assert links <= set(read.ids)


@pytest.mark.parametrize("key", SECTIONS)
def test_a_section_is_there_where_its_key_is_and_is_left_out_cleanly_where_it_is_not(gate, key):
    record = {**gate[0], "anchors": anchors()}
    label = {"from": "a", "to": "b", "count": 2, "examples": []}
    record["labels"] = {"flipped": [label], "righted": []}
    assert SECTIONS[key] in titles(html_page([record], [gate[1]]))
    for absent in (without(record, key), {name: value for name, value in record.items() if name != key}):
        html = html_page([absent], [gate[1]])
        assert SECTIONS[key] not in titles(html)
        Checked(html)


def test_a_record_of_which_only_the_verdict_is_known_makes_a_page(gate):
    record = without(gate[0], *SECTIONS, "fates", "where", "hint", "worst", "deterministic")
    html = html_page([record])
    assert titles(html) == ["Where it dropped", "What was run"]  # by category, which is always known
    assert "undefined" not in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)


def test_what_is_undefined_is_said_and_never_drawn_as_a_number(gate):
    record = copy.deepcopy(gate[0])
    record["drop"].update(value=None, low=None, high=None)
    record["ap"] = {"reference": None, "crop": None}
    record["controls"]["chain"]["ap"] = dict.fromkeys(record["controls"]["chain"]["ap"])
    for step in record["steps"]:
        step.update(value=None, low=None, high=None, distinguishable=False)
    html = html_page([record], [gate[1]])
    assert "undefined" in html
    assert "From whole image to crop" not in html  # no waterfall
    shown = "".join(Checked(html.partition("<script>")[0] + "</body></html>").text)
    assert "NaN" not in shown
    assert "None" not in shown


def test_failures_come_first_and_every_gate_has_its_place(gate):
    record, left = gate
    gates = [{**record, "name": f"gate-{verdict}", "verdict": verdict} for verdict in ("pass", "undecided", "fail")]
    html = html_page(gates, [left] * 3)
    order = re.findall(r"<bdi>(gate-\w+)</bdi></h2>", html)
    assert order == ["gate-fail", "gate-undecided", "gate-pass"]
    assert "FAIL: 3 gates: 1 fails, 1 is undecided, 1 passes</title>" in html
    assert html_page([gates[0]]).count("The gate passes") == 1


def test_what_names_hold_is_text_wherever_it_stands(gate):
    record, left = copy.deepcopy(gate)
    hostile = HOSTILE[0]
    for category in record["categories"]:
        category["name"] = hostile
    for each in record["where"]["category"]:
        each["label"] = hostile
    record["labels"] = {"flipped": [{"from": hostile, "to": HOSTILE[1], "count": 1, "examples": []}], "righted": []}
    record.update(name=hostile, dataset=HOSTILE[1], test=hostile, plan=hostile)
    record["verdicts"][0]["text"] = HOSTILE[4]
    for entry in left["gallery"]["entries"]:
        entry["image"] = HOSTILE[1]
        for each in [*entry["objects"], *entry["boxes"]["crop"], *entry["boxes"]["reference"]]:
            each["category"] = hostile
    html = html_page([record], [left], [MissingResult(hostile, HOSTILE[1])], command=hostile)
    read = Checked(html)
    assert [tag for tag, more in read.elements if "type" not in more].count("script") == 1  # the others hold data
    assert not [value for _, attributes in read.elements for name, value in attributes.items() if name.startswith("on")]
    assert hostile in "".join(read.text)
    assert "alert(1)" in html


def test_the_page_asks_for_nothing_from_elsewhere(gate):
    html = html_page([gate[0]], [gate[1]])
    read = Checked(html)
    for _, attributes in read.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", html)
    policies = [
        attributes["content"] for tag, attributes in read.elements if tag == "meta" and "http-equiv" in attributes
    ]
    assert policies[0].startswith("default-src 'none'; img-src data:;")


def test_a_histogram_says_from_where_to_where_it_is_drawn(gate):
    record = copy.deepcopy(gate[0])
    groups = record["shift"]["groups"]
    empty = {"whole": [0, 2, 2, 0], "crop": [0, 0, 4, 0], "training": [0, 0, 4, 0]}
    table = {"edges": [-2.0, -1.0, 0.0, 1.0, 2.0], **{name: empty[name] for name in groups}}
    record["shift"]["histograms"] = {"size": table, "x": table}
    html = html_page([record])
    assert f"Object size in {record['shift']['unit']} (0.5 to 2, logarithmic)" in html
    assert "Place, left to right (-1 to 1)" in html


def test_categories_with_too_few_objects_are_in_the_table_and_not_drawn(gate):
    record = many_categories(gate[0], 20)
    for each in record["where"]["category"][3:]:
        each["lost"] = dict.fromkeys(each["lost"])
    html = html_page([record])
    assert "Category (the 3 with enough objects of 20)" in html
    chart = html.partition("Category (the 3 with")[2].partition("</svg>")[0]
    assert "category 0002" in chart
    assert "category 0003" not in chart
    for each in record["where"]["category"]:
        each["lost"] = dict.fromkeys(each["lost"])
    html = html_page([record])
    assert "Category: all numbers" in html
    assert "Category (" not in html
    assert "AP lost by category, on an axis of its own (the 12 that lose most of 20)" in html


def test_many_changes_of_labels_show_the_most_frequent_and_fold_the_rest(gate):
    flips = [{"from": f"a{n}", "to": "b", "count": 99 - n, "examples": []} for n in range(30)]
    html = html_page([{**gate[0], "labels": {"flipped": flips, "righted": []}}])
    shown = html.partition("The 12 most frequent of 30")[2].partition("<details>")[0]
    assert re.findall(r">(a\d+)<", shown) == [f"a{n}" for n in range(12)]
    assert "(30 rows)" in html


def test_twelve_hundred_categories_are_folded_with_their_count(gate):
    html = html_page([many_categories(gate[0], 1200)], [gate[1]])
    assert "(1,200 rows)" in html
    assert html.count("<details") >= 3
    assert "the 12 that lose most of 1,200" in html
    assert len(html) < 3_000_000


def test_the_worst_crops_are_limited_by_number_and_by_size_and_the_rest_is_counted(gate):
    record, left = copy.deepcopy(gate)
    entry = left["gallery"]["entries"][0]
    entry["pictures"] = {"whole": "A" * 150_000, "crop": "A" * 150_000}
    left["gallery"].update(entries=[entry] * 24, losing=5000)
    html = html_page([record] * 3, [left] * 3)
    assert len(html) < 5_000_000
    shown = [int(number) for number in re.findall(r"these are the (\d+) that lost most", html)]
    assert len(shown) == 3
    assert min(shown) >= 1
    assert [f"{5000 - number:,} more are not shown" in html for number in shown] == [True] * 3
    alone = html_page([record], [left])
    assert "these are the 11 that lost most, 4,989 more are not shown" in alone


def test_a_picture_that_cannot_be_read_leaves_its_boxes_numbers(gate):
    record, left = copy.deepcopy(gate)
    left["gallery"]["entries"][0]["pictures"] = None
    assert "Its picture could not be read." in html_page([record], [left])


def test_tests_without_a_result_are_named_with_the_reason():
    html = html_page(
        [], unfinished=[MissingResult("t.py::test_a", "did not run"), MissingResult("t.py::test_b", "crashed")]
    )
    assert "No test came to an end, 2 without result" in html
    assert "t.py::test_b" in html


def test_agreement_without_truth_makes_a_page():
    run = lossy()
    record, left = told(run)
    record.update(metric="lost", limit=None)
    left["gallery"]["agreement"] = True
    html = html_page([record], [left])
    assert "truth: confident detections in the whole image" in html
    assert "share found" in html


def test_one_image_one_category_and_nothing_lost_make_a_page(gate):
    record, left = copy.deepcopy(gate)
    record = many_categories(record, 1)
    left["gallery"].update(losing=0, entries=[])
    html = html_page([record], [left])
    assert "No crop lost an object" in html
    assert "(1 row)" in html


def test_without_jinja_the_line_that_installs_it_is_named(monkeypatch, gate):
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name == "jinja2":
            raise ImportError("No module named 'jinja2'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(CropdetError, match=re.escape("pip install 'pytest-cropdet[report]'")):
        html_page([gate[0]])


def test_a_page_is_the_same_each_time(gate):
    assert html_page([gate[0]], [gate[1]]) == html_page([gate[0]], [gate[1]])
    assert picture() in html_page([gate[0]], [_with_picture(gate[1])])


def _with_picture(left):
    changed = copy.deepcopy(left)
    changed["gallery"]["entries"][0]["pictures"] = {"whole": picture(), "crop": picture()}
    return changed
