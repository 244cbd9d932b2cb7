"""The first screen of the page: what one decides by, at any width, with and without JavaScript."""

from __future__ import annotations

import copy
import re

import pytest

from pytest_cropdet.report.html import MissingResult, html_page
from tests.report.made import HOSTILE, invariant, lossy, picture, told, write_page
from tests.report.test_browser import browser, opened, playwright  # noqa: F401  (fixtures)


def pictured(gate):
    record, left = copy.deepcopy(gate)
    for entry in left["gallery"]["entries"]:
        entry["pictures"] = {"whole": picture(), "crop": picture()}
    return record, left


@pytest.fixture(scope="module")
def undecided():
    run = lossy(max_drop=lossy(explain="off").drop.value + 0.02)
    assert run.verdict == "undecided"
    record, left = pictured(told(run))
    record["name"] = "unsure"
    return record, left


def first(html):
    """The text of the header."""
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("<header")[2].partition("</header>")[0]).split())


@pytest.mark.parametrize(
    ("verdicts", "checks", "unfinished", "word"),
    [
        (["pass"], [], [], "PASS"),
        (["pass", "undecided"], [], [], "UNDECIDED"),
        (["undecided", "fail"], [], [], "FAIL"),
        (["error"], [], [], "FAIL"),
        (["none"], [], [], "MEASURED"),
        (["pass"], ["fail"], [], "FAIL"),
        (["pass"], ["skip"], [], "PASS"),
        ([], ["skip"], [], "UNDECIDED"),
        ([], ["pass"], [], "PASS"),
        (["pass"], [], [MissingResult("t.py::a", "did not run")], "NO RESULT"),
        ([], [], [MissingResult("t.py::a", "did not run")], "NO RESULT"),
    ],
)
def test_the_verdict_is_a_word_the_worst_of_gates_and_checks(gate, verdicts, checks, unfinished, word):
    records = [{**gate[0], "verdict": each} for each in verdicts]
    html = html_page(records, unfinished=unfinished, checks=[invariant(each, value=0.1) for each in checks])
    assert re.findall(r"<span class=\"badge [\w ]+\">([A-Z ]+)</span>", html)[0] == word
    assert f"<title>Crop robustness: {word}: " in html


def test_a_row_for_each_limit_and_each_check_that_fails_gates_first(gate, undecided):
    checks = [invariant("fail", "D1-repeatable", 0.5, 0.2), invariant("pass", "D6-interior-object-found", 0.1)]
    html = html_page([undecided[0], gate[0]], checks=[*checks, invariant("skip")])
    words = re.findall(r'class="word \w+">(\w+)<.*?href="#([\w-]+)">([^<]*)<', html)
    assert words == [
        ("FAIL", "g1", "random"),
        ("UNDECIDED", "g2", "unsure"),
        ("FAIL", "c1-invariants", "D1-repeatable"),
        ("PASS", "c1", "D6-interior-object-found"),
        ("SKIPPED", "c1", "D6-interior-object-found"),
    ]
    drop, ap = gate[0]["drop"], gate[0]["ap"]
    row = html.partition('href="#g1">random')[2].partition("</tr>")[0]
    assert f"{drop['value']:.3f} [{drop['low']:.3f}, {drop['high']:.3f}]" in row
    assert "≤ 0.050" in row
    assert f"mAP {ap['reference']:.3f} → {ap['crop']:.3f}" in row
    assert f">{gate[0]['images']}<" in row


def test_a_good_has_the_limit_that_it_must_reach(gate):
    record = copy.deepcopy(gate[0])
    good = {**record["verdicts"][0], "measure": "ratio", "operator": ">=", "limit": 0.9, "value": 0.95}
    record["verdicts"].append(good)
    assert "≥ 0.900" in html_page([record])


def test_model_data_version_date_commit_and_what_undecided_does_are_named(gate):
    record = copy.deepcopy(gate[0])
    record["detector"].update(name="tflite:/long/way/ssd.tflite", fingerprint="0123456789abcdef0123")
    record["dataset"] = "/long/way/scenes/instances.json"
    record["settings"]["undecided"] = "point"
    origin = [("date", "2026-01-31 12:00 UTC"), ("commit", "abc123def456 with changes")]
    text = first(html_page([record], versions=[("pytest-cropdet", "1.2.3")], origin=origin))
    for part in (
        "file tflite:ssd.tflite fingerprint 0123456789ab",
        "data scenes/instances.json",
        "date 2026-01-31 12:00 UTC",
        "commit abc123def456 with changes",
        "pytest-cropdet 1.2.3",
        "undecided counts as what the value alone says",
    ):
        assert part in text
    assert f"mAP of whole images (COCO) {record['whole_images']['mAP']:.3f}" in text
    assert "/long/way" not in text


def test_several_models_and_the_baseline_are_side_by_side(gate):
    one, other = copy.deepcopy(gate[0]), copy.deepcopy(gate[0])
    one.update(name="a-random")
    one["detector"].update(name="tflite:a.tflite", fingerprint="a" * 64)
    other.update(name="b-random")
    other["detector"].update(name="tflite:b.tflite", fingerprint="b" * 64)
    other["against"] = {
        "old": {"name": "tflite:/x/old.tflite", "fingerprint": "c" * 64},
        "ap": {"old": {"reference": 0.7, "crop": 0.4}, "new": {"reference": 0.7, "crop": 0.6}},
    }
    html = html_page([one])
    assert re.findall(r'class="n" dir="auto">([^<]*)</th>', html) == ["model"]
    from pytest_cropdet.report.html.decision import decide

    shown = decide([("g1", one, None), ("g2", other, None)], [], "two", 0)
    assert [each.name for each in shown.models] == ["a", "b", "baseline"]
    table = {row: [each.cells[place] for each in shown.models] for place, row in enumerate(shown.model_rows)}
    assert table["file"] == ["tflite:a.tflite", "tflite:b.tflite", "tflite:old.tflite"]
    assert table["fingerprint"] == ["a" * 12, "b" * 12, "c" * 12]
    assert table["mAP, whole → crop"][2] == "0.700 → 0.400"
    assert table["drop"][2] == "0.300"


def test_what_to_do_has_the_images_that_would_decide_the_advice_and_the_recipe(gate, undecided):
    needed = undecided[0]["verdicts"][0]["images_to_decide"]
    assert needed > undecided[0]["images"]
    html = html_page([undecided[0]])
    box = html.partition('id="to-do"')[2].partition("</section>")[0]
    assert f"About {needed:,} images would be enough" in box
    assert "pytest_cropdet.augment import" in box
    assert "What to do" not in html_page([{**gate[0], "verdict": "pass"}])
    recovered = {"value": 0.05, "low": 0.02, "high": 0.08}
    trial = {
        "name": "wider",
        "parameters": {"margin": 32},
        "ap_won_back": recovered,
        "calls_a_crop": 1.0,
        "chosen": True,
    }
    record = {**undecided[0], "advice": {**undecided[0]["advice"], "mitigations": [trial]}}
    box = html_page([record]).partition('id="to-do"')[2].partition("</section>")[0]
    assert "wider (margin 32) (chosen)" in box
    assert "0.050 [0.020, 0.080]" in box


def test_on_a_narrow_screen_verdict_and_numbers_are_on_the_first_screen(opened, undecided, gate, tmp_path):  # noqa: F811
    it = opened(write_page(tmp_path / "index.html", undecided, pictured(gate), origin=[("date", "d")]), width=400)
    assert it.page.evaluate("document.documentElement.scrollWidth") == 400
    for place in ("h1 .badge", "tr.gate:nth-child(1) .value", "tr.gate:nth-child(2) .value"):
        box = it.page.locator(place).bounding_box()
        assert box["y"] + box["height"] <= 640


def test_a_wide_screen_shows_the_worst_crop_beside_the_verdict(opened, gate, tmp_path):  # noqa: F811
    it = opened(write_page(tmp_path / "index.html", pictured(gate)), width=1280)
    worst, table = (it.page.locator(each).bounding_box() for each in (".worst img >> nth=1", "table.verdicts"))
    assert worst["x"] > table["x"] + table["width"]
    assert worst["y"] + worst["height"] < 900
    assert it.page.locator(".worst figcaption").inner_text().startswith("Worst crop: ")
    it.page.locator(".worst a").first.click()
    assert it.page.evaluate("location.hash") == "#g1-crops"


def test_the_recipe_is_copied_whole_by_its_button(opened, gate, tmp_path):  # noqa: F811
    it = opened(write_page(tmp_path / "index.html", gate))
    it.context.grant_permissions(["clipboard-read", "clipboard-write"])
    it.page.locator(".copied button").click()
    it.page.wait_for_function("document.querySelector('.copied button').textContent === 'copied'")
    assert it.page.evaluate("navigator.clipboard.readText()") == gate[0]["advice"]["code"]


def test_without_scripts_the_decision_and_the_recipe_can_be_read(opened, gate, tmp_path):  # noqa: F811
    it = opened(write_page(tmp_path / "index.html", gate), scripts=False)
    assert it.page.locator(".recipe code").is_visible()
    assert it.page.locator(".copied button").count() == 0
    assert it.page.locator("h1 .badge").inner_text() == "FAIL"


def test_the_navigation_marks_where_one_is(opened, gate, tmp_path):  # noqa: F811
    it = opened(write_page(tmp_path / "index.html", gate), width=1280)
    marked = it.page.locator("nav [aria-current]")
    assert marked.all_inner_texts() == ["Decision"]
    it.page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    it.page.locator("#g1-where").evaluate("each => each.scrollIntoView()")
    playwright.expect(marked).to_have_text("Where it dropped")
    assert marked.count() == 1
    navigation = it.page.locator("nav").bounding_box()
    assert 0 <= navigation["y"] < 30
    assert navigation["height"] <= 900


def test_hostile_names_on_the_first_screen_are_text(opened, gate, tmp_path):  # noqa: F811
    record, left = pictured(gate)
    record.update(name=HOSTILE[0], dataset=HOSTILE[1])
    record["detector"].update(name=HOSTILE[4], fingerprint=HOSTILE[3])
    record["advice"].update(code=HOSTILE[4], sentences=[HOSTILE[0]])
    left["gallery"]["entries"][0].update(image=HOSTILE[0])
    it = opened(write_page(tmp_path / "index.html", (record, left), origin=[("commit", HOSTILE[0])]))
    assert it.page.locator("td.name").inner_text() == HOSTILE[0]
    assert it.page.locator(".recipe code").inner_text() == HOSTILE[4]
    assert it.page.locator("script:not([type])").count() == 1


def test_printed_are_the_decision_the_causes_and_six_crops_on_four_pages(opened, gate, tmp_path):  # noqa: F811
    record, left = pictured(gate)
    left["gallery"].update(entries=left["gallery"]["entries"][:1] * 12, losing=12)
    it = opened(write_page(tmp_path / "index.html", (record, left), command="pytest"), width=1000)
    it.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    pages = len(re.findall(rb"/Type\s*/Page[^s]", it.page.pdf(format="A4")))
    it.page.emulate_media(media="print")
    assert it.visible("li.crop") == 6
    assert it.page.locator("table.verdicts").is_visible()
    assert it.page.locator("#g1-why svg").is_visible()
    assert it.visible("#g1-where") == it.visible("nav") == 0
    assert pages <= 4


def test_a_cause_has_one_colour_in_waterfall_and_fates(opened, gate, tmp_path):  # noqa: F811
    it = opened(write_page(tmp_path / "index.html", gate))
    colour = "each => getComputedStyle(each).fill"
    clear = [step["name"] for step in gate[0]["steps"] if step["distinguishable"]]
    assert clear
    for name in clear:
        bars = [f"#g1-why .f-{name}", f"#g1-fates .f-{name}"]
        shown = {it.page.locator(bar).first.evaluate(colour) for bar in bars if it.page.locator(bar).count()}
        assert len(shown) == 1


def test_net_losses_have_bounds_and_the_page_says_that_ap_and_objects_are_two_questions(gate):
    fates = gate[0]["fates"]
    for name, net in fates["net"].items():
        assert net["count"] == fates["lost"][name]["count"] - fates["gained"][name]["count"]
        assert net["low"] <= net["value"] <= net["high"]
    html = html_page([gate[0]], [gate[1]])
    assert "net missed" in html
    assert "AP lost and objects missed answer two questions" in html
    assert "net missed" not in html_page([{**gate[0], "fates": {k: v for k, v in fates.items() if k != "net"}}])
