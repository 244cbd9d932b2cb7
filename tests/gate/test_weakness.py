"""Why a reference is weak, from the answers that are there: missing names, categories off by one, other boxes."""

import json

import numpy as np
import pytest

from pytest_cropdet.benchmark.result import estimate, run_benchmark
from pytest_cropdet.data.categories import reconcile
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.gate.dry_runs import dry_run
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.weakness import Answers
from pytest_cropdet.report.github import github_summary
from pytest_cropdet.report.terminal import paired_by, pairings
from pytest_cropdet.settings import RunSettings
from tests.support import (
    HEIGHT,
    NAMES,
    WIDTH,
    Data,
    Fake,
    blind,
    is_whole,
    made,
    objects,
    opinions,
    same,
    sample,
    shown_in,
    small_run,
)

DATA = made(images=60, per_image=3)
OPINIONS = opinions(DATA, loose=0.05)
SIZE = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], dtype=float)
IDS = {3: 3, 7: 7, 12: 12}


def answering(change, **attributes) -> Fake:
    """A fair detector whose answers were changed, a function of boxes and ids."""
    changed = []
    for found in OPINIONS:
        boxes, ids = change(found.boxes, found.categories)
        changed.append(Detections(boxes, found.scores, ids))
    return Fake(lambda number, crop: changed[number] if is_whole(crop) else Detections.empty(), **attributes)


def renamed(table):
    return lambda boxes, ids: (boxes, np.array([table[key] for key in ids.tolist()]))


def cause(detector, data=DATA, **changes) -> str:
    """The first reason of a run's verdict, which must be that its reference is weak."""
    (verdict,) = small_run(detector, data, max_drop=0.05, explain="off", **changes).judge()
    assert verdict.reason == "blind"
    return verdict.doubts[0].text


def by_hand(said, whole, input_size=(0, 0), names=None, data=DATA) -> Answers:
    """Answers of a detector that was read from a file."""
    return Answers(list(data), whole, reconcile(names, data.categories, ()), said, True, input_size)


class TestNames:
    @pytest.mark.parametrize(
        ("table", "lacks"),
        [
            ({3: 12, 7: 60, 12: 61}, "(60, 61)"),
            ({3: 7, 7: 60, 12: 3}, "(60)"),
        ],
    )
    def test_ids_that_the_set_lacks_are_counted_and_named_first(self, table, lacks):
        detector = answering(renamed(table))
        text = cause(detector)
        total = sum(map(len, OPINIONS))
        left_out = sum(table[key] >= 60 for found in OPINIONS for key in found.categories.tolist())
        assert text.startswith("names are missing: categories are paired by id, because the detector gives no names; ")
        assert f"{left_out:,} of {total:,} detections on whole images have ids that the data set lacks {lacks}" in text
        assert text.index("names are missing") < text.index("the detector is too weak")
        assert "give the detector an attribute `categories`" in text

    def test_ids_that_all_exist_but_mean_other_things_are_recognised_by_where_the_boxes_lie(self):
        text = cause(answering(renamed({3: 7, 7: 12, 12: 3})))
        assert text.startswith("names are missing: ")
        assert "the boxes fit objects of other categories" in text
        assert "id 7 on 'cat'" in text

    def test_names_that_stand_beside_the_wrong_ids_are_recognised_too(self):
        wrong = {3: "dog", 7: "bird", 12: "cat"}
        text = cause(answering(renamed(IDS), categories=wrong))
        assert "names are missing" not in text
        assert "the boxes fit objects of other categories" in text

    def test_two_names_that_are_swapped_are_not_called_off_by_one(self):
        names = {1: "cat", 2: "dog"}
        data = made(60, 3, names)
        seen = [Detections(each.boxes, each.scores, 3 - each.categories) for each in opinions(data, loose=0.05)]
        detector = Fake(lambda number, crop: shown_in(seen[number], crop), categories=names)
        text = cause(detector, data).partition("the reference itself")[0]
        assert "off by one" not in text
        assert text.startswith("the boxes fit objects of other categories (id ")
        assert "fix: correct the names that the detector's attribute `categories` gives to its ids" in text

    @pytest.mark.parametrize(("first", "step", "right"), [(1, 1, 0), (0, -1, 1)])
    def test_a_first_category_off_by_one_is_named_with_its_option(self, first, step, right):
        data = made(images=60, categories={1: "cat", 2: "dog", 3: "bird"})
        whole = [Detections(each.boxes, each.scores, each.categories - step) for each in opinions(data)]
        answers = by_hand({"first_category": first}, whole, names={0: "x", **data.categories}, data=data)
        assert answers.likely.kind == f"ids{step:+d}"
        assert f"--cropdet-detector first_category={right} instead of {first}" in answers.explain("too weak")

    def test_a_detector_with_the_right_names_is_not_suspected(self):
        answers = by_hand({"units": "normalized", "boxes": "xyxy"}, OPINIONS, names=NAMES)
        assert answers.likely is None
        assert answers.explain("too weak").startswith("too weak; ")

    def test_a_poor_detector_by_id_is_not_accused_of_its_names(self):
        """All of its ids are those of the set, and its boxes lie anywhere."""
        draw = np.random.default_rng(1)
        corner = draw.uniform(0, 60, (60, 4, 2))
        whole = [Detections(np.hstack([each, each + 25]), [0.5] * 4, draw.choice([3, 7, 12], 4)) for each in corner]
        text = cause(same(whole))
        assert text.startswith("the detector is too weak")
        assert "seem" not in text

    def test_ids_that_the_set_lacks_are_named_first_even_where_no_other_reading_helps(self):
        corner = np.random.default_rng(1).uniform(0, 60, (60, 4, 2))
        whole = [Detections(np.hstack([each, each + 25]), [0.5] * 4, [3, 7, 40, 41]) for each in corner]
        text = cause(same(whole))
        assert text.startswith("names are missing: ")
        assert "; 120 of 240 detections on whole images have ids that the data set lacks (40, 41) (fix: give" in text
        assert "seem" not in text

    def test_who_returns_nothing_is_told_so(self):
        assert cause(blind()).startswith("the detector returned no box at all on 60 whole images; the detector is")


BOXES = {
    "axes": lambda boxes: boxes[:, [1, 0, 3, 2]],
    "normalized": lambda boxes: boxes / SIZE,
    "yxyx normalized": lambda boxes: (boxes / SIZE)[:, [1, 0, 3, 2]],
}


class TestBoxes:
    @pytest.mark.parametrize("kind", BOXES)
    def test_a_functions_boxes_in_another_order_or_unit_are_named(self, kind):
        detector = answering(lambda boxes, ids: (BOXES[kind](boxes), ids), categories=NAMES)
        text = cause(detector)
        words = {
            "axes": "x and y of the boxes seem to be swapped",
            "normalized": "seem to be 0 to 1 of the image, not pixels",
            "yxyx normalized": "seem to be y0 x0 y1 x1, 0 to 1 of the image, not x0 y0 x1 y1 in pixels",
        }
        assert words[kind] in text.partition("the reference itself")[0]
        assert "return x0 y0 x1 y1 in pixels" in text

    @pytest.mark.parametrize(
        ("said", "made_of", "option"),
        [
            ({"boxes": "xyxy", "units": "normalized"}, lambda b: (b / SIZE)[:, [1, 0, 3, 2]] * SIZE, "boxes=yxyx"),
            ({"boxes": "yxyx", "units": "normalized"}, lambda b: (b / SIZE)[:, [1, 0, 3, 2]] * SIZE, "boxes=xyxy"),
            ({"boxes": "xyxy", "units": "pixels"}, lambda b: b / SIZE, "units=normalized"),
            ({"boxes": "xyxy", "units": "pixels"}, lambda b: b / SIZE * 320, "units=input"),
            ({"boxes": "xyxy", "units": "input"}, lambda b: b / 320, "units=normalized"),
            ({"boxes": "xyxy", "units": "input"}, lambda b: b * SIZE / 320, "units=pixels"),
        ],
        ids=lambda each: each if isinstance(each, str) else None,
    )
    def test_of_a_file_the_option_is_named(self, said, made_of, option):
        whole = [Detections(made_of(each.boxes), each.scores, each.categories) for each in OPINIONS]
        text = by_hand(said, whole, (320, 320), NAMES).explain("too weak")
        key = option.partition("=")[0]
        assert f"(fix: --cropdet-detector {option} instead of {said[key]}); too weak" in text

    @pytest.mark.parametrize("order", ["xywh", "cxcywh"])
    def test_sizes_read_as_corners_are_recognised(self, order):
        data = Data([sample(number, objects(((5 + number % 9, 12, 50, 60), 3))) for number in range(30)])
        box = {"xywh": lambda x: [x, 12, 50 - x, 48], "cxcywh": lambda x: [(50 + x) / 2, 36, 50 - x, 48]}[order]
        whole = [Detections([box(5 + number % 9)], [0.9], [3]) for number in range(30)]
        answers = by_hand({"boxes": "xyxy", "units": "pixels"}, whole, names=NAMES, data=data)
        assert answers.likely.kind == order
        assert f"boxes={order} instead of xyxy" in answers.explain("too weak")

    def test_what_only_new_calls_can_show_is_left_to_the_check_by_its_command(self):
        whole = [Detections.empty() for _ in DATA]
        text = by_hand({"range": "0..1", "units": "normalized"}, whole, names=NAMES).explain("too weak")
        assert text.endswith("; --cropdet-checks=invariants -k D15-conventions checks the detector's settings")

    def test_crowds_and_images_without_objects_do_not_count(self):
        crowd = GroundTruth([[5.0, 5.0, 90.0, 80.0]], [3], crowd=[True])
        data = Data([*DATA, sample(60, crowd), sample(61, GroundTruth.empty())])
        whole = [*(Detections(each.boxes / SIZE, each.scores, each.categories) for each in OPINIONS), *OPINIONS[:2]]
        assert by_hand({}, whole, names=NAMES, data=data).likely.kind == "normalized"
        assert by_hand({}, OPINIONS[:1], data=Data([sample(0, GroundTruth.empty())])).likely is None


class TestPairing:
    def test_the_record_says_how_categories_were_paired(self):
        named = run_record(small_run(same(OPINIONS, categories=NAMES), DATA))["pairing"]
        total = sum(map(len, OPINIONS))
        plain = {"folded": [], "merged": {}, "groups": {}}
        assert named == {"by": "name", "detections": total, "left_out": 0, "lacking": [], **plain}
        some = run_record(small_run(answering(renamed({3: 3, 7: 40, 12: 50})), DATA))["pairing"]
        assert (some["by"], some["detections"], sorted(some["lacking"])) == ("id", total, [40, 50])
        assert 0 < some["left_out"] < total
        assert json.loads(json.dumps(some)) == some

    def test_names_that_the_set_lacks_are_left_out_and_no_fault(self):
        more = {**NAMES, 99: "zebra"}
        found = small_run(answering(lambda boxes, ids: (boxes, np.where(ids == 7, 99, ids)), categories=more), DATA)
        assert found.answers.pairing.left_out > 0
        assert found.answers.pairing.text == "categories are paired by name"

    def test_without_ground_truth_nothing_is_paired(self):
        class Bare(Data):
            has_truth = False

        found = small_run(same(OPINIONS), Bare(DATA.samples))
        assert run_record(found)["pairing"] is None

    def test_terminal_and_step_summary_say_it_once(self):
        by_id = {"by": "id", "detections": 2958, "left_out": 143, "lacking": [12, 26, 29, 30, 45, 66]}
        by_name = {"by": "name", "detections": 10, "left_out": 0, "lacking": []}
        lines = pairings([{"pairing": by_name}, {"pairing": by_id}, {"pairing": by_id}, {"pairing": None}, {}], 200)
        assert lines == [
            "categories are paired by id, because the detector gives no names; 143 of 2,958 detections on whole images "
            "have ids that the data set lacks (12, 26, 29, 30, 45, ...)",
        ]
        assert paired_by([{"pairing": by_name}]) == ", categories paired by name"
        assert paired_by([{"pairing": by_name}, {"pairing": by_id}]) == ", categories paired by id and by name"
        assert paired_by([{"pairing": None}, {}]) == ""
        gate = run_record(small_run(same(OPINIONS), DATA))
        assert "Categories are paired by id, because the detector gives no names; the data set has" in github_summary(
            [gate]
        )
        named = run_record(small_run(same(OPINIONS, categories=NAMES), DATA))
        assert "paired" not in github_summary([named])


class TestDryRun:
    SETTINGS = RunSettings(crops="random:keep=0.6,per_image=1")

    def lines(self, detector, data=DATA):
        return "\n".join(dry_run(data, self.SETTINGS, detector).lines())

    def test_it_says_how_categories_are_paired(self):
        assert "\n  categories are paired by name\n" in self.lines(same(OPINIONS, categories=NAMES))
        text = self.lines(answering(renamed({3: 3, 7: 40, 12: 50})))
        assert "  categories are paired by id, because the detector gives no names; " in text
        assert "have ids that the data set lacks (40, 50) (of 3 images that were tried)" in text

    def test_categories_that_do_not_fit_are_shown_as_the_run_would(self):
        text = self.lines(same(OPINIONS, categories={3: "cat", 7: "dog"}))
        assert "the run would stop: the detector does not know 'bird' of the data set." in text
        text = self.lines(answering(renamed({3: 40, 7: 41, 12: 42})))
        assert "the run would stop: no detection has a category of the data set." in text

    def test_without_a_detector_nothing_is_compared(self):
        assert dry_run(DATA, self.SETTINGS).categories == ()


class TestBenchmark:
    def test_its_notes_say_so_where_categories_are_paired_by_id(self):
        data = made(images=6)
        whole = opinions(data)
        by_id = run_benchmark(same(whole), data, "quick", replicates=100)
        assert any(note.startswith("categories are paired by id") for note in by_id.notes)
        named = run_benchmark(same(whole, categories=NAMES), data, "quick", replicates=100)
        assert not any("paired" in note for note in named.notes)

    def test_its_dry_run_compares_categories(self):
        lines = "\n".join(estimate(DATA, "quick", RunSettings(), same(OPINIONS, categories={3: "cat"})))
        assert "the run would stop: the detector does not know 'dog', 'bird' of the data set." in lines
        assert "categories are paired by name" in "\n".join(
            estimate(DATA, "quick", RunSettings(), same(OPINIONS, categories=NAMES))
        )
