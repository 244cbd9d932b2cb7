"""The five families: each against its formula in docs/families.md, written down a second time here."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.crops.families import FAMILIES
from pytest_cropdet.crops.family import SEVERITIES
from pytest_cropdet.crops.plan import make_plan, parse_spec, refuse_without_truth
from pytest_cropdet.data.cropping import crop_truth
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.runner import run
from pytest_cropdet.geometry.boxes import visible_fraction
from pytest_cropdet.geometry.crop import Crop
from tests.support import Data, made, perfect

PAGE = Path(__file__).resolve().parents[2] / "docs" / "families.md"
quick = settings(max_examples=60, deadline=None)
sides = st.integers(1, 60)
seeds = st.integers(0, 5)


def unread():
    raise AssertionError("a plan looks at no pixels")


def sample(boxes=(), width=640, height=427, name="a.jpg", **truth):
    rows = np.array(boxes, float).reshape(-1, 4)
    return Sample(name, width, height, GroundTruth(rows, np.ones(len(rows), int), **truth), unread)


@st.composite
def annotated(draw):
    """An image with up to five objects, on whole pixels or on sevenths of one; some are crowds."""
    width, height = draw(st.integers(9, 90)), draw(st.integers(9, 90))
    unit = draw(st.sampled_from([1, 7]))
    boxes = []
    for _ in range(draw(st.integers(0, 5))):
        x = sorted((draw(st.integers(0, width * unit)), draw(st.integers(0, width * unit))))
        y = sorted((draw(st.integers(0, height * unit)), draw(st.integers(0, height * unit))))
        boxes.append([x[0] / unit, y[0] / unit, x[1] / unit, y[1] / unit])
    crowd = [draw(st.integers(0, 3)) == 3 for _ in boxes]
    return sample(boxes, width, height, crowd=crowd, ids=[7 * place + 3 for place in range(len(boxes))])


# A second writing of the page's formulas


def drawn(*parts):
    return int.from_bytes(hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()[:8], "big")


def below(limit, *parts):
    return drawn(*parts) * limit // 2**64


def chosen(each, family, seed, per_image, min_side):
    rows = []
    for box, crowd, number in zip(each.truth.boxes.tolist(), each.truth.crowd, each.truth.ids.tolist(), strict=True):
        x0, x1 = (min(max(value, 0.0), each.width) for value in box[0::2])
        y0, y1 = (min(max(value, 0.0), each.height) for value in box[1::2])
        if not crowd and min(x1 - x0, y1 - y0) >= min_side:
            order = drawn("order", family, seed, each.id, each.width, each.height, number)
            rows.append((order, number, (x0, y0, x1, y1)))
    return [(number, box) for _, number, box in sorted(rows)[:per_image]]


def object_windows(each, seed, margin, per_image, min_side=8):
    for _, (x0, y0, x1, y1) in chosen(each, "object", seed, per_image, min_side):
        left = max(0, math.floor(x0 - margin * (x1 - x0) + 1e-9))
        top = max(0, math.floor(y0 - margin * (y1 - y0) + 1e-9))
        right = min(each.width, math.ceil(x1 + margin * (x1 - x0) - 1e-9))
        bottom = min(each.height, math.ceil(y1 + margin * (y1 - y0) - 1e-9))
        yield Crop(left, top, right - left, bottom - top)


def edge_windows(each, seed, v, per_image, min_side=8):
    wide, high = each.width, each.height
    for number, (x0, y0, x1, y1) in chosen(each, "edge", seed, per_image, min_side):
        w, h = x1 - x0, y1 - y0
        a = max(c for c in range(wide) if c <= x0 or (x1 - c) * h / (w * h) >= v)
        b = min(c for c in range(1, wide + 1) if c >= x1 or (c - x0) * h / (w * h) >= v)
        c = max(r for r in range(high) if r <= y0 or (y1 - r) * w / (w * h) >= v)
        d = min(r for r in range(1, high + 1) if r >= y1 or (r - y0) * w / (w * h) >= v)
        windows = {
            "left": Crop(a, 0, wide - a, high),
            "right": Crop(0, 0, b, high),
            "top": Crop(0, c, wide, high - c),
            "bottom": Crop(0, 0, wide, d),
        }
        order = sorted(windows, key=lambda name: drawn(name, "edge", seed, each.id, wide, high, number))
        size = {name: crop.width * crop.height for name, crop in windows.items()}
        large = [name for name in order if size[name] >= wide * high / 2]
        yield windows[large[0] if large else max(order, key=size.__getitem__)]


def shift_windows(each, seed, low, high, per_image):
    xs = range(min(low, each.width - 1), min(high, each.width - 1) + 1)
    ys = range(min(low, each.height - 1), min(high, each.height - 1) + 1)
    pairs = [(x, y) for y in ys for x in xs]
    for r in range(min(per_image, len(pairs))):
        other = r + below(len(pairs) - r, "pair", "shift", seed, each.id, each.width, each.height, r)
        pairs[r], pairs[other] = pairs[other], pairs[r]
        yield Crop(*pairs[r], each.width - pairs[r][0], each.height - pairs[r][1])


@given(each=annotated(), margin=st.sampled_from([0, 0.1, 0.25, 1 / 3, 1, 2.5]), per_image=st.integers(1, 6), seed=seeds)
@quick
def test_windows_of_object_follow_the_formula(each, margin, per_image, seed):
    plan = make_plan([each], f"object:margin={margin},per_image={per_image}", seed)
    assert plan.windows["a.jpg"] == tuple(object_windows(each, seed, margin, per_image))


@given(each=annotated(), percent=st.integers(1, 100), per_image=st.integers(1, 6), seed=seeds)
@quick
def test_windows_of_edge_follow_the_formula(each, percent, per_image, seed):
    plan = make_plan([each], f"edge:visible={percent / 100},per_image={per_image}", seed)
    assert plan.windows["a.jpg"] == tuple(edge_windows(each, seed, percent / 100, per_image))


def test_a_window_that_keeps_exactly_half_of_the_image_is_drawn():
    each = sample([[40, 30, 60, 50]], 100, 100)
    drawn_by = {make_plan([each], "edge:visible=0.5,per_image=1", seed).windows["a.jpg"] for seed in range(40)}
    left, right, top = Crop(50, 0, 50, 100), Crop(0, 0, 50, 100), Crop(0, 40, 100, 60)
    assert drawn_by == {(left,), (right,), (top,)}


@given(
    width=sides, height=sides, low=st.integers(1, 40), more=st.integers(0, 9), per_image=st.integers(1, 9), seed=seeds
)
@quick
def test_windows_of_shift_follow_the_formula(width, height, low, more, per_image, seed):
    each = sample(width=width, height=height)
    plan = make_plan([each], f"shift:px={low}-{low + more},per_image={per_image}", seed)
    assert plan.windows["a.jpg"] == tuple(shift_windows(each, seed, low, low + more, per_image))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_windows_of_random_and_tile_follow_the_formula(severity):
    each = sample(width=333, height=211)
    keep = (0.9, 0.75, 0.6, 0.45, 0.3)[severity - 1]
    expected = []
    for r in range(4):
        key = ("random", 5, "a.jpg", 333, 211, r)
        wide, high = max(1, math.floor(keep * 333 + 1e-9)), max(1, math.floor(keep * 211 + 1e-9))
        expected.append(Crop(below(334 - wide, "left", *key), below(212 - high, "top", *key), wide, high))
    assert make_plan([each], f"random:severity={severity}", 5).windows["a.jpg"] == tuple(expected)
    size = (0.8, 0.65, 0.5, 0.4, 0.3)[severity - 1]
    wide, high = math.floor(size * 333 + 1e-9), math.floor(size * 211 + 1e-9)
    starts = []
    for n, t in ((211, high), (333, wide)):
        step = max(1, t - round(t * 0.2))
        starts.append([*(step * k for k in range(n) if step * k < n - t), n - t])
    expected = [Crop(left, top, wide, high) for top in starts[0] for left in starts[1]]
    assert make_plan([each], f"tile:severity={severity}").windows["a.jpg"] == tuple(expected)


# What the families promise


@given(each=annotated(), family=st.sampled_from([*FAMILIES]), severity=st.sampled_from(SEVERITIES), seed=seeds)
@quick
def test_every_window_lies_in_its_image(each, family, severity, seed):
    for crop in make_plan([each], f"{family}:severity={severity}", seed).windows["a.jpg"]:
        assert crop.fits(each.width, each.height)


@given(each=annotated(), percent=st.integers(1, 100))
@quick
def test_edge_never_shows_less_than_asked_and_less_than_a_pixel_more(each, percent):
    asked = percent / 100
    rows = dict(chosen(each, "edge", 0, 9, 8))
    crops = make_plan([each], f"edge:visible={asked},per_image=9").windows["a.jpg"]
    assert len(crops) == len(rows)
    for box, crop in zip(rows.values(), crops, strict=True):
        whole = np.array([box])
        seen = float(visible_fraction(whole, crop.clip(whole))[0])
        across = box[2] - box[0] if crop.width < each.width else box[3] - box[1]
        uncut = crop == Crop(0, 0, each.width, each.height)
        assert asked <= seen < asked + 1 / (min(box[2] - box[0], box[3] - box[1]) if uncut else across) + 1e-12
        assert crop.width == each.width or crop.height == each.height  # one side is cut


def test_an_object_asked_to_show_by_half_is_scored():
    boxes = [[x + 0.3, y + 0.1, x + 30.7, y + 41.9] for x in range(5, 500, 60) for y in range(5, 300, 50)]
    each = sample(boxes)
    numbers = [number for number, _ in chosen(each, "edge", 0, 99, 8)]
    crops = make_plan([each], "edge:visible=0.5,per_image=99").windows["a.jpg"]
    assert len(crops) == len(boxes)
    for number, crop in zip(numbers, crops, strict=True):
        shown = crop_truth(each.truth, crop, 0.5)
        assert shown.scored[shown.truth.ids == number].all()
        assert shown.visibility[shown.truth.ids == number] < 0.5 + 1 / 30


def test_edge_cuts_from_every_side_and_leaves_at_least_half_of_the_image_where_it_can():
    each = sample([[x, y, x + 20, y + 20] for x in range(20, 600, 40) for y in range(20, 380, 40)])
    crops = make_plan([each], "edge:per_image=200").windows["a.jpg"]
    cut = {(crop.left > 0, crop.top > 0, crop.right < each.width, crop.bottom < each.height) for crop in crops}
    assert cut == {tuple(place == side for place in range(4)) for side in range(4)}
    assert all(2 * crop.width * crop.height >= each.width * each.height for crop in crops)


def test_an_object_has_the_margin_it_was_asked_for_and_less_than_a_pixel_more():
    each = sample([[200.25, 150.5, 240.25, 180.0]])
    (crop,) = make_plan([each], "object:margin=0.5").windows["a.jpg"]
    assert (crop.left, crop.top, crop.right, crop.bottom) == (180, 135, 261, 195)
    (tight,) = make_plan([each], "object:margin=0").windows["a.jpg"]
    assert (tight.left, tight.top, tight.right, tight.bottom) == (200, 150, 241, 180)


def test_a_margin_is_no_pixel_more_by_a_rounding_error():
    assert 75 + 2.24 * 75 > 243
    (crop,) = make_plan([sample([[0, 0, 75, 75]])], "object:margin=2.24").windows["a.jpg"]
    assert (crop.right, crop.bottom) == (243, 243)


def test_an_object_that_fills_its_image_is_cut_from_the_side_that_leaves_most():
    crops = {
        make_plan([sample([[0, 0, 640, 427]])], "edge:visible=0.3", seed).windows["a.jpg"][0] for seed in range(20)
    }
    assert crops == {Crop(0, 298, 640, 129), Crop(0, 0, 640, 129)}  # 129 of 427 rows are more than 192 of 640 columns


def test_a_margin_ends_at_the_border_of_the_image():
    each = sample([[5.0, 400.0, 45.0, 420.0]])
    (crop,) = make_plan([each], "object:margin=1").windows["a.jpg"]
    assert (crop.left, crop.top, crop.right, crop.bottom) == (0, 380, 85, 427)


def test_a_shift_by_exact_pixels_is_one_window():
    assert make_plan([sample()], "shift:px=8,per_image=5").windows["a.jpg"] == (Crop(8, 8, 632, 419),)


def test_shifts_are_not_repeated_and_reach_every_pair():
    crops = make_plan([sample()], "shift:px=1-3,per_image=20").windows["a.jpg"]
    assert sorted((crop.left, crop.top) for crop in crops) == [(x, y) for x in (1, 2, 3) for y in (1, 2, 3)]


def test_an_image_smaller_than_a_shift_keeps_its_last_pixel():
    assert make_plan([sample(width=5, height=1)], "shift:px=8").windows["a.jpg"] == (Crop(4, 0, 1, 1),)


def test_crowds_and_small_objects_are_not_chosen():
    each = sample([[0, 0, 50, 50], [60, 0, 67.9, 50], [100, 0, 150, 50]], crowd=[True, False, False])
    assert len(make_plan([each], "object:per_image=9")) == len(make_plan([each], "edge:per_image=9")) == 1
    assert len(make_plan([each], "object:per_image=9,min_side=7")) == 2


def test_which_object_comes_first_does_not_depend_on_the_order_of_the_annotations():
    boxes, ids = [[10 * k, 0, 10 * k + 9, 9] for k in range(12)], list(range(30, 42))
    one, two = sample(boxes, ids=ids), sample(boxes[::-1], ids=ids[::-1])
    for family in ("object", "edge"):
        windows = make_plan([one], family).windows
        assert windows == make_plan([two], family).windows
        assert windows != make_plan([one], family, seed=1).windows


@pytest.mark.parametrize("family", [name for name, kind in FAMILIES.items() if "per_image" in kind.parameters])
@pytest.mark.parametrize("per_image", [1, 2, 5])
def test_asking_for_more_windows_keeps_the_first_ones(family, per_image):
    each = sample([[20 * k, 10 * k, 20 * k + 30, 10 * k + 25] for k in range(15)])
    few = make_plan([each], f"{family}:severity=4,per_image={per_image}").windows["a.jpg"]
    many = make_plan([each], f"{family}:severity=4,per_image={per_image + 6}").windows["a.jpg"]
    assert (len(few), len(many), many[:per_image]) == (per_image, per_image + 6, few)


def windows_of_all():
    each = sample([[20 * k, 10 * k, 20 * k + 30, 10 * k + 25] for k in range(15)])
    return repr(make_plan([each], "random+tile+object+edge+shift", 3).windows["a.jpg"])


@pytest.mark.subprocess
def test_another_process_makes_the_same_windows():
    code = "from tests.crops.test_families import windows_of_all\nprint(windows_of_all())"
    run = [sys.executable, "-c", code]
    there = subprocess.run(run, capture_output=True, text=True, check=True, cwd=PAGE.parents[1]).stdout
    assert there.strip() == windows_of_all()


# Severities


def many_samples():
    rng = np.random.default_rng(3)
    found = []
    for number in range(40):
        corner, size = rng.random((5, 2)) * [500, 300], rng.uniform(12, 110, (5, 2))
        found.append(sample(np.concatenate([corner, corner + size], axis=1), name=f"{number}.jpg"))
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_window_keeps_less_of_its_image_the_higher_the_severity(family):
    """Of ``edge`` what is kept of its objects falls; see the next test."""
    if family == "edge":
        return
    kept = []
    for severity in SEVERITIES:
        crops = [crop for _, crop in make_plan(many_samples(), f"{family}:severity={severity}")]
        kept.append(np.mean([crop.width * crop.height for crop in crops]) / (640 * 427))
    assert all(np.diff(kept) < 0)


def test_an_edge_shows_less_of_its_object_the_higher_the_severity():
    each = sample([[100, 100, 200, 180]])
    seen = []
    for severity in SEVERITIES:
        (crop,) = make_plan([each], f"edge:severity={severity}").windows["a.jpg"]
        seen.append(float(visible_fraction(each.truth.boxes, crop.clip(each.truth.boxes))[0]))
    assert np.allclose(seen, [0.9, 0.8, 0.7, 0.6, 0.5], atol=1 / 80)
    assert all(np.diff(seen) < 0)


def test_the_pages_table_is_that_of_the_code():
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if len(cells) == 9 and cells[0] in FAMILIES:
            rows[cells[0]] = (cells[1], tuple(cells[2:7]))
            others = [each.strip(" `") for each in cells[7].split(",")]
            defaults = {key: value for key, (value, _) in FAMILIES[cells[0]].parameters.items() if key != cells[1]}
            assert others == [f"{key}={value}" for key, value in defaults.items()]
    assert rows == {name: kind.severities for name, kind in FAMILIES.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_severity_is_a_short_form_for_its_value(family):
    key, values = FAMILIES[family].severities
    for severity, value in zip(SEVERITIES, values, strict=True):
        assert parse_spec(f"{family}:severity={severity}") == parse_spec(f"{family}:{key}={value}")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("zoom", r"known are random, tile, object, edge, shift$"),
        ("random:severity=6", r"severity=6: a whole number from 1 to 5"),
        ("random:severity=0", r"severity=0: a whole number from 1 to 5"),
        ("random:severity=2.0", r"severity=2\.0: a whole number from 1 to 5"),
        ("edge:severity=2,visible=0.4", r"severity=2 means visible=0\.8; leave one of the two out"),
        ("edge:px=3", r"it takes visible=0\.5, per_image=4, min_side=8, or severity=1 to 5"),
        ("edge:visible=0", r"visible=0: a share of the object, above 0 and at most 1"),
        ("edge:visible=1.1", r"visible=1\.1: a share of the object"),
        ("edge:visible=nan", r"visible=nan: a share of the object"),
        ("edge:min_side=0", r"min_side=0: a whole number from 1 on"),
        ("object:margin=-1", r"margin=-1: a number from 0 on, in sizes of the object"),
        ("object:margin=inf", r"margin=inf: a number from 0 on"),
        ("object:margin=nan", r"margin=nan: a number from 0 on"),
        ("shift:px=0", r"px=0: a whole number of pixels from 1 on"),
        ("shift:px=9-3", r"px=9-3: a whole number of pixels from 1 on"),
        ("shift:px=1.5", r"px=1\.5: "),
        ("tile:size=1.5", r"size=1\.5: a whole number from 1 on \(pixels\), or a share"),
        ("tile:size=1.0", r"size=1\.0: a whole number from 1 on"),
        ("tile:size=nan", r"size=nan: a whole number from 1 on"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused_with_what_can(spec, sentence):
    with pytest.raises(SpecError, match=sentence):
        parse_spec(spec)


# Where there is nothing to cut round


@pytest.mark.parametrize("spec", ["object", "random+edge:severity=2"])
def test_a_spec_that_needs_truth_is_refused_without_it(spec):
    class Folder(Data):
        has_truth = False

    data = made(images=2)
    with pytest.raises(SpecError, match="cuts round annotated objects, and these images have no ground truth") as told:
        run(perfect(data), Folder(data.samples), crops=spec)
    assert "take one of random, tile, shift" in str(told.value)
    refuse_without_truth("random+tile+shift")


@pytest.mark.subprocess
@pytest.mark.parametrize("place", ["option", "marker"])
def test_it_is_refused_before_anything_is_loaded(pytester, place):
    (pytester.path / "pictures").mkdir()
    pytester.makepyfile("import pytest\n@pytest.mark.cropdet(crops='edge')\ndef test_it(cropdet): pass")
    options = ["--cropdet-images", "pictures", "--cropdet-model", "gone:make"]
    if place == "option":
        result = pytester.runpytest_subprocess(*options, "--cropdet-crops", "edge")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*crops 'edge': edge cuts round annotated objects*"])
    else:
        result = pytester.runpytest_subprocess(*options)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*crops 'edge': edge cuts round annotated objects*"])


def test_images_without_objects_are_part_of_a_run_and_a_plan_without_windows_is_refused():
    data = made(images=12)
    empty = [Sample(f"empty{k}.png", 120, 90, GroundTruth.empty(), data.samples[0].read) for k in range(3)]
    result = run(perfect(data), Data([*data.samples, *empty]), crops="object:severity=2", replicates=200)
    assert (result.images, result.drop.value) == (15, 0.0)
    with pytest.raises(SpecError, match="crops 'object': no window in 3 images; object and edge take annotated"):
        run(perfect(data), Data(empty), crops="object")
