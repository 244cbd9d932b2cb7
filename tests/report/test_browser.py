"""The page in a real browser: what it does when it is used, and that everybody can use it."""

from __future__ import annotations

import copy
import shutil

import pytest

from tests.report.made import HOSTILE, anchors, many_categories, picture, png, searched, write_page
from tests.report.test_checks import CHECKS, hostile

playwright = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WORST = ".gallery > .crops"  # the others are folded
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


class Opened:
    """A page in the browser, with what it complained of and what it asked for."""

    def __init__(self, browser, path, width=1200, scheme="light", scripts=True):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def visible(self, selector):
        return self.page.locator(f"{selector} >> visible=true").count()


@pytest.fixture
def opened(browser, request):
    pages = []

    def open_(path, **more):
        pages.append(Opened(browser, path, **more))
        return pages[-1]

    yield open_
    for each in pages:
        each.context.close()
        assert not each.said, "the page complained"
        assert not [url for url in each.asked if not url.startswith(("file:", "data:"))], "the page asked elsewhere"


@pytest.fixture(scope="module")
def path(gate, tmp_path_factory):
    record, left = copy.deepcopy(gate)
    record["anchors"] = anchors()
    return write_page(tmp_path_factory.mktemp("page") / "index.html", (record, left), command="pytest -n2")


@pytest.fixture(scope="module")
def full(gate, benchmarked, tmp_path_factory):
    """A page with a gate, checks and a benchmark."""
    checks, target = [*CHECKS, searched()], tmp_path_factory.mktemp("full") / "index.html"
    told = {"benchmarks": [benchmarked], "checks": checks, "pictures": [None] * 4 + [png(1170, 500)]}
    return write_page(target, gate, command="pytest -n2", **told)


@pytest.fixture(params=["path", "full"])
def each_page(request):
    return request.getfixturevalue(request.param)


def column(page, table, number):
    return page.locator(table).locator(f"tbody td:nth-child({number})").all_inner_texts()


def test_toggles_hide_and_show_the_boxes_of_one_kind(opened, path):
    it = opened(path)
    it.page.locator("[data-only-lost]").uncheck()
    kinds = ("truth", "reference", "detected")
    before = {kind: it.visible(f".box.{kind}") for kind in kinds}
    assert all(before.values())
    for kind in kinds:
        box = it.page.locator(f"[data-show={kind}]")
        box.uncheck()
        assert {name: it.visible(f".box.{name}") for name in kinds} == {**before, kind: 0}
        box.check()
    assert {kind: it.visible(f".box.{kind}") for kind in kinds} == before


def test_lost_only_leaves_the_lost_objects_and_what_was_found_on_them(opened, path):
    it = opened(path)
    lost = it.page.locator(f"{WORST} .box.truth.lost").count()
    assert 0 < lost < it.page.locator(f"{WORST} .box.truth").count()
    assert it.page.locator("[data-only-lost]").is_checked()  # as the page opens
    assert it.visible(".controls .key") == it.page.locator(".controls .key").count() == 4  # each layer keeps its key
    assert it.visible(".box.truth") == it.visible(".box.truth.lost") == lost
    assert it.visible(".box.reference") == it.visible(".box.reference.of-lost") > 0
    it.page.locator("[data-only-lost]").uncheck()
    assert it.visible(".box.truth") == it.page.locator(f"{WORST} .box.truth:not(.ignored)").count()
    it.page.locator("[data-ignored]").check()
    assert it.visible(".box.truth") == it.page.locator(f"{WORST} .box.truth").count()


def test_large_pictures_take_the_whole_width(opened, path):
    it = opened(path, width=1600)
    before = it.page.locator("li.crop").first.bounding_box()["width"]
    it.page.locator("[data-large]").check()
    assert it.page.locator("li.crop").first.bounding_box()["width"] > 1.8 * before


def test_the_slider_shows_boxes_from_a_score_on_and_begins_at_the_operating_point(opened, path, gate):
    it = opened(path)
    scores = it.page.eval_on_selector_all(f"{WORST} [data-score]", "all => all.map(each => Number(each.dataset.score))")
    point = gate[1]["gallery"]["score"]

    it.page.locator("[data-only-lost]").uncheck()

    def shown():
        return it.visible("[data-score]")

    assert shown() == sum(score >= point for score in scores) < len(scores)
    for least in (0, 0.8, 1):
        it.page.locator("[data-least]").fill(str(least))
        assert shown() == sum(score >= least for score in scores)
        assert it.page.locator(".gallery output").inner_text() == f"{least:.2f}"


def test_columns_sort_both_ways_numbers_as_numbers_and_the_undefined_last(opened, gate, tmp_path):
    record, left = copy.deepcopy(gate)
    values = [0.5, -0.25, None, 9.0, 10.0]
    first = record["categories"][0]
    record["where"] = None
    record["categories"] = [{**first, "name": name, "reference": v} for name, v in zip("baedc", values, strict=True)]
    it = opened(write_page(tmp_path / "index.html", (record, left)))
    it.page.locator("summary", has_text="All categories").click()
    table = "table:has(caption:has-text('All categories'))"
    heads = it.page.locator(f"{table} th")
    numbers = heads.nth(1).locator("button")
    numbers.click()
    assert column(it.page, table, 2) == ["10.000", "9.000", "0.500", "\u22120.250", "-"]
    assert heads.nth(1).get_attribute("aria-sort") == "descending"
    numbers.press("Enter")
    assert column(it.page, table, 2) == ["\u22120.250", "0.500", "9.000", "10.000", "-"]
    assert heads.nth(1).get_attribute("aria-sort") == "ascending"
    heads.nth(0).locator("button").click()
    assert column(it.page, table, 1) == sorted("baedc")
    assert heads.nth(1).get_attribute("aria-sort") is None


def test_everything_can_be_reached_and_used_with_the_keyboard_alone(opened, path):
    it = opened(path)
    it.page.keyboard.press("Tab")
    assert it.page.evaluate("document.activeElement.className") == "skip"
    it.page.keyboard.press("Enter")
    reached = set()
    for _ in range(400):
        it.page.keyboard.press("Tab")
        reached.add(it.page.evaluate("(e => e.tagName + (e.type ? ':' + e.type : ''))(document.activeElement)"))
    assert {"INPUT:checkbox", "INPUT:range", "SUMMARY", "BUTTON:button"} <= reached
    it.page.locator("[data-show=truth]").focus()
    it.page.keyboard.press("Space")
    assert it.visible(".box.truth") == 0
    summary = it.page.locator("main summary").first
    was = summary.evaluate("each => each.parentElement.open")
    summary.focus()
    it.page.keyboard.press("Enter")
    assert summary.evaluate("each => each.parentElement.open") is not was


def test_without_scripts_everything_can_be_read(opened, path):
    it = opened(path, scripts=False)
    assert it.visible("form.controls") == 0
    assert it.visible(".box.truth.lost") > 0
    assert it.visible("[data-score].weak") == 0
    assert it.page.locator("th button").count() == 0
    assert it.page.locator("h3", has_text="Controls").is_visible()


def test_hostile_names_are_shown_as_text(opened, gate, tmp_path):
    record, left = copy.deepcopy(gate)
    for place, category in enumerate(record["categories"]):
        category["name"] = HOSTILE[place % len(HOSTILE)]
    for place, each in enumerate(record["where"]["category"]):
        each["label"] = HOSTILE[place % len(HOSTILE)]
    for place, entry in enumerate(left["gallery"]["entries"]):
        entry["image"] = HOSTILE[place % len(HOSTILE)]
        for each in [*entry["objects"], *entry["boxes"]["crop"], *entry["boxes"]["reference"]]:
            each["category"] = HOSTILE[0]
    record["name"] = HOSTILE[2]
    it = opened(write_page(tmp_path / "index.html", (record, left)))
    files = it.page.locator(f"{WORST} .file").all_inner_texts()
    assert set(HOSTILE) == set(files)
    assert it.page.locator("article h2").first.inner_text().endswith(HOSTILE[2])
    assert it.page.locator("script:not([type])").count() == 1
    assert it.page.locator(".box.truth.lost text").first.text_content() == f"✕ {HOSTILE[0]}"


def test_hostile_names_of_checks_and_benchmarks_are_shown_as_text(opened, benchmarked, tmp_path):
    checks, record = hostile(searched(), benchmarked)
    more = {"checks": checks, "benchmarks": [record], "pictures": [None] * 6 + [png()]}
    it = opened(write_page(tmp_path / "index.html", **more))
    table = "table:has(caption:has-text('All that could be judged'))"
    assert column(it.page, table, 2) == HOSTILE
    assert it.page.locator("article h2").last.inner_text() == HOSTILE[1]
    assert it.page.locator("script:not([type])").count() == 1
    assert it.page.locator("pre", has_text="</style>").count() == 2  # the test to paste, and the row of the model card


def test_invariants_sort_by_how_much_of_what_is_allowed_they_use(opened, full):
    it = opened(full)
    table = "table:has(caption:has-text('All that could be judged'))"
    assert column(it.page, table, 2) == ["D6-interior-object-found", "D1-repeatable", "D15-conventions"]
    heads = it.page.locator(f"{table} th button")
    heads.nth(2).click()
    assert column(it.page, table, 3) == ["1.5", "0.25", "0"]
    heads.nth(4).click()
    assert column(it.page, table, 2) == ["D6-interior-object-found", "D1-repeatable", "D15-conventions"]
    heads.nth(4).click()
    assert column(it.page, table, 2) == ["D1-repeatable", "D6-interior-object-found", "D15-conventions"]
    assert it.visible(f"{table} svg") == 2


def test_the_navigation_leads_to_every_section_of_every_article(opened, full):
    it = opened(full)
    names = it.page.locator("nav summary bdi").all_inner_texts()
    assert sorted(names) == ["Checks", "benchmark", "random"]
    it.page.evaluate("for (const each of document.querySelectorAll('nav details')) each.open = true")
    for link in it.page.locator("nav a").all():
        assert it.page.locator(link.get_attribute("href")).count() == 1
    it.page.locator("nav a", has_text="By severity").click()
    assert it.page.evaluate("location.hash") == "#b1-severities"


def test_the_picture_of_a_search_is_as_wide_as_its_place_and_scrolls_on_a_narrow_screen(opened, full):
    wide = opened(full, width=1600).page.locator(".picture img")
    assert wide.evaluate("each => each.naturalWidth") == 1170
    assert wide.bounding_box()["width"] >= 1000
    narrow = opened(full, width=400)
    assert narrow.page.locator(".picture img").bounding_box()["width"] >= 600
    assert narrow.page.locator(".picture .scroll").evaluate("each => each.scrollWidth > each.clientWidth")


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_letters_keep_their_size(opened, each_page, width, scheme):
    it = opened(each_page, width=width, scheme=scheme)
    assert it.page.evaluate("document.documentElement.scrollWidth") == width
    for chart in it.page.locator("svg.chart:not(.heat)").all()[:6]:
        letters = chart.locator("text")
        if letters.count():
            assert letters.first.evaluate("each => parseFloat(getComputedStyle(each).fontSize)") >= 12
    ground = it.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}[scheme]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_shuts_anybody_out(opened, each_page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    # the policy of the page forbids scripts that are not its own: axe is put in where it does not hold
    bare = each_page.with_name("bare.html")
    html = each_page.read_text(encoding="utf-8")
    start = html.index('<meta http-equiv="Content-Security-Policy"')
    bare.write_text(html[:start] + html[html.index(">", start) + 1 :], encoding="utf-8")
    it = opened(bare, scheme=scheme)
    it.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    found = axe.Axe().run(it.page).response["violations"]
    assert not [(each["id"], each["nodes"][0]["html"][:200], each["nodes"][0]["failureSummary"]) for each in found]


def test_a_page_of_many_gates_categories_and_crops_is_quick_to_sort(opened, gate, tmp_path):
    record, left = copy.deepcopy(gate)
    entry = left["gallery"]["entries"][0]
    entry["pictures"] = {"whole": picture(), "crop": picture()}
    left["gallery"].update(entries=[entry] * 24, losing=5000)
    big = many_categories(record, 1200)
    it = opened(write_page(tmp_path / "index.html", (big, left), (record, left)))
    it.page.locator("summary", has_text="Category: all numbers").first.click()
    table = it.page.locator("table:has(caption:has-text('Category: all numbers'))").first
    assert table.locator("tbody tr").count() == 1200
    table.locator("th button").first.click()
    table.locator("th button").first.click()
    assert table.locator("tbody td").first.inner_text() == "category 1199"
    assert it.visible("li.crop") == 48


def test_what_is_printed_holds_the_tables_and_no_controls(opened, path):
    it = opened(path)
    it.page.emulate_media(media="print")
    it.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert it.visible("nav") == it.visible("form.controls") == 0
    assert it.page.locator("main details:not([open])").count() == 0
