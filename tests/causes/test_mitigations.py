"""Measures at inference: their pictures, the way of boxes back, and an honest account of what they win."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_cropdet.causes.advice import advise
from pytest_cropdet.causes.mitigations import detect as trying
from pytest_cropdet.causes.mitigations import gains as trials
from pytest_cropdet.causes.mitigations.gains import choose, halves, keep_best
from pytest_cropdet.causes.mitigations.mitigation import MARGINS, Mitigation, Padded, Shrunk, mitigations, size_of
from pytest_cropdet.data.cropping import crop_detections
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.evaluation.interval import Bounded
from pytest_cropdet.gate.runner import Finished, events, run
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.inference.batches import Picture
from pytest_cropdet.inference.progress import Advanced, Started
from pytest_cropdet.settings import RunSettings
from tests.causes.built import SIDES, Built, scenes
from tests.painted import Finder, find, paint, painted_data, sample

pytestmark = pytest.mark.slow

RANDOM = "random:keep=0.5,per_image=2"
WIDTH, HEIGHT = 120, 90
OBJECTS = {1: (10, 10, 40, 30), 2: (50, 40, 70, 80), 3: (90, 5, 110, 60)}
SAMPLE = sample("a.png", WIDTH, HEIGHT, OBJECTS)
WINDOWS = (Crop(5, 5, 60, 50), Crop(30, 0, 90, 90), Crop(0, 0, 120, 90), Crop(55, 45, 10, 20))


def any_size(width, height):
    return height, width


def fixed(width, height):
    return 64, 64


def names(found):
    return [each.name for each in found]


def answered(mitigation, window, input_shape=any_size, detector=find):
    """What a detector says by a measure, in the window's frame, cut to the window."""
    pictures = mitigation.pictures(SAMPLE, window, input_shape)
    image = SAMPLE.image()
    merged = mitigation.merged(SAMPLE, window, pictures, [detector(each.of(image)) for each in pictures])
    return crop_detections(merged, Crop(0, 0, window.width, window.height)).detections


# What is offered, and what it shows


def test_overlap_is_offered_to_a_plan_of_tiles_alone_and_only_more_of_it():
    assert dict.fromkeys(names(mitigations(RANDOM))) == dict.fromkeys(["mean", "reflection", "wider", "whole"])
    assert mitigations("drawn:name=around,per_image=4") == mitigations(RANDOM)
    assert names(mitigations("tile:overlap=0.2"))[-2:] == ["overlap", "overlap"]
    assert [each.overlap for each in mitigations("tile:size=50,overlap=0.3") if each.name == "overlap"] == [0.5]
    assert "overlap" not in names(mitigations("tile:overlap=0.5"))
    assert "overlap" not in names(mitigations("tile+random"))


def test_the_declared_nms_is_used():
    assert {each.max_iou for each in mitigations("tile", 0.45) if each.name in ("whole", "overlap")} == {0.45}
    boxes = [[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 7]]  # IoU with the first 0.8 and 0.7
    two = [Detections(boxes[:1], [0.9], [1]), Detections(boxes[1:], [0.8, 0.7], [1, 1])]
    window = Crop(0, 0, 20, 20)
    pictures = (Picture("a.png", 0, window), Picture("a.png", -1, None))

    def kept(max_iou):
        return Mitigation("whole", max_iou=max_iou).merged(SAMPLE, window, pictures, two).scores.tolist()

    assert kept(0.6) == [0.9]
    assert kept(0.75) == [0.9, 0.7]
    other = [two[0], Detections(boxes[1:], [0.8, 0.7], [2, 2])]
    assert len(Mitigation("whole").merged(SAMPLE, window, pictures, other)) == 2


def test_padding_is_the_windows_own_mean_or_its_reflection():
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    window = Crop(1, 1, 3, 2)
    shown = window.of(image)
    flat = Padded("mean", 4).pixels(image, window)
    assert flat.shape == (10, 11, 3)
    assert (flat[0, 0] == np.rint(shown.reshape(-1, 3).mean(axis=0))).all()
    mirrored = Padded("reflection", 4).pixels(image, window)  # more than the window has
    for padded in (flat, mirrored):
        np.testing.assert_array_equal(padded[4:6, 4:7], shown)
    np.testing.assert_array_equal(mirrored[4:6, 1:4], shown[:, ::-1])
    np.testing.assert_array_equal(mirrored[2:4, 4:7], shown[::-1])


def test_views_that_show_other_pixels_have_other_names_in_the_cache():
    views = [Padded(fill, m) for fill in ("mean", "reflection") for m in MARGINS] + [Shrunk(8, 9), Shrunk(9, 8)]
    assert len({str(view) for view in views}) == len(views)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("mitigation", mitigations("tile:size=60"), ids=str)
def test_a_picture_has_the_size_that_is_told_beforehand_and_the_sample_stays_as_it_was(mitigation, window):
    image = SAMPLE.image()
    for shape in (any_size, fixed):
        for picture in mitigation.pictures(SAMPLE, window, shape):
            assert picture.of(image).shape[1::-1] == size_of(picture, SAMPLE)
    np.testing.assert_array_equal(image, paint(WIDTH, HEIGHT, OBJECTS))


# The way back


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize(
    "mitigation", [Mitigation("mean", margin=m) for m in (1, 16, 64)] + [Mitigation("wider", margin=7)], ids=str
)
def test_boxes_come_back_to_where_they_are_in_the_window(mitigation, window):
    alone, found = find(window.of(SAMPLE.image())), answered(mitigation, window)
    rows = np.argsort(found.categories)
    np.testing.assert_array_equal(found.categories[rows], alone.categories)
    np.testing.assert_array_equal(found.boxes[rows], alone.boxes)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_the_whole_image_comes_back_from_any_size(window):
    whole = Mitigation("whole")
    assert [each.crop for each in whole.pictures(SAMPLE, window, fixed)] == [window, None]  # the model resizes it
    shown = whole.pictures(SAMPLE, window, any_size)[1]
    width, height = size_of(shown, SAMPLE)
    assert width <= window.width
    assert height <= window.height

    def one_object(picture):  # it fills a quarter of whatever it is shown
        high, wide = picture.shape[:2]
        return Detections([[0.25 * wide, 0.5 * high, 0.5 * wide, high]], [0.5], [1])

    boxes = whole.merged(SAMPLE, window, (shown,), [one_object(shown.of(SAMPLE.image()))]).boxes
    expected = np.array([[30, 45, 60, 90]]) - [window.left, window.top] * 2
    np.testing.assert_allclose(boxes, expected, atol=1e-9)


def test_denser_tiles_are_those_that_meet_the_window():
    overlap = Mitigation("overlap", overlap=0.5, size=40)
    tiles = [each.crop for each in overlap.pictures(SAMPLE, Crop(0, 0, 40, 40), any_size)]
    assert tiles == [Crop(0, 0, 40, 40), Crop(20, 0, 40, 40), Crop(0, 20, 40, 40), Crop(20, 20, 40, 40)]
    found = answered(overlap, Crop(0, 0, 40, 40))
    assert found.boxes.tolist().count([10.0, 10.0, 40.0, 30.0]) == 1  # the whole one once


# What they win


def border_shy(picture, found):
    """What does not touch the border of the picture."""
    height, width = picture.shape[:2]
    inside = (found.boxes > 0).all(axis=1) & (found.boxes[:, 2] < width) & (found.boxes[:, 3] < height)
    return found.take(np.flatnonzero(inside))


def tried(detector, data, crops=RANDOM, **changes):
    result = run(detector, data, crops=crops, max_drop=0.01, replicates=200, try_mitigations=True, **changes)
    return result, {each.mitigation.name: each for each in result.explanation.trials.tried}


def test_a_detector_that_needs_surroundings_wins_by_wider_windows():
    result, won = tried(Built(rings=SIDES), scenes(60), "random:keep=0.4-0.8,per_image=2")
    assert result.advice.step == "context"
    assert won["wider"].won.low > 0.1
    assert won["wider"].calls == 1.0
    assert abs(won["mean"].won.value) < 0.02
    assert result.explanation.trials.chosen.mitigation.name in ("wider", "whole")
    assert result.advice.to_dict()["mitigations"] == [each.to_dict() for each in won.values()]


def test_a_detector_that_fails_at_the_pictures_border_wins_by_padding():
    result, won = tried(Finder(border_shy), painted_data(images=60))
    assert result.advice.step == "position"
    assert won["mean"].won.low > 0.5
    assert won["mean"].mitigation.margin == MARGINS[0]  # of equals the mildest
    assert won["mean"].chosen
    assert result.advice.measures == ("pad windows by 16 px of their mean colour",)


def test_a_detector_without_weakness_wins_nothing():
    result, won = tried(Finder(), painted_data(images=60), explain="always")
    assert result.explanation.trials.chosen is None
    assert max(each.won.value for each in won.values()) < 1e-9
    assert not any(each.chosen for each in won.values())
    assert result.advice.measures == ()


def test_tiles_win_by_overlap_and_share_its_pictures():
    _, won = tried(Finder(border_shy), painted_data(images=60), "tile:size=60,overlap=0")
    assert won["overlap"].won.low > 0.2
    assert won["overlap"].calls == 6 / 4  # 2 x 2 tiles without overlap, 3 x 2 with it
    assert won["whole"].calls == 2.0


# Chosen on one half, measured on the other


def test_halves_follow_from_the_ids_alone():
    ids = [f"{number}.png" for number in range(41)]
    first, second = halves(ids, seed=0)
    assert (len(first), len(second)) == (20, 21)
    assert set(first) | set(second) == set(ids)
    again = halves(ids[::-1], seed=0)
    assert (set(again[0]), set(again[1])) == (set(first), set(second))
    assert set(halves(ids, seed=1)[0]) != set(first)


def marked_data(seed=0):
    """Painted pictures; those of the first half are nowhere quite black, by which a detector knows them."""
    data = painted_data(images=60)
    first = set(halves([each.id for each in data], seed)[0])
    for place, each in enumerate(data):
        if each.id in first:
            data[place] = replace(each, read=lambda each=each: np.maximum(each.image(), 1))
    return data


def weak_in(half):
    """A detector that fails at the border of the pictures of one half alone."""
    return Finder(lambda picture, found: border_shy(picture, found) if (picture.min() > 0) == (half == 0) else found)


def test_what_is_won_on_the_first_half_alone_is_chosen_and_told_to_be_nothing():
    result, won = tried(weak_in(0), marked_data())
    assert won["mean"].chosen
    assert won["mean"].first.low > 0.5
    assert won["mean"].won.value == pytest.approx(0.0, abs=1e-12)
    assert result.explanation.trials.images == (30, 30)


def test_what_is_won_on_the_second_half_alone_is_not_chosen():
    result, won = tried(weak_in(1), marked_data())
    assert result.explanation.trials.chosen is None
    assert won["mean"].first.value == pytest.approx(0.0, abs=1e-12)
    assert won["mean"].won.low > 0.5


@pytest.mark.parametrize("leak", ["choose", "measure"])
def test_a_leak_between_the_halves_would_be_seen(leak, monkeypatch):
    def leaking(names, seed):
        first, second = halves(names, seed)
        return (first + second, second) if leak == "choose" else (first, first + second)

    monkeypatch.setattr(trying, "halves", leaking)
    if leak == "choose":
        assert tried(weak_in(1), marked_data())[0].explanation.trials.chosen is not None
    else:
        assert tried(weak_in(0), marked_data())[1]["mean"].won.value > 0.1


def test_a_part_has_the_runs_own_objects_and_detections():
    result = run(Finder(border_shy), painted_data(images=60), crops=RANDOM, replicates=200)
    scored, samples = result.scored, result.objects.index.samples
    everything = trials.part_of(scored, [each.id for each in samples], result.settings).scored
    np.testing.assert_array_equal(everything.objects.truth.boxes, scored.objects.truth.boxes)
    chosen = halves([each.id for each in samples], 0)
    parts = [trials.part_of(scored, half, result.settings) for half in chosen]
    assert sorted([*parts[0].places, *parts[1].places]) == list(range(result.crops))
    for part in parts:
        own = part.scored
        assert {sample.id for sample in part.index.samples} in (set(chosen[0]), set(chosen[1]))
        rows = np.isin(scored.objects.truth.image, part.places)
        np.testing.assert_array_equal(own.objects.truth.boxes, scored.objects.truth.boxes[rows])
        for name, table in scored.detected.items():
            rows = np.isin(table.image, part.places)
            np.testing.assert_array_equal(own.detected[name].boxes, table.boxes[rows])
            np.testing.assert_array_equal(part.places[own.detected[name].image], table.image[rows])


# Choosing


def test_the_parameter_that_wins_most_is_kept_and_of_equals_the_first():
    mild, strong, other = Mitigation("mean", margin=16), Mitigation("mean", margin=32), Mitigation("wider", margin=16)
    assert keep_best({mild: Bounded(0.1, 0, 1), strong: Bounded(0.1, 0, 1), other: Bounded()}) == [mild, other]
    assert keep_best({mild: Bounded(0.1, 0, 1), strong: Bounded(0.2, 0, 1)}) == [strong]


def test_a_measure_is_chosen_if_it_wins_for_sure_and_is_worth_its_calls():
    cheap, dear = Mitigation("wider", margin=16), Mitigation("whole")
    calls = {cheap: 1.0, dear: 2.0}
    assert choose({cheap: Bounded(0.05, 0.01, 0.1), dear: Bounded(0.059, 0.01, 0.1)}, calls) == cheap
    assert choose({cheap: Bounded(0.05, 0.01, 0.1), dear: Bounded(0.061, 0.01, 0.1)}, calls) == dear
    assert choose({cheap: Bounded(0.05, -0.01, 0.1), dear: Bounded(0.02, 0.01, 0.1)}, calls) == dear
    assert choose({cheap: Bounded(0.05, 0.0, 0.1), dear: Bounded()}, calls) is None


# What it costs, and when


def test_nothing_is_tried_unless_asked_for_or_where_a_gate_passes():
    data = painted_data(images=60)
    assert run(Finder(border_shy), data, crops=RANDOM, max_drop=0.01, replicates=200).explanation.trials is None
    passed = run(Finder(), data, crops=RANDOM, max_drop=0.9, replicates=200, try_mitigations=True)
    assert passed.explanation.trials is None
    assert passed.spent.model_calls == 60 + 120
    assert passed.advice.trials is not None  # asked for


def test_each_picture_is_asked_about_once_and_what_is_known_not_at_all():
    detector = Finder(border_shy)
    settings = RunSettings(crops=RANDOM, max_drop=0.01, replicates=200, try_mitigations=True)
    seen = list(events(detector, painted_data(images=60), settings))
    begun = [each for each in seen if isinstance(each, Started) and each.task == "try"]
    assert [each.crops for each in begun] == [60, 60]
    first, second = (each.calls for each in begun)
    assert first <= 60 * 10  # three paddings twice, three wider windows, the whole image; the crop itself is known
    assert second <= 60 * 4
    assert [each.done for each in seen if isinstance(each, Advanced) and each.task == "try"][-1] == second
    assert isinstance(seen[-1], Finished)
    result = seen[-1].run
    assert result.spent.model_calls == 60 + 120 + 480 + first + second
    assert detector.shown == result.spent.model_calls + result.repeat.images


def test_agreement_tells_the_share_that_is_found_again():
    data = painted_data(images=60)
    data.has_truth = False
    result = run(Finder(border_shy), data, crops=RANDOM, min_images=5, max_drop=0.01, try_mitigations=True)
    won = {each.mitigation.name: each.won for each in result.explanation.trials.tried}
    assert 0.5 < won["mean"].low <= won["mean"].high <= 1.0


def test_one_image_cannot_be_halved():
    result = run(Finder(border_shy), painted_data(images=1), crops=RANDOM, explain="always", try_mitigations=True)
    assert result.explanation.trials.tried == ()
    assert "1 images cannot be halved" in str(advise(result.causes, result.plan.spec, result.explanation.trials))
    assert "cannot be halved" not in str(result.advice)  # one image judges nothing, and that is said instead


def test_a_detector_that_fails_while_measures_are_tried_leaves_the_causes_and_is_named():
    class Breaking(Finder):
        def __call__(self, images):
            if self.shown >= 60 + 120 + 480 + 24:
                raise RuntimeError("out of memory")
            return super().__call__(images)

    data = painted_data(images=60)
    result = run(Breaking(border_shy), data, crops=RANDOM, max_drop=0.01, replicates=200, try_mitigations=True)
    told = result.explain(result.judge()[0])
    assert "what to try: train with Position" in told
    assert "measures at inference were not tried: " in told
    assert "out of memory" in told
