"""Anchors: the generators against known ones, and whether objects have one in the whole image and in the crop."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.causes.diagnostics import anchor_fit as module
from pytest_cropdet.causes.diagnostics.anchor_fit import AnchorReport, NoAnchors, anchor_report, best_anchors
from pytest_cropdet.crops.plan import make_plan
from pytest_cropdet.data import load_dataset
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.detectors.anchors import Anchors, read_anchors
from pytest_cropdet.detectors.resize import frame_of
from pytest_cropdet.errors import CropdetError, DetectorError
from pytest_cropdet.evaluation.crop_tables import CropIndex, Objects, build_objects
from pytest_cropdet.evaluation.object_shares import draw_units
from pytest_cropdet.figures.anchors import draw_anchors
from pytest_cropdet.geometry.boxes import iou
from pytest_cropdet.geometry.crop import Crop

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
MULTISCALE = {
    "type": "multiscale_anchor_generator",
    "min_level": 5,
    "max_level": 5,
    "anchor_scale": 4.0,
    "aspect_ratios": [1.0],
    "scales_per_octave": 1,
    "input": {"height": 64, "width": 64},
}
SSD = {
    "type": "ssd_anchor_generator",
    "aspect_ratios": [1.0, 2.0, 0.5, 3.0, 0.3333],
    "input": {"height": 300, "width": 300},
}


def corners(anchors: Anchors, height: int, width: int) -> list[list[float]]:
    """As y0 x0 y1 x1 in pixels, the order of the API's own tests."""
    return anchors.boxes(width, height)[:, [1, 0, 3, 2]].round(9).tolist()


# Generators


def test_the_multiscale_generator_makes_the_anchors_that_its_api_publishes_in_its_tests():
    assert corners(read_anchors(MULTISCALE), 64, 64) == [
        [-48, -48, 80, 80],
        [-48, -16, 80, 112],
        [-16, -48, 112, 80],
        [-16, -16, 112, 112],
    ]


def test_an_input_that_the_stride_does_not_divide_has_its_first_anchor_at_0():
    odd = read_anchors({**MULTISCALE, "input": {"height": 65, "width": 64}})
    assert corners(odd, 65, 64)[:2] == [[-64, -48, 64, 80], [-64, -16, 64, 112]]
    assert len(odd.rows) == 3 * 2


def test_the_shipped_detectors_anchors_come_out_of_its_generators_parameters():
    made, stored = (read_anchors(FIXTURES / "models" / f"ssd_anchors.{ending}") for ending in ("json", "npy"))
    assert made.rows.shape == (9600, 4)
    assert np.abs(made.rows - stored.rows).max() < 2e-7  # stored as float32
    assert made.scales == (10.0, 10.0, 5.0, 5.0)
    assert (made.input_size, stored.input_size) == ((320, 240), None)
    for anchors in (made, stored):
        strides = anchors.strides() * [240, 320]
        expected = np.repeat([8, 16, 32, 64], [30 * 40 * 6, 15 * 20 * 6, 8 * 10 * 6, 4 * 5 * 6])
        assert np.abs(strides - expected[:, None]).max() < 0.01


def test_the_ssd_generator_makes_the_anchors_of_ssd_mobilenet():
    """1917 of them; numbers as in the box priors that are published with its TFLite files."""
    rows = read_anchors({**SSD, "count": 1917}).rows
    assert rows[0].round(8).tolist() == [0.02631579, 0.02631579, 0.1, 0.1]
    assert rows[1, 2:].round(8).tolist() == [0.14142136, 0.28284271]
    assert rows[2, 2:].round(8).tolist() == [0.28284271, 0.14142136]
    assert rows[3, :2].round(8).tolist() == [0.02631579, 0.07894737]
    assert rows[19 * 19 * 3 + 5, 2:].round(8).tolist() == [0.41833001, 0.41833001]  # sqrt(0.35 * 0.5)
    assert rows[-1].round(8).tolist() == [0.5, 0.5, 0.97467943, 0.97467943]  # sqrt(0.95 * 1)


def test_strides_offsets_and_bases_of_an_ssd_are_in_pixels_of_its_input():
    """A second writing, with loops, of an input that is no square."""
    height, width, scales, ratios = 128, 192, [0.2, 0.5], [1.0, 3.0]
    given = {
        "type": "ssd_anchor_generator",
        "num_layers": 2,
        "scales": scales,
        "aspect_ratios": ratios,
        "interpolated_scale_aspect_ratio": 2.0,
        "reduce_boxes_in_lowest_layer": False,
        "base_anchor_height": 0.5,
        "base_anchor_width": 2.0,
        "height_stride": [16, 40],
        "width_stride": [32, 50],
        "height_offset": [3, 5],
        "width_offset": [7, 11],
        "input": {"height": height, "width": width},
    }
    expected = []
    for layer, (y_stride, x_stride, y_first, x_first) in enumerate([(16, 32, 3, 7), (40, 50, 5, 11)]):
        following = [*scales, 1.0][layer + 1]
        specs = [(scales[layer], ratio) for ratio in ratios] + [(math.sqrt(scales[layer] * following), 2.0)]
        for row in range(math.ceil(height / y_stride)):
            for column in range(math.ceil(width / x_stride)):
                for scale, ratio in specs:
                    high = scale / math.sqrt(ratio) * 0.5 * min(height, width)
                    wide = scale * math.sqrt(ratio) * 2.0 * min(height, width)
                    y, x = row * y_stride + y_first, column * x_stride + x_first
                    expected.append([y / height, x / width, high / height, wide / width])
    made = read_anchors(given).rows
    assert made.shape == np.shape(expected)
    assert np.allclose(made, expected, rtol=0, atol=1e-12)


def test_feature_maps_can_be_given_where_the_networks_are_others():
    rows = read_anchors({**SSD, "feature_maps": [[38, 38], [19, 19], [10, 10], [5, 5], [3, 3], [1, 1]]}).rows
    assert len(rows) == 38 * 38 * 3 + (19 * 19 + 100 + 25 + 9 + 1) * 6


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"type": "grid"}, "type is 'grid'; known are ssd_anchor_generator, multiscale_anchor_generator"),
        ({**SSD, "min_level": 3}, "ssd_anchor_generator has no 'min_level'; it has type, num_layers, "),
        ({**SSD, "aspect_ratios": []}, "aspect_ratios are missing"),
        ({**SSD, "input": None}, 'it needs "input"'),
        ({**SSD, "count": 1916}, "they come to 1917 and not to count=1916"),
        ({**SSD, "num_layers": 1}, "cannot be made: ZeroDivisionError"),
        ({**SSD, "height_stride": [16]}, "1 heights and 0 widths of strides or offsets for 6 layers"),
        ({**SSD, "feature_maps": [[19, 19]]}, "1 feature_maps for 6 layers"),
        ({**SSD, "scale_factors": [10, 10]}, "four numbers above 0"),
        ({**MULTISCALE, "aspect_ratios": [-1.0]}, "cannot be made: ValueError"),
    ],
)
def test_parameters_that_make_no_anchors_are_refused_with_the_reason(parameters, sentence):
    with pytest.raises(DetectorError, match=sentence):
        read_anchors(parameters)


def test_a_generators_file_is_named_when_it_is_wrong(tmp_path):
    path = tmp_path / "anchors.json"
    path.write_text(json.dumps({**SSD, "count": 5}), encoding="utf-8")
    with pytest.raises(DetectorError, match=r"anchors\.json: they come to 1917"):
        read_anchors(path)


# Frames


@given(
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    resize=st.sampled_from(["stretch", "letterbox", "keep_aspect"]),
    box=st.tuples(*[st.integers(0, 900)] * 4),
)
@settings(max_examples=60, deadline=None)
def test_a_box_goes_to_the_input_and_back_and_the_image_lies_inside(width, height, resize, box):
    frame = frame_of(width, height, resize, 320, 240)
    boxes = np.array([box], float)
    assert np.allclose(frame.to_image(frame.to_input(boxes)), boxes, atol=1e-9)
    x0, y0, x1, y1 = frame.to_input(np.array([[0.0, 0.0, width, height]]))[0].round(9)
    assert (min(x0, y0) >= 0, x1 <= 320, y1 <= 240) == (True, True, True)
    if resize == "stretch":
        assert (x0, y0, x1, y1) == (0, 0, 320, 240)


# Best anchors


@pytest.mark.parametrize("pairs", [1, 7, 1 << 18])
def test_the_best_anchor_is_the_first_of_largest_overlap_whatever_the_chunk(monkeypatch, pairs):
    monkeypatch.setattr(module, "PAIRS_HELD", pairs)
    rng = np.random.default_rng(1)
    corner, size = rng.random((2, 40, 2)) * 50
    boxes = np.concatenate([corner, corner + size], axis=1)
    anchors = np.concatenate([boxes[::3] + 1.5, boxes[::3] + 1.5])
    row, overlap = best_anchors(boxes, anchors)
    table = iou(boxes, anchors)
    assert row.tolist() == table.argmax(axis=1).tolist()
    assert overlap.tolist() == table.max(axis=1).tolist()
    assert row.max() < len(anchors) / 2


def test_no_anchors_at_all_are_refused_and_no_boxes_are_none():
    with pytest.raises(DetectorError, match="for a detector without any give None"):
        best_anchors(np.zeros((1, 4)), np.zeros((0, 4)))
    assert best_anchors(np.zeros((0, 4)), np.ones((3, 4)))[0].shape == (0,)


# The report


def unread():
    raise AssertionError("anchors look at no pixels")


def scored(*images: tuple[list[list[float]], list[Crop]], width: int = 200, height: int = 100) -> Objects:
    """Objects of images with their crops; annotation ids in no order."""
    samples, crops, unit = [], [], []
    for number, (boxes, windows) in enumerate(images):
        rows = np.array(boxes, float).reshape(-1, 4)
        ids = [90 - 7 * place for place in range(len(rows))]
        samples.append(Sample(f"{number}.jpg", width, height, GroundTruth(rows, [1] * len(rows), ids=ids), unread))
        crops += windows
        unit += [number] * len(windows)
    index = CropIndex(tuple(samples), tuple(crops), np.array(unit), np.zeros(len(unit), int))
    return build_objects(index, 0.5)


def report_of(objects: Objects, anchors: Anchors, lost=None, resize="stretch", size=(100, 100), **more) -> AnchorReport:
    lost = np.zeros(len(objects.truth), bool) if lost is None else np.array(lost)
    draws = draw_units(len(objects.index.samples), 300, 0)
    found = anchor_report(objects, anchors, size, resize, lost, draws, **more)
    assert isinstance(found, AnchorReport)
    return found


def squares(side: float, stride: int = 10, size: int = 100) -> Anchors:
    """Square anchors in pixels of a square input."""
    places = np.arange(stride / 2, size, stride)
    rows = [[y, x, side, side] for y in places for x in places]
    return Anchors(np.array(rows) / size)


def test_the_whole_object_is_measured_in_the_whole_image_and_the_clipped_one_in_the_crop():
    # at an input of 100 x 100 from 200 x 100: 20 x 20 in the whole image; in the crop its left half, 40 x 80
    objects = scored(([[40, 30, 80, 50]], [Crop(60, 30, 50, 25)]))
    found = report_of(objects, squares(20))
    assert found.fits["whole"].iou.tolist() == pytest.approx([15 * 15 / (2 * 400 - 15 * 15)])
    assert found.fits["crop"].iou.tolist() == pytest.approx([400 / (40 * 80)])
    assert found.rows.tolist() == [0]


def test_boxes_come_to_the_input_by_the_detectors_own_resize():
    """A second writing with scales and borders spelled out."""
    box, crop = np.array([31.0, 12.0, 83.0, 77.0]), Crop(21, 5, 90, 80)
    objects, anchors = scored(([box.tolist()], [crop])), squares(30)
    placed = anchors.boxes(100, 100)
    for resize, left, top, scale in (("letterbox", 0, 25, 0.5), ("keep_aspect", 0, 0, 0.5)):
        found = report_of(objects, anchors, resize=resize)
        at_input = box * scale + [left, top, left, top]
        assert found.fits["whole"].iou[0] == pytest.approx(iou(at_input[None], placed).max())
        inner = 100 / 90, round(80 * 100 / 90) / 80
        border = (100 - round(80 * 100 / 90)) // 2 if resize == "letterbox" else 0
        shown = (box - [21, 5, 21, 5]) * [*inner, *inner] + [0, border, 0, border]
        assert found.fits["crop"].iou[0] == pytest.approx(iou(shown[None], placed).max())


def test_all_bounds_are_at_the_level_that_is_asked_for():
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 60, (40, 2))
    whole = Crop(0, 0, 200, 100)
    part = Crop(0, 0, 130, 95)
    sides = [2, 1] * rng.uniform(15, 30, (40, 1))  # squares at the input, which is half as wide as the image
    boxes = np.concatenate([corner, corner + sides], axis=1).tolist()
    objects = scored(*(([box], [whole, part]) for box in boxes))
    lost = rng.random(len(objects.truth)) < 0.5
    wide, narrow = (report_of(objects, squares(20), lost, level=level).to_dict() for level in (0.99, 0.6))
    pairs = [(wide["recall"][name]["0.5"], narrow["recall"][name]["0.5"]) for name in ("whole", "crop", "fall")]
    pairs += [(wide["strides"][name], narrow["strides"][name]) for name in ("whole", "crop")]
    pairs.append((wide["odds_ratio"], narrow["odds_ratio"]))
    for one, other in pairs:
        assert one["value"] == other["value"]
        assert one["low"] < other["low"] <= other["high"] < one["high"]


def test_the_distance_to_the_best_anchor_is_in_its_strides():
    objects = scored(([[27, 21, 67, 41]], [Crop(0, 0, 200, 100)]))  # at the input 13.5 to 33.5 by 21 to 41
    rows = [[y, x, 20, 20] for y in range(15, 100, 20) for x in range(5, 100, 10)]
    found = report_of(objects, Anchors(np.array(rows) / 100))
    # centre (23.5, 31), nearest anchor (25, 35): 1.5 px of a stride of 10, and 4 px of one of 20
    assert found.fits["whole"].strides.tolist() == pytest.approx([math.hypot(0.15, 0.2)])
    assert found.strides["crop"].value == pytest.approx(math.hypot(0.15, 0.2))


def test_strides_differ_along_y_and_x_and_an_anchor_alone_has_the_whole_input():
    rows = [[y, x, 0.2, 0.2] for y in (0.1, 0.3, 0.5) for x in (0.25, 0.75)] + [[0.5, 0.5, 0.9, 0.9]]
    strides = Anchors(np.array(rows)).strides()
    assert np.allclose(strides[:6], [[0.2, 0.5]] * 6)
    assert strides[6].tolist() == [1.0, 1.0]


def test_recall_counts_objects_and_its_fall_is_the_difference():
    fits, gone = [30.0, 30.0, 70.0, 50.0], [130.0, 10.0, 170.0, 30.0]
    half = Crop(100, 0, 100, 50)
    objects = scored(([fits, gone], [Crop(0, 0, 200, 100), half]), ([fits], [Crop(0, 0, 200, 100)]))
    found = report_of(objects, squares(20))
    kept = {name: (each.iou >= 0.5).tolist() for name, each in found.fits.items()}
    assert kept == {"whole": [True] * 4, "crop": [True, True, False, True]}
    assert (found.recall["whole"][0.5].value, found.recall["crop"][0.5].value) == (1.0, 0.75)
    fall = found.fall[0.5]
    assert (fall.value, fall.low, fall.high) == (
        0.25,
        0.0,
        pytest.approx(1 / 3),
    )  # of one image of three pairs, or none


def odds_case():
    """Twelve images of one object that keeps or loses its anchor."""
    keeps, takes = Crop(0, 0, 200, 100), Crop(25, 25, 60, 40)
    return scored(*[([[30.0, 30.0, 70.0, 50.0]], [takes if number % 2 else keeps]) for number in range(12)])


def test_the_odds_ratio_is_haldanes_of_the_objects_that_were_found_and_had_an_anchor():
    objects = odds_case()
    lost = [number in (1, 3, 5, 7, 0) for number in range(12)]
    found = report_of(objects, squares(20), lost).lost_with_anchor
    assert found.table == ((4, 2), (1, 5))
    assert found.value == pytest.approx((4.5 * 5.5) / (2.5 * 1.5))
    assert found.low < found.value < found.high
    risk = np.array([number != 2 and number != 9 for number in range(12)])
    assert report_of(objects, squares(20), lost, at_risk=risk).lost_with_anchor.table == ((4, 1), (1, 4))


@pytest.mark.parametrize("lost", [[False] * 12, [True] * 12])
def test_an_empty_margin_leaves_the_odds_ratio_undefined(lost):
    found = report_of(odds_case(), squares(20), lost)
    assert (found.lost_with_anchor.value, found.lost_with_anchor.low, found.lost_with_anchor.high) == (None,) * 3
    assert "anchor present: ratio undefined" in str(found)


def test_objects_are_counted_as_they_are_scored_or_as_they_are_chosen():
    objects = scored(([[0, 0, 20, 20], [50, 0, 90, 20]], [Crop(15, 0, 100, 60)]))
    assert objects.scored.tolist() == [False, True]
    assert report_of(objects, squares(20)).rows.tolist() == [1]
    assert report_of(objects, squares(20), counted=np.array([True, False])).rows.tolist() == [0]


def test_a_report_without_objects_is_undefined_and_no_error():
    found = report_of(scored(([], [Crop(0, 0, 50, 50)])), squares(20))
    assert found.recall["whole"][0.5].value is None
    assert found.strides["crop"].value is None


def test_a_report_is_made_of_built_in_values():
    found = report_of(odds_case(), squares(20), [number % 3 == 0 for number in range(12)]).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["anchors"], found["objects"]) == (100, 12)
    assert set(found["recall"]) == {"whole", "crop", "fall"}
    assert set(found["recall"]["crop"]) == {"0.5", "0.7"}


def test_a_detector_without_anchors_is_said_to_have_none():
    objects = odds_case()
    found = anchor_report(objects, None, (100, 100), "stretch", np.zeros(12, bool), draw_units(12, 10, 0))
    assert isinstance(found, NoAnchors)
    assert str(found) == "the detector has no anchors"
    assert found.to_dict() == {"anchors": None, "why": "the detector has no anchors"}


def test_a_resize_without_a_fixed_input_and_anchors_in_pixels_are_refused():
    with pytest.raises(DetectorError, match="resize=inside: anchors lie in a fixed input"):
        report_of(odds_case(), squares(20), resize="inside")
    with pytest.raises(DetectorError, match="larger than the input: they are wanted as cy cx h w in 0 to 1"):
        report_of(odds_case(), Anchors(squares(20).rows * 100))


@pytest.mark.parametrize(
    ("crops", "least", "most"), [("random:keep=0.15,per_image=8", 0.01, 0.2), ("object:severity=5", 0.7, 1)]
)
def test_the_shipped_detectors_anchors_are_missing_in_crops_of_another_scale(crops, least, most):
    samples = list(load_dataset(FIXTURES / "scenes"))
    objects = build_objects(CropIndex.of(samples, make_plan(samples, crops)), 0.5)
    found = report_of(objects, read_anchors(FIXTURES / "models" / "ssd_anchors.json"), size=(320, 240))
    assert found.recall["whole"][0.5].value > 0.95
    assert least < found.fall[0.5].low < found.fall[0.5].high < most


# The picture


def test_the_picture_shows_the_object_its_anchors_and_the_window_in_both_frames():
    crop, anchors = Crop(60, 30, 50, 25), squares(20)
    figure = draw_anchors(np.zeros((100, 200, 3), np.uint8), crop, [40, 30, 80, 50], anchors, (100, 100), count=2)
    drawn = [
        (patch.get_gid(), *patch.get_xy(), patch.get_width(), patch.get_height()) for patch in figure.axes[0].patches
    ]
    # pixel 0 is drawn from -0.5 on; the anchors of 20 x 20 at the input are 40 x 20 in this image
    assert ("object", 39.5, 29.5, 40, 20) in drawn
    assert ("window", 59.5, 29.5, 50, 25) in drawn
    assert [row for row in drawn if row[0] == "anchor"][-1] == ("anchor", 29.5, 24.5, 40, 20)
    assert len(drawn) == 4
    inside = {patch.get_gid(): patch for patch in figure.axes[1].patches}
    assert (inside["object"].get_x(), inside["object"].get_width()) == (-0.5, 20)
    assert (inside["anchor"].get_width(), inside["anchor"].get_height()) == (10, 5)  # 20 of 100 of the input
    assert [axes.get_title().rpartition(" ")[2] for axes in figure.axes] == ["0.39", "0.12"]


def test_an_object_outside_the_window_and_a_missing_matplotlib_are_named(monkeypatch):
    image = np.zeros((100, 200, 3), np.uint8)
    with pytest.raises(ValueError, match=r"box \[0\.0, 0\.0, 9\.0, 9\.0\] lies outside Crop"):
        draw_anchors(image, Crop(60, 30, 50, 25), [0, 0, 9, 9], squares(20), (100, 100))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CropdetError, match=r"pip install 'pytest-cropdet\[plot\]'"):
        draw_anchors(image, Crop(60, 30, 50, 25), [70, 35, 80, 45], squares(20), (100, 100))
