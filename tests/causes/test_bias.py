"""Bias of matched boxes: by hand, and what is a coordinate mistake and what a detector's habit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet.causes.diagnostics.box_bias import box_bias
from pytest_cropdet.evaluation import Detected, match
from pytest_cropdet.evaluation.object_shares import draw_units
from tests.support import NAMES, made, perfect, small_run

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def objects():
    data = made(60, per_image=4)
    return small_run(perfect(data), data, crops="random:keep=0.6-0.9,per_image=3").objects


def corners(objects):
    """(G, 4) the corner of each object's window in its image, twice."""
    windows = [objects.index.crops[image] for image in objects.truth.image]
    return np.array([(crop.left, crop.top) * 2 for crop in windows], dtype=float)


def drawn(objects, move, noise=0.0, whole=False, seed=0):
    """Every object found, its box scattered by ``noise`` of its sides and moved, in the window or the whole image."""
    truth, draw = objects.truth, np.random.default_rng(seed)
    sides = np.tile(truth.boxes[:, 2:] - truth.boxes[:, :2], 2)
    boxes = truth.boxes + np.clip(draw.normal(0, noise, sides.shape), -0.3, 0.3) * sides
    corner = corners(objects) if whole else 0.0
    boxes = move(boxes + corner) - corner
    frame = np.array([(objects.index.crops[i].width, objects.index.crops[i].height) * 2 for i in truth.image])
    return Detected(truth.image, truth.category, np.clip(boxes, 0, frame), np.full(len(truth), 0.9))


def bias_of(objects, reference, crop, score=0.5):
    detected = {"reference": reference, "crop": crop}
    images, categories = len(objects.index), sorted(NAMES)
    matches = {
        name: match(objects.truth, each, images=images, categories=categories) for name, each in detected.items()
    }
    return box_bias(objects, detected, matches, score, draw_units(len(objects.index.samples), 200, 0))


def stay(boxes):
    return boxes


def resized(width=1.0, height=1.0):
    """Each side times a factor, about the middle."""

    def move(boxes):
        middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * [width, height]
        return np.concatenate([middle - half, middle + half], axis=1)

    return move


def right(boxes):
    return np.add(boxes, [1, 0, 1, 0])


def found(bias):
    return [(each.rendering, each.axis, each.kind, round(each.p, 3)) for each in bias.mistakes]


class TestMeans:
    def test_a_perfect_detector_has_none(self, objects):
        bias = bias_of(objects, drawn(objects, stay), drawn(objects, stay))
        for rendering in (bias.reference, bias.crop):
            assert {each.to_dict()["value"] for each in rendering.pixels.values()} == {0.0}
            assert {each.low for each in rendering.ratio.values()} == {1.0}
        assert (bias.mistakes, bias.text) == ((), None)

    def test_offsets_are_detection_minus_truth_in_pixels_and_in_sides(self, objects):
        crop = drawn(objects, lambda boxes: np.add(boxes, [1, -2, 1, -1]))
        means = bias_of(objects, drawn(objects, stay), crop).crop
        values = {name: each.value for name, each in means.pixels.items()}
        assert values == pytest.approx({"x0": 1, "x1": 1, "x": 1, "y0": -2, "y1": -1, "y": -1.5})
        assert 1 / 35 < means.relative["x"].value < 1 / 10  # the objects are 10 to 35 px wide
        assert means.ratio["width"].value == pytest.approx(1)
        assert means.ratio["height"].value > 1.02

    def test_the_ratio_is_of_sizes(self, objects):
        means = bias_of(objects, drawn(objects, stay), drawn(objects, resized(0.9, 1.1))).crop
        assert [means.ratio[side].value for side in ("width", "height")] == pytest.approx([0.9, 1.1])

    def test_bounds_hold_the_mean_and_know_the_scatter(self, objects):
        few = bias_of(objects, drawn(objects, stay, 0.02), drawn(objects, stay, 0.1))
        narrow, wide = (each.high - each.low for each in (few.reference.pixels["x0"], few.crop.pixels["x0"]))
        assert 3 < wide / narrow < 8
        assert few.crop.pixels["x0"].low < few.crop.pixels["x0"].value < few.crop.pixels["x0"].high

    def test_what_is_cut_at_the_windows_edge_has_no_say_on_that_axis(self, objects):
        """Clipped boxes cannot be shifted out of the window; the mean is that of those that can."""
        bias = bias_of(objects, drawn(objects, stay), drawn(objects, right))
        assert bias.crop.boxes["x"] < objects.scored.sum()
        assert bias.crop.pixels["x1"].value == pytest.approx(1, abs=1e-12)

    def test_weak_detections_have_no_say(self, objects):
        bias = bias_of(objects, drawn(objects, stay), drawn(objects, right), score=0.95)
        assert bias.crop.boxes == {"x": 0, "y": 0}
        assert bias.crop.pixels["x0"].to_dict() == {"value": None, "low": None, "high": None}
        assert bias.crop.ratio["width"].value is None
        assert bias.mistakes == ()

    def test_the_box_that_fits_better_is_the_truth(self, objects):
        tight = np.add(objects.truth.boxes, [1, 0, 1, 0])
        both = replace(objects, truth=replace(objects.truth, tight=tight))
        assert bias_of(both, drawn(objects, stay), drawn(objects, right)).crop.pixels["x0"].value == 0


class TestMistakes:
    @pytest.mark.parametrize(
        ("move", "axis", "kind", "p", "words"),
        [
            (right, "x", "shift", 1, "boxes shifted by +1 px in x"),
            (lambda boxes: boxes - [0, 0.5, 0, 0.5], "y", "shift", -0.5, "boxes shifted by -0.5 px in y"),
            (lambda boxes: boxes - [0, 0, 1, 0], "x", "last", -1, "right edges off by -1 px"),
            (lambda boxes: np.add(boxes, [0, 1, 0, 0]), "y", "first", 1, "top edges off by +1 px"),
            (lambda boxes: boxes * [0.98, 1, 0.98, 1], "x", "scale", -0.02, "all x coordinates too small by 2.0%"),
            (resized(height=1.02), "y", "size", 0.02, "boxes too tall by 2.0%"),
            (resized(width=0.98), "x", "size", -0.02, "boxes too narrow by 2.0%"),
        ],
        ids=["shift", "half a pixel", "inclusive right", "from 1 at the top", "scale", "too tall", "too narrow"],
    )
    @pytest.mark.parametrize("noise", [0.0, 0.01])
    def test_one_rule_for_all_boxes_is_named(self, objects, move, axis, kind, p, words, noise):
        moved = drawn(objects, move, noise / (2 if abs(p) < 1 else 1))
        _, mistake = bias_of(objects, drawn(objects, move, noise / 2, whole=True), moved).mistakes
        assert (mistake.rendering, mistake.axis, mistake.kind) == ("crop", axis, kind)
        assert mistake.p == pytest.approx(p, rel=0.15 if noise else 1e-6)
        assert mistake.low <= mistake.p <= mistake.high
        if not noise:
            assert mistake.looks_like == words

    def test_a_scale_is_that_of_the_frame_that_the_detector_was_shown(self, objects):
        def smaller(boxes):
            return boxes * 0.98

        moved = drawn(objects, smaller, whole=True), drawn(objects, smaller)
        both = [(name, axis, "scale", -0.02) for name in ("reference", "crop") for axis in "xy"]
        assert found(bias_of(objects, *moved)) == both

    def test_the_sentence_names_it_once_and_how_to_mend_it(self, objects):
        bias = bias_of(objects, drawn(objects, right), drawn(objects, right))
        assert bias.text == (
            "boxes shifted by +1 px in x in whole images and crops: 100% of the boxes go that way, whatever their "
            "category and size. A coordinate mistake, not a weakness: take 1 px off x (padding left in, or centres of "
            "pixels read as edges?), in the detector's description or adapter, or in the annotations"
        )

    @pytest.mark.parametrize(
        ("move", "is_mistake"),
        [
            (right, True),
            (lambda boxes: boxes * [0.98, 1, 0.98, 1], True),
            (resized(width=0.9), False),
            (lambda boxes: boxes - [0, 0, 1, 0], False),
            (lambda boxes: np.add(boxes, [1, 0, 0, 0]), False),
        ],
        ids=["shift", "scale", "size", "last", "first"],
    )
    def test_in_crops_alone_only_what_concerns_the_frame_is_a_mistake(self, objects, move, is_mistake):
        """A strange scale may make all boxes narrow, and that is a weakness."""
        assert bool(bias_of(objects, drawn(objects, stay), drawn(objects, move)).mistakes) == is_mistake
        assert bias_of(objects, drawn(objects, move, whole=True), drawn(objects, stay)).mistakes

    def test_in_crops_the_mistake_must_be_that_of_the_whole_images(self, objects):
        wide, narrow = drawn(objects, resized(width=1.1)), drawn(objects, resized(width=0.9))
        assert [each.rendering for each in bias_of(objects, wide, narrow).mistakes] == ["reference"]

    @pytest.mark.parametrize("seed", range(5))
    def test_scatter_is_no_mistake(self, objects, seed):
        bias = bias_of(objects, drawn(objects, stay, 0.02, seed=seed), drawn(objects, stay, 0.1, seed=seed))
        assert bias.mistakes == ()

    def test_boxes_that_are_simply_poor_do_not_hide_it(self, objects):
        good, poor = drawn(objects, right), drawn(objects, right, 0.15)
        some = np.where(np.arange(len(good))[:, None] % 4 == 0, poor.boxes, good.boxes)
        assert found(bias_of(objects, drawn(objects, stay), replace(good, boxes=some))) == [("crop", "x", "shift", 1.0)]

    def test_a_surely_biased_mean_in_wide_scatter_is_a_habit(self, objects):
        bias = bias_of(
            objects, drawn(objects, stay), drawn(objects, lambda boxes: np.add(boxes, [0.5, 0, 0.5, 0]), 0.08)
        )
        assert bias.crop.pixels["x"].low > 0
        assert bias.mistakes == ()

    def test_what_holds_for_some_categories_alone_is_a_weakness(self, objects):
        crop = drawn(objects, stay)
        away = np.where(crop.category[:, None] == 3, -0.3, 1.0) * [1, 0, 1, 0]
        bias = bias_of(objects, drawn(objects, stay), replace(crop, boxes=np.maximum(crop.boxes + away, 0)))
        assert bias.crop.pixels["x"].low > 0
        assert bias.mistakes == ()

    def test_what_holds_for_some_sizes_alone_is_a_weakness(self, objects):
        crop = drawn(objects, stay)
        narrow = crop.boxes[:, 2] - crop.boxes[:, 0] < 18
        away = np.where(narrow[:, None], -0.3, 1.0) * [1, 0, 1, 0]
        bias = bias_of(objects, drawn(objects, stay), replace(crop, boxes=np.maximum(crop.boxes + away, 0)))
        assert bias.mistakes == ()

    def test_less_than_a_quarter_of_a_pixel_is_nobodys_mistake(self, objects):
        def move(by):
            return drawn(objects, lambda boxes: np.add(boxes, [by, 0, by, 0]))

        assert found(bias_of(objects, move(0.24), move(0.26))) == [("crop", "x", "shift", 0.26)]

    def test_four_pictures_show_no_rule(self):
        data = made(4, per_image=8)
        few = small_run(perfect(data), data, crops="random:keep=0.6-0.9,per_image=6").objects
        bias = bias_of(few, drawn(few, right), drawn(few, right))
        assert bias.crop.boxes["x"] >= 20
        assert bias.mistakes == ()

    def test_the_dictionary_is_of_built_in_values(self, objects):
        values = bias_of(objects, drawn(objects, stay), drawn(objects, right)).to_dict()
        assert json.loads(json.dumps(values)) == values
        assert list(values) == ["reference", "crop", "mistakes"]
        assert values["mistakes"][0]["kind"] == "shift"


class TestRealDetectors:
    """A trained detector has habits, and is not blamed for them; the same detector with a mistake is."""

    @staticmethod
    def biases(run):
        """The run's own bias, and those of its detections moved as by a mistake."""
        own = box_bias(run.objects, run.detected, run.matches, run.hidden.score, draws_of(run))
        moved = {}
        for name, move in (("shift", lambda boxes: boxes + 1), ("scale", lambda boxes: boxes * 0.98)):
            crop = replace(run.detected["crop"], boxes=move(run.detected["crop"].boxes))
            categories = run.matches["crop"].categories.tolist()
            matches = match(run.objects.truth, crop, images=len(run.objects.index), categories=categories)
            tables = {**run.detected, "crop": crop}, {**run.matches, "crop": matches}
            moved[name] = box_bias(run.objects, *tables, run.hidden.score, draws_of(run))
        return own, moved

    @pytest.mark.usefixtures("needs_tensorflow")
    def test_the_shipped_detector(self):
        run = run_of(FIXTURES / "models" / "saved_model", FIXTURES / "scenes" / "instances.json", sample_images=150)
        own, moved = self.biases(run)
        assert own.mistakes == ()
        assert own.crop.boxes["x"] > 150
        assert {(each.axis, each.kind) for each in moved["shift"].mistakes} == {("x", "shift"), ("y", "shift")}
        assert {(each.axis, each.kind) for each in moved["scale"].mistakes} == {("x", "scale"), ("y", "scale")}

    @pytest.mark.usefixtures("needs_tensorflow")
    def test_centernet_on_photographs(self, assets):
        run = run_of(assets / "models" / "centernet_coco" / "saved_model", assets / "data" / "coco-open-dev")
        own, moved = self.biases(run)
        assert own.mistakes == ()
        assert own.reference.pixels["x0"].high < 0  # a habit that is sure, and a pixel wide
        assert {(each.axis, each.kind) for each in moved["scale"].mistakes} == {("x", "scale"), ("y", "scale")}


def run_of(model, data, **options):
    from pytest_cropdet import load_dataset, load_detector

    return small_run(load_detector(model), load_dataset(data), crops="random:keep=0.3-0.9,per_image=1", **options)


def draws_of(run):
    return draw_units(len(run.objects.index.samples), 200, 0)
