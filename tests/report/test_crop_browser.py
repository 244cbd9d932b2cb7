"""The table of all crops and the dialog of one, in a real browser: filters, links, keys, and what the address keeps."""

# ruff: noqa: F811 (fixtures of another module)
from __future__ import annotations

import copy
from collections import Counter

import pytest

from tests.report.made import lossy, told, varied, without, write_page
from tests.report.test_browser import BROWSER, browser, opened  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a chromium: apt-get install chromium")
OPEN = "#crop-dialog[open]"
FOLLOW = "to => new Promise(done => { addEventListener('hashchange', done, { once: true }); location.hash = to; })"


@pytest.fixture(scope="module")
def run():
    return varied()


@pytest.fixture(scope="module")
def gate(run):
    return told(run)


@pytest.fixture(scope="module")
def path(gate, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("crops") / "index.html", copy.deepcopy(gate))


@pytest.fixture(scope="module")
def two(gate, tmp_path_factory):
    record, left = copy.deepcopy(gate)
    return write_page(tmp_path_factory.mktemp("two") / "index.html", gate, ({**record, "name": "second"}, left))


def go(it, path, address):
    """Open an address of the page anew."""
    it.page.goto("about:blank")
    it.page.goto(path.as_uri() + address)


def changed(gate, listed="place", **wanted):
    """The places of the lost and gained objects of a gate; or their ``fate``, ``cause`` or ``category``."""
    rows, found, start = gate[1]["gallery"]["rows"], [], 0
    for place, count in zip(rows["place"], rows["objects"], strict=True):
        for row in range(start, start + count):
            step = "ABCD".find(rows["step"][row])
            each = {
                "place": place,
                "fate": {"L": "lost", "G": "gained"}[rows["fate"][row]],
                "cause": rows["steps"][step] if step >= 0 else None,
                "category": rows["categories"][rows["category"][row]],
            }
            if all(each[name] == value for name, value in wanted.items()):
                found.append(each[listed])
        start += count
    return found


def commonest(gate, what):
    """The value of ``what`` that most lost objects have, of those that not all have."""
    values = Counter(changed(gate, fate="lost", listed=what))
    return next(value for value, number in values.most_common() if number < values.total())


def count(it):
    return it.page.locator(".crop-count").inner_text()


def test_the_table_lists_every_crop_and_a_filter_leaves_those_with_such_an_object(opened, path, gate):
    it = opened(path)
    everything = len(set(changed(gate)))
    assert count(it).startswith(f"{everything} of {everything} crops; {len(changed(gate, fate='lost'))} objects lost")
    cause = commonest(gate, "cause")
    it.page.locator("select[name=cause]").select_option(cause)
    it.page.locator("select[name=fate]").select_option("lost")
    wanted = changed(gate, cause=cause, fate="lost")
    assert 0 < len(set(wanted)) < everything
    assert count(it).startswith(f"{len(set(wanted))} of {everything} crops; {len(wanted)} objects lost")
    it.page.locator("select[name=category]").select_option("cat")
    both = changed(gate, cause=cause, category="cat", fate="lost")
    assert count(it).startswith(f"{len(set(both))} of {everything} crops; {len(both)} objects lost")
    it.page.get_by_role("button", name="show all").click()
    assert count(it).startswith(f"{everything} of {everything} crops")


def test_a_file_name_filters_and_what_no_crop_has_is_said(opened, path, gate):
    it = opened(path)
    name = gate[1]["gallery"]["rows"]["files"][3]
    it.page.locator("input[name=file]").fill(name[:3])
    shown = it.page.locator(".crop-rows tbody td.crop-file").all_inner_texts()
    assert shown
    assert set(shown) == {name}
    it.page.locator("input[name=file]").fill("no such file")
    assert count(it) == "No crop is like that."


def test_the_address_keeps_filter_order_and_page_so_that_a_view_can_be_sent(opened, path):
    it = opened(path)
    it.page.locator("select[name=fate]").select_option("lost")
    it.page.locator(".crop-rows th button", has_text="crop").click()
    it.page.locator(".crop-pages button", has_text="next").click()
    view = it.page.locator(".crop-rows tbody").inner_text()
    address = it.page.evaluate("location.hash")
    assert address.startswith("#crops-table?fate=lost&sort=file&up=1&page=2")
    go(it, path, address)
    assert it.page.locator(".crop-rows tbody").inner_text() == view
    assert it.page.locator("select[name=fate]").input_value() == "lost"
    assert it.page.locator(".crop-rows th[aria-sort=ascending]").inner_text().startswith("crop")


def test_columns_sort_both_ways(opened, path):
    it = opened(path)

    def column():
        cells = it.page.locator(".crop-rows tbody td:nth-child(4)").all_inner_texts()
        return [int(each.split()[0]) for each in cells]

    head = it.page.locator(".crop-rows th button", has_text="lost")
    head.click()
    assert column() == sorted(column(), reverse=True)
    assert column()[0] > 1
    head.click()
    assert column() == sorted(column())


def test_what_is_counted_leads_to_exactly_the_crops_that_it_counts(opened, path, gate):
    it = opened(path)
    fact = it.page.locator("dd a.filter").first
    assert fact.inner_text().split()[0] == str(gate[0]["hidden"]["lost"]["count"])
    fact.click()
    assert f"; {gate[0]['hidden']['lost']['count']} objects lost; 0 newly found." in count(it)
    for name, each in gate[0]["fates"]["lost"].items():
        if each["count"]:
            go(it, path, f"#crops-table?fate=lost&cause={name}")
            assert f"; {each['count']} objects lost; 0 newly found." in count(it)


def test_bars_cells_steps_and_label_changes_are_links_and_every_one_finds_a_crop(opened, path):
    it = opened(path)
    it.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    for kind in ("#g1-why svg a", "#g1-fates svg a", "#g1-fates .legend a", "#g1-where svg a", "#g1-map svg a"):
        assert it.page.locator(f"{kind}.filter").count() > 0, kind
    links = it.page.eval_on_selector_all("a.filter", "all => [...new Set(all.map(each => each.getAttribute('href')))]")
    for target in links:
        it.page.evaluate(FOLLOW, target)
        assert it.page.locator(".crop-rows tbody tr").count() > 0, target
    it.page.locator("#g1-map svg a.filter").first.click()
    chip = it.page.locator(".chips button")
    assert chip.inner_text().startswith("cell of the map: row ")
    chip.click()
    assert it.page.locator(".chips button").count() == 0


def test_each_lost_object_of_a_bar_has_a_picture_somewhere(gate):
    gallery, where = gate[1]["gallery"], gate[0]["where"]
    pictured = {each["place"] for each in [*gallery["entries"], *gallery["examples"]]}
    assert len(pictured) == len(gallery["entries"]) + len(gallery["examples"])
    for cause in gate[0]["fates"]["lost"]:
        places = changed(gate, fate="lost", cause=cause)
        assert not places or pictured.intersection(places), cause
    for each in where["category"]:
        places = changed(gate, fate="lost", category=each["label"])
        assert not places or pictured.intersection(places), each["label"]


def test_a_gate_is_one_of_the_filters_where_there_are_several(opened, two):
    it = opened(two)
    assert it.page.locator("select[name=gate] option").all_inner_texts() == ["all", "random", "second"]
    both = int(count(it).split()[0])
    it.page.locator("#g2 dd a.filter").first.click()
    assert it.page.locator("select[name=gate]").input_value() == "g2"
    assert int(count(it).split()[0]) < both


def test_a_link_opens_the_crop_and_its_keys_work(opened, path, gate):
    it, first = opened(path), gate[1]["gallery"]["entries"][0]
    go(it, path, f"#crop-g1-{first['place']}")
    assert it.visible(OPEN) == 1
    title = it.page.locator("#crop-dialog-h")
    assert title.inner_text() == f"{first['image']}: {first['lost']} of {first['found']} lost"
    assert it.page.locator(f"{OPEN} .crop-views image").count() == 2
    it.page.keyboard.press("ArrowRight")
    rows = gate[1]["gallery"]["rows"]
    assert title.inner_text().startswith(f"{rows['files'][rows['file'][1]]}: ")
    assert it.page.evaluate("location.hash") == f"#crop-g1-{rows['place'][1]}"
    it.page.keyboard.press("ArrowLeft")
    assert title.inner_text().startswith(f"{first['image']}: ")
    it.page.keyboard.press("ArrowLeft")  # there is none before the first
    assert title.inner_text().startswith(f"{first['image']}: ")
    wide = it.page.locator(".crop-pair").bounding_box()["width"]
    it.page.keyboard.press("+")
    assert it.page.locator(".crop-pair").bounding_box()["width"] == pytest.approx(1.5 * wide, rel=0.02)
    assert it.page.locator(".crop-zoom").inner_text() == "150 %"
    it.page.keyboard.press("-")
    assert it.page.locator(".crop-pair").bounding_box()["width"] == pytest.approx(wide, rel=0.02)
    it.page.keyboard.press("Escape")
    assert it.visible(OPEN) == 0
    assert it.page.evaluate("location.hash") == ""


def test_arrows_stay_in_the_filtered_crops_and_closing_returns_to_the_filter(opened, path, gate):
    it = opened(path)
    name = commonest(gate, "category")
    go(it, path, f"#crops-table?category={name}&fate=lost")
    places = list(dict.fromkeys(changed(gate, fate="lost", category=name)))
    it.page.locator(".crop-rows tbody a").first.click()
    for place in places:
        assert it.page.evaluate("location.hash").startswith(f"#crop-g1-{place}?")
        it.page.keyboard.press("ArrowRight")
    assert it.page.locator("[data-do=next]").is_disabled()
    assert it.page.locator(".crop-place").inner_text().strip() == f"{len(places)} of {len(places)}"
    it.page.keyboard.press("Escape")
    page = f"&page={1 + (len(places) - 1) // 25}" if len(places) > 25 else ""
    assert it.page.evaluate("location.hash") == f"#crops-table?category={name}&fate=lost{page}"
    last = it.page.evaluate("document.activeElement.closest('.crop-rows') && document.activeElement.hash")
    assert last.startswith(f"#crop-g1-{places[-1]}?")


def test_the_dialog_shows_five_renderings_and_the_lost_first_with_step_and_scores(opened, path, gate):
    it, first = opened(path), gate[1]["gallery"]["entries"][0]
    go(it, path, f"#crop-g1-{first['place']}")
    strip = it.page.locator(".crop-strip figure")
    assert strip.count() == 5
    score = gate[1]["gallery"]["score"]
    scored = [each for each in first["objects"] if each["fate"]]
    for number, name in enumerate(("whole", "context", "cut", "moved", "crop")):
        found = sum((each["scores"][name] or 0) >= score for each in scored)
        assert f"{found} of {len(scored)} objects found" in strip.nth(number).inner_text()
    rows = it.page.locator(".crop-objects tbody tr")
    fates = [row.locator("td.fate").inner_text() for row in rows.all()]
    assert fates == sorted(fates, key=["lost", "newly found", "found in neither", "found in both", "not scored"].index)
    lost = next(each for each in first["objects"] if each["fate"] == "lost")
    steps = [row.locator("td").nth(2).inner_text() for row in rows.all()]
    assert {"context": "context lost", "cut": "objects cut", "position": "position"}.get(
        lost["step"], "scale"
    ) in " ".join(steps[: fates.count("lost")])
    assert (
        f"a score of {score:.3f} or more at IoU 0.5 (the score with the best F1"
        in it.page.locator(".crop-point").inner_text()
    )


def test_a_crop_without_a_picture_opens_with_what_it_lost(opened, gate, tmp_path):
    record, left = copy.deepcopy(gate)
    left["gallery"].update(entries=left["gallery"]["entries"][:1], examples=[])
    it = opened(write_page(tmp_path / "index.html", (record, left)))
    place = left["gallery"]["rows"]["place"][5]
    go(it, tmp_path / "index.html", f"#crop-g1-{place}")
    assert "No picture of this crop is on this page" in it.page.locator(".crop-where").inner_text()
    assert it.page.locator(f"{OPEN} image").count() == 0
    assert it.page.locator(".crop-objects tbody tr").count() == left["gallery"]["rows"]["objects"][5]


def test_pictures_beside_the_page_are_shown_in_the_dialog(opened, run, gate, tmp_path):
    from pytest_cropdet.report.worst_crops import worst_crop_pictures

    gallery = worst_crop_pictures(run, tmp_path, "test")
    gallery.update(entries=gallery["entries"][:1], examples=[])
    it = opened(write_page(tmp_path / "index.html", (gate[0], {"gallery": gallery})))
    assert sorted(gallery["files"]["done"]) == sorted(gallery["rows"]["place"])
    go(it, tmp_path / "index.html", f"#crop-g1-{gallery['rows']['place'][7]}")
    it.page.wait_for_load_state("networkidle")
    source = it.page.locator(f"{OPEN} .crop-views image").nth(1).get_attribute("href")
    assert (tmp_path / source).is_file()
    loads = "src => { const i = new Image(); i.src = src; return i.decode().then(() => i.naturalWidth); }"
    assert it.page.evaluate(loads, source) == gallery["rows"]["window"][4 * 7 + 2]


def test_without_scripts_the_first_rows_can_be_read_and_there_is_no_form(opened, path, gate):
    it = opened(path, scripts=False)
    assert it.visible(".crop-rows tbody tr") == min(25, len(gate[1]["gallery"]["rows"]["place"]))
    assert it.visible(".filter-form") == it.visible("#crop-dialog") == it.page.locator("a.filter").count() == 0
    assert "need JavaScript" in it.page.locator("#crops-table .lead").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_open_dialog(opened, path, gate, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    html = path.read_text(encoding="utf-8")
    start = html.index('<meta http-equiv="Content-Security-Policy"')
    bare = path.with_name("bare.html")
    bare.write_text(html[:start] + html[html.index(">", start) + 1 :], encoding="utf-8")
    it = opened(bare, scheme=scheme)
    go(it, bare, f"#crop-g1-{gate[1]['gallery']['entries'][0]['place']}")
    found = axe.Axe().run(it.page).response["violations"]
    assert not [(each["id"], each["nodes"][0]["html"][:200], each["nodes"][0]["failureSummary"]) for each in found]


@pytest.mark.parametrize("width", [400, 1280])
def test_the_dialog_is_not_wider_than_the_screen(opened, path, gate, width):
    it = opened(path, width=width)
    go(it, path, f"#crop-g1-{gate[1]['gallery']['entries'][0]['place']}")
    assert it.page.locator(OPEN).evaluate("each => each.scrollWidth <= each.clientWidth")
    assert it.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_run_without_causes_has_the_table_and_the_dialog_too(opened, tmp_path):
    gate = told(lossy(explain="off"))
    it = opened(write_page(tmp_path / "index.html", (without(gate[0], "steps", "fates"), gate[1])))
    assert it.page.locator("select[name=cause]").count() == 0
    go(it, tmp_path / "index.html", f"#crop-g1-{gate[1]['gallery']['entries'][0]['place']}")
    assert it.page.locator(".crop-strip").count() == 0
    assert it.page.locator(".crop-objects th").count() == 7


def test_names_that_look_like_html_stay_text(opened, gate, tmp_path):
    record, left = copy.deepcopy(gate)
    hostile = "</script><img src=x onerror=alert(1)>"
    rows = left["gallery"]["rows"]
    rows["files"] = [hostile] * len(rows["files"])
    rows["categories"] = [hostile] * len(rows["categories"])
    it = opened(write_page(tmp_path / "index.html", (record, left)))
    assert it.page.locator(".crop-rows td.crop-file").first.inner_text() == hostile
    it.page.locator(".crop-rows tbody a").first.click()
    assert it.page.locator("#crop-dialog-h").inner_text().startswith(hostile)
