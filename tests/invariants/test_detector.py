"""The invariants of detectors: each is broken by one built detector, which breaks no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pytest_cropdet.data.samples import Detections
from pytest_cropdet.detectors.callables import CallableAdapter
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle
from pytest_cropdet.errors import DataError, DetectorError, SpecError
from pytest_cropdet.invariants import failures as broken
from pytest_cropdet.invariants.conventions import ConventionMistake
from pytest_cropdet.invariants.detector import INVARIANT_CHECKS, CannotTell, Tolerances, check_detector, judge_detector
from pytest_cropdet.invariants.observations import Evidence, difference
from pytest_cropdet.plugin import options
from tests.painted import Finder, find, painted_data

DATA = painted_data(16)
WIDTH, HEIGHT = 120, 90
PADDED = Tolerances(stride=32)


def handle(detector: Callable, **description: object) -> DetectorHandle:
    known = Description.of(**{"nms_iou": 0.5, **description})
    return DetectorHandle("built", lambda: CallableAdapter(detector, known), known)


def evidence(detector, **description):
    return Evidence(handle(detector, **description), DATA, examples=96)


def changed(found, rows, boxes=None, scores=None, categories=None):
    """An answer with other boxes, scores or categories in some rows."""
    out = []
    for old, new in ((found.boxes, boxes), (found.scores, scores), (found.categories, categories)):
        values = old.copy()
        if new is not None:
            values[rows] = (new(old) if callable(new) else np.broadcast_to(new, old.shape))[rows]
        out.append(values)
    return Detections(*out)


def with_row(found, box, score, category):
    return Detections([*found.boxes, box], [*found.scores, score], [*found.categories, category])


def touches(picture, found):
    """Which boxes touch the border of their picture."""
    high = [picture.shape[1], picture.shape[0]]
    return (found.boxes[:, :2] == 0).any(axis=1) | (found.boxes[:, 2:] == high).any(axis=1)


def is_window(picture):
    """A window well below the image, not one that is a few pixels smaller."""
    return picture.shape[1] <= WIDTH - 8 or picture.shape[0] <= HEIGHT - 8


def inner(picture, found):
    return ~touches(picture, found) & is_window(picture)


def only_rows(found, rows):
    return found.take(np.flatnonzero(rows))


def wavers():
    calls = iter(range(10**6))
    return Finder(lambda picture, found: changed(found, slice(None), scores=0.9 - 0.01 * (next(calls) % 2)))


class InBatches(Finder):
    def __call__(self, images):
        found = super().__call__(images)
        return found if len(images) == 1 else [changed(each, slice(None), scores=0.85) for each in found]


def beside_fill(at_left):
    def answer(picture, found):
        padded = picture.shape[1] > WIDTH
        return Detections.empty() if padded and bool(picture[0, 0].any()) == at_left else found

    return Finder(answer)


def loose_when_shifted(picture, found):
    if not (WIDTH - 8 < picture.shape[1] < WIDTH):
        return found
    return changed(found, slice(None), boxes=lambda old: old + (old[:, [2]] - old[:, [0]]) * [[0, 0, 0.3, 0]])


def makes_up(picture, found):
    if not is_window(picture):
        return found
    height, width = picture.shape[:2]
    box = [0.4 * width, 0.4 * height, 0.6 * width, 0.6 * height]
    free = all(box[2] <= x0 or box[0] >= x1 or box[3] <= y0 or box[1] >= y1 for x0, y0, x1, y1 in found.boxes.tolist())
    return with_row(found, box, 0.9, 1) if free else found


def doubles(picture, found):
    if not len(found):
        return found
    x0, y0, x1, y1 = found.boxes[0]
    return with_row(found, [x0, y0, x1 + 0.05 * (x1 - x0), y1], 0.4, found.categories[0])


def reaches_out(picture, found):
    right = found.boxes[:, 2] == picture.shape[1]
    return changed(found, right, boxes=lambda old: old + np.array([0, 0, 40, 0]))


class SurerOfLess(Finder):
    """Remembers the sizes in the whole image, and scores what is cut the higher the less of it shows."""

    def __init__(self):
        self.known = []
        super().__init__(self.score)

    def score(self, picture, found):
        area = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
        ids, cut = found.categories.tolist(), touches(picture, found)
        if picture.shape[:2] == (HEIGHT, WIDTH):
            self.known.append(dict(zip(ids, area.tolist(), strict=True)))
        inside = [(each, size) for each, size, outer in zip(ids, area.tolist(), cut, strict=True) if not outer]
        whole = next((each for each in self.known if set(inside) <= set(each.items())), {})
        share = area / [whole.get(each, 1e-9) for each in ids]
        return changed(found, cut & (share < 1), scores=lambda old: np.clip(0.5 + 0.45 * (1 - share), 0, 1))


def raises_on_nothing(picture, found):
    if picture.min() == picture.max() == 114:
        raise RuntimeError("no peak")
    return found


BUILT = {
    "D1-repeatable": wavers,
    "D2-alone-as-in-a-batch": InBatches,
    "D3-padding": lambda: beside_fill(at_left=False),
    "D4-shift-by-strides": lambda: beside_fill(at_left=True),
    "D5-shift-by-pixels": lambda: Finder(loose_when_shifted),
    "D6-interior-object-found": lambda: Finder(
        lambda p, found: only_rows(found, ~inner(p, found) | (found.categories != 1))
    ),
    "D7-nothing-made-up": lambda: Finder(makes_up),
    "D8-score-kept": lambda: Finder(lambda p, found: changed(found, inner(p, found), scores=0.6)),
    "D9-category-kept": lambda: Finder(
        lambda p, found: changed(found, inner(p, found) & (found.categories == 1), categories=2)
    ),
    "D10-no-duplicates": lambda: Finder(doubles),
    "D11-inside-frame": lambda: Finder(reaches_out),
    "D12-truncated-object-found": lambda: Finder(lambda p, found: only_rows(found, ~touches(p, found))),
    "D13-score-falls-with-cut": SurerOfLess,
    "D14-empty-picture": lambda: Finder(raises_on_nothing),
}


def verdicts(detector, allowed=PADDED, **description):
    """Which invariants fail, and which cannot be told."""
    shown, fails, cannot = evidence(detector, **description), [], {}
    for name in BUILT:
        try:
            check_detector(name, shown, allowed)
        except broken.BrokenInvariant as error:
            fails.append(next(key for key, (_, cause) in INVARIANT_CHECKS.items() if cause is type(error)))
        except CannotTell as error:
            cannot[name] = str(error)
    return fails, cannot


def test_there_is_a_built_detector_for_each_invariant():
    assert [*BUILT, "D15-conventions"] == list(INVARIANT_CHECKS) == list(options.INVARIANTS)
    assert {cause.__name__ for _, cause in INVARIANT_CHECKS.values()} | {
        "BrokenInvariant",
        "OwnInvariantBroken",  # tests/invariants/test_own.py
    } == set(broken.__all__)


@pytest.mark.parametrize("name", BUILT)
def test_a_built_detector_breaks_its_own_invariant_and_no_other(name):
    assert verdicts(BUILT[name]()) == ([name], {})


def test_a_right_detector_breaks_none():
    assert verdicts(Finder()) == ([], {})


def test_the_failure_tells_value_limit_and_meaning():
    with pytest.raises(broken.TruncatedObjectLost) as caught:
        check_detector("D12-truncated-object-found", evidence(BUILT["D12-truncated-object-found"]()))
    assert str(caught.value).splitlines() == [
        "1 > 0.2: share of objects cut to 75 % or more that are not found at IoU 0.5",
        "  D12-truncated-object-found: An object of which three quarters show is not found.",
    ]
    check_detector(
        "D12-truncated-object-found",
        evidence(BUILT["D12-truncated-object-found"]()),
        Tolerances(truncated_lost=1.0),
    )


def test_what_cannot_be_told_says_why():
    class OneByOne(Finder):
        batch = 1

    fails, cannot = verdicts(OneByOne(), Tolerances(), nms_iou=None)
    assert fails == []
    assert set(cannot) == {"D2-alone-as-in-a-batch", "D3-padding", "D4-shift-by-strides", "D10-no-duplicates"}
    assert "takes one image per call" in cannot["D2-alone-as-in-a-batch"]
    assert "set --cropdet-tolerance=stride=N" in cannot["D3-padding"]
    assert "--cropdet-detector nms_iou=0.6 declares it" in cannot["D10-no-duplicates"]
    few = Evidence(handle(Finder(lambda picture, found: Detections.empty())), DATA)
    with pytest.raises(CannotTell, match="only 0 confident objects, 8 are needed"):
        check_detector("D6-interior-object-found", few)


def test_a_detector_that_finds_nothing_is_not_judged():
    fails, cannot = verdicts(Finder(lambda picture, found: Detections.empty()))
    assert (fails, set(BUILT) - set(cannot)) == ([], {"D14-empty-picture"})
    for name in ("D1-repeatable", "D2-alone-as-in-a-batch", "D7-nothing-made-up", "D11-inside-frame"):
        assert cannot[name] == "cannot be judged: no confident detection in 16 images"


def test_what_is_found_in_windows_alone_is_made_up():
    detector = Finder(lambda picture, found: makes_up(picture, Detections.empty()))
    assert judge_detector("D7-nothing-made-up", evidence(detector)).verdict == "fail"


def test_no_value_to_try_and_nothing_found_are_no_right_conventions(monkeypatch):
    shown = Evidence(handle(Finder()), DATA, names=DATA.categories)
    for found, reason in (
        ([], "built has no setting to vary"),
        ([ConventionMistake("channels", "rgb", "bgr", 0.0, 0.0, 0.0, 16)], "no annotated object was found, whatever"),
    ):
        monkeypatch.setattr("pytest_cropdet.invariants.convention_check.suspects", lambda *_, found=found: found)
        with pytest.raises(CannotTell, match=reason):
            check_detector("D15-conventions", shown)


@pytest.mark.parametrize(("side", "told"), [(48, True), (64, True), (65, False)])
def test_an_input_no_larger_than_the_shift_has_no_room_for_it(side, told):
    detector = handle(Finder())
    detector.recall(replace(handle(Finder()).profile, input_size=(side, 120)))
    with pytest.raises(CannotTell) as caught:
        check_detector("D4-shift-by-strides", Evidence(detector, DATA))
    assert (str(caught.value) == f"an input of 120 x {side} px has no room for a shift of 64 px") is told


def test_no_images_and_no_such_invariant_are_named():
    with pytest.raises(DataError, match="the data set has no images"):
        Evidence(handle(Finder()), [])
    with pytest.raises(SpecError, match=r"no invariant is called 'D6'; there are D1-repeatable, .*D15-conventions"):
        judge_detector("D6", evidence(Finder()))


def test_it_costs_six_calls_an_image_at_most():
    detector = Finder()
    shown = evidence(detector)
    for name in list(INVARIANT_CHECKS)[4:13]:
        check_detector(name, shown)
    assert detector.shown <= 96
    assert find(np.zeros((4, 4, 3), np.uint8)).scores.size == 0


def test_a_verdict_holds_the_number_and_what_the_check_raises():
    good = judge_detector("D1-repeatable", evidence(Finder()))
    assert (good.verdict, good.value, good.allowed, good.reason) == ("pass", 0.0, 1e-6, None)
    assert good.what.startswith("change of a score")
    good.check()
    bad = judge_detector("D1-repeatable", evidence(wavers()))
    assert bad.verdict == "fail"
    assert bad.value > bad.allowed
    with pytest.raises(broken.NotRepeatable) as caught:
        bad.check()
    assert bad.reason == str(caught.value)
    unknown = judge_detector("D15-conventions", evidence(Finder()))
    assert (unknown.verdict, unknown.value) == ("skip", None)
    with pytest.raises(CannotTell):
        unknown.check()


@pytest.mark.parametrize("value", [1.5, float("-inf")])
def test_what_is_not_finite_is_undefined_in_a_verdict(monkeypatch, value):
    monkeypatch.setattr("pytest_cropdet.invariants.detector.measure", lambda *_: (value, float("inf"), "z"))
    judged = judge_detector("D15-conventions", evidence(Finder()))
    assert (judged.verdict, judged.value, judged.allowed) == ("pass", 1.5 if value == 1.5 else None, None)


# No invariant says more than its numbers prove


def failing(name, detector, names=None, allowed=PADDED):
    """The text of an invariant that is broken, and of one that cannot be judged."""
    judged = judge_detector(name, Evidence(handle(detector), DATA, examples=96, names=names), allowed)
    assert judged.verdict in ("fail", "skip")
    return judged.reason


def boxes_as(change):
    return Finder(lambda p, found: Detections(change(found.boxes, p), found.scores, found.categories))


def test_boxes_without_area_are_no_other_answer_to_the_same_picture():
    flat = Detections([[0, 0, 1, 0], [5, 5, 5, 9]], [0.9, 0.8], [1, 1])
    assert difference(flat, flat, 0.3) == 0
    assert difference(flat, Detections([[0, 0, 1, 0], [5, 6, 5, 9]], [0.9, 0.8], [1, 1]), 0.3) == 0.8
    mixed = Finder(lambda p, found: with_row(found, [0, 0, 1, 0], 0.9, 1))
    assert judge_detector("D1-repeatable", evidence(mixed)).value == 0


WHY_NOTHING = {
    "their boxes have no width or no height: all coordinates are 0 or 1, as of boxes in 0 to 1 that were rounded": (
        lambda p, found: Detections(np.tile([0.0, 0, 1, 0], (len(found), 1)), found.scores, found.categories)
    ),
    "the highest of 48 scores is 0, 0.5 is needed": lambda p, found: changed(found, slice(None), scores=0.0),
    "the highest of 48 scores is 0.4, 0.5 is needed": lambda p, found: changed(found, slice(None), scores=0.4),
    "their boxes lie outside of the picture": lambda p, found: changed(found, slice(None), boxes=lambda old: old + 500),
}


@pytest.mark.parametrize("why", WHY_NOTHING)
@pytest.mark.parametrize("name", ["D1-repeatable", "D7-nothing-made-up", "D6-interior-object-found"])
def test_why_there_is_nothing_to_judge_by_is_said(name, why):
    judged = judge_detector(name, evidence(Finder(WHY_NOTHING[why])))
    assert judged.verdict == "skip"
    assert why in judged.reason
    assert "takes in more images" not in judged.reason


def test_boxes_in_0_to_1_are_named_where_objects_are_too_small_to_judge_by():
    detector = boxes_as(lambda boxes, p: boxes / np.tile(p.shape[1::-1], 2))
    text = failing("D6-interior-object-found", detector)
    assert "lie within 1.5 px of the left top corner, as of boxes in 0 to 1: multiply x by" in text


def test_a_detector_that_fails_the_same_twice_is_no_other_answer():
    def fails(images):
        raise RuntimeError("out of tea")

    text = failing("D1-repeatable", fails)
    assert text.startswith("the detector fails on a picture whenever it is shown: built failed on ")
    assert "out of tea" in text
    for name in ("D6-interior-object-found", "D14-empty-picture"):
        with pytest.raises(DetectorError, match="out of tea") as caught:
            check_detector(name, evidence(fails))
        assert not isinstance(caught.value, broken.BrokenInvariant)


def test_a_detector_that_fails_once_is_not_repeatable():
    calls = iter(range(10**6))

    def answer(picture, found):
        if next(calls) == 0:
            raise RuntimeError("out of tea")
        return found

    with pytest.raises(broken.NotRepeatable, match=r"made the detector fail once, and not when it was shown again"):
        check_detector("D1-repeatable", evidence(Finder(answer)))


@pytest.mark.slow
def test_what_breaks_for_boxes_that_are_read_wrongly_says_so():
    detector = boxes_as(lambda boxes, p: boxes[:, [1, 0, 3, 2]])
    text = failing("D12-truncated-object-found", detector, DATA.categories)
    assert "fix this first, it may be the cause (D15-conventions): built: x0 y0 x1 y1 was expected" in text
    assert "D15" not in failing("D12-truncated-object-found", detector)  # no ground truth to see it by
    assert "D15" not in failing("D12-truncated-object-found", BUILT["D12-truncated-object-found"](), DATA.categories)


def test_what_breaks_for_scores_that_are_chance_says_so():
    rng = np.random.default_rng(0)
    detector = Finder(lambda p, found: changed(found, slice(None), scores=rng.choice([0.55, 0.95], len(found))))
    text = failing("D8-score-kept", detector)
    assert "this may be chance: a score changes by 0.4 when the same picture is shown again (D1-repeatable)" in text


def test_what_breaks_for_a_limit_on_boxes_says_so():
    class Two(Finder):
        max_detections = 2

    detector = Two(lambda p, found: found.take(np.arange(min(2, len(found)))))
    text = failing("D7-nothing-made-up", detector, allowed=Tolerances(made_up=0.0))
    assert "this may be the limit on boxes: in " in text
    assert "the detector returned its maximum (2), all of them scoring 0.15 or more" in text
    filled = Two(BUILT["D7-nothing-made-up"]().answer)
    filled.max_detections = 9
    assert "limit on boxes" not in failing("D7-nothing-made-up", filled)


def test_two_categories_on_one_place_are_no_change_of_category():
    """Each object is found twice, as itself and, surer, as category 9: in the crop as in the whole image."""

    def twice(picture, found):
        count = len(found)
        boxes, scores = np.tile(found.boxes, (2, 1)), np.repeat([0.6, 0.9], count)
        return Detections(boxes, scores, np.concatenate([found.categories, np.full(count, 9)]))

    assert judge_detector("D9-category-kept", evidence(Finder(twice))).value == 0
