"""The search for the window that loses an object: what it finds, what it costs, and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings, target

from pytest_cropdet import Crop, LossRules, ObjectLost, find_worst_crop
from pytest_cropdet.crops.strategies import crops
from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.errors import CannotTell, DetectorError, SpecError
from pytest_cropdet.report.records import search_record
from pytest_cropdet.search.dataset_search import Losses, search
from pytest_cropdet.search.loss_rules import held_objects
from tests.support import HEIGHT, NAMES, WIDTH, Data, Fake, blind, detections, objects, perfect, sample, shown_in

CAT, DOG = (60.0, 30.0, 90.0, 60.0), (20.0, 10.0, 45.0, 40.0)
SAMPLE = sample(0, objects((CAT, 3), (DOG, 7)))
FOUND = detections((CAT, 0.9, 3), (DOG, 0.8, 7))
FRAME = Crop(0, 0, WIDTH, HEIGHT)


def less_sure_around_it(number, crop):
    """Finds all, with scores that fall towards the windows that lose the object."""
    shown = shown_in(FOUND, crop)
    away = (abs(crop.left - 50) + abs(crop.top - 25) + abs(crop.right - 100) + abs(crop.bottom - 70)) / 160
    return Detections(shown.boxes, np.clip(shown.scores * (0.3 + away), 0, 1), shown.categories)


def loses_in_the_fifth(number, crop):
    """Finds all, but in one picture nothing in windows that begin 7 px from its top or lower."""
    shown = shown_in(FOUND, crop)
    return shown if number != 4 or crop.top < 7 else Detections.empty()


def loses(condition, found=FOUND, category=3, to=0.0, **attributes):
    """A detector that gives what it sees of a category the score ``to`` in windows that meet a condition."""

    def answer(number, crop):
        shown = shown_in(found, crop)
        low = condition(crop) & (shown.categories == category)
        return Detections(shown.boxes, np.where(low, to, shown.scores), shown.categories)

    return Fake(answer, batch=1, **attributes)


def cut_right(crop):
    return WIDTH - crop.right


SIDES = {
    "left": (lambda crop: crop.left >= 37, Crop(37, 0, 83, 90), "cutting 37 px off the left"),
    "top": (lambda crop: crop.top >= 17, Crop(0, 17, 120, 73), "cutting 17 px off the top"),
    "right": (lambda crop: cut_right(crop) >= 23, Crop(0, 0, 97, 90), "cutting 23 px off the right"),
    "bottom": (lambda crop: HEIGHT - crop.bottom >= 11, Crop(0, 0, 120, 79), "cutting 11 px off the bottom"),
    "left and right": (
        lambda crop: crop.left >= 5 and cut_right(crop) >= 9,
        Crop(5, 0, 106, 90),
        "cutting 5 px off the left and 9 px off the right",
    ),
}


@pytest.mark.parametrize("side", SIDES)
def test_the_smallest_cut_that_loses_an_object_is_found_to_the_pixel(side):
    fails, crop, words = SIDES[side]
    detector = loses(fails)
    worst = find_worst_crop(detector, SAMPLE, categories=NAMES)
    assert (worst.crop, worst.cut, worst.category, worst.box) == (crop, words, "cat", CAT)
    assert (worst.lost, worst.score_whole, worst.score_crop, worst.visibility) == (True, 0.9, 0.0, 1.0)
    assert worst.calls == worst.windows == len(detector.shown) <= 60
    assert len(set(detector.shown)) == len(detector.shown)


def test_without_shrinking_it_stops_at_the_first_window():
    fails = SIDES["left"][0]
    worst = find_worst_crop(loses(fails), SAMPLE, shrink=False)
    assert worst.lost
    assert fails(worst.crop)
    assert worst.calls < find_worst_crop(loses(fails), SAMPLE).calls


def test_the_search_climbs_towards_lower_scores():
    """Windows that lose the object are too rare to be met by chance; the score falls on the way to them."""

    whole = find_worst_crop(Fake(less_sure_around_it, batch=1), sample(0, objects((CAT, 3))), examples=60, min_side=30)
    assert whole.lost


def test_where_nothing_is_lost_it_is_the_window_with_the_lowest_score():
    detector = loses(lambda crop: crop.left >= 5, to=0.4)
    worst = find_worst_crop(detector, SAMPLE, categories=NAMES)
    assert (worst.lost, worst.score_crop, worst.category) == (False, 0.4, "cat")
    assert worst.crop.left >= 5
    worst.check()
    assert str(worst).startswith("cat kept: 0.90 in the whole image, 0.40 in Crop(left=")


@pytest.mark.parametrize("seed", range(8))
def test_of_windows_in_which_it_scores_equally_low_it_is_the_largest_then_the_first(seed):
    shown = {}

    def answer(number, crop):
        found = shown_in(detections((CAT, 0.9, 3)), crop)
        if len(found) and crop != FRAME:
            shown[crop] = float(np.clip(0.5 + 0.001 * round(crop.width * crop.height / 3000), 0, 1))
        return Detections(found.boxes, np.full(len(found), shown.get(crop, 0.9)), found.categories)

    one = sample(0, objects((CAT, 3)))
    worst = find_worst_crop(Fake(answer, batch=1), one, examples=60, min_side=60, seed=seed)
    low = min(shown.values())
    assert worst.score_crop == low
    largest = max(crop.width * crop.height for crop, score in shown.items() if score == low)
    tied = [crop for crop, score in shown.items() if score == low and crop.width * crop.height == largest]
    assert worst.crop == min(tied)


def test_of_objects_that_score_equally_low_it_is_the_one_that_scored_highest_in_the_whole_image():
    left, right = (40.0, 30.0, 55.0, 60.0), (56.0, 30.0, 71.0, 60.0)
    both = detections((left, 0.7, 3), (right, 0.9, 7))

    def answer(number, crop):
        found = shown_in(both, crop)
        return found if crop == FRAME else Detections(found.boxes, np.full(len(found), 0.5), found.categories)

    one = sample(0, objects((left, 3), (right, 7)))
    found = Losses(Fake(answer, batch=1), Data([one], NAMES), LossRules(), None).at(one.id, Crop(20, 10, 80, 70))
    assert (found.score_crop, found.score_whole, found.box) == (0.5, 0.9, right)


def test_an_object_that_is_not_found_with_confidence_cannot_be_lost():
    weak = detections((CAT, 0.49, 3), (DOG, 0.9, 3))  # the other one's category is wrong
    detector = loses(lambda crop: False, weak)
    assert find_worst_crop(detector, SAMPLE) is None
    assert len(detector.shown) == 1
    assert find_worst_crop(detector, SAMPLE, rules=LossRules(margin=0.1)).category == "3"


def test_without_truth_what_is_found_with_confidence_stands_for_it():
    detector = loses(lambda crop: crop.left >= 7, detections((DOG, 0.9, 3)), categories={3: "cat"})
    assert find_worst_crop(detector, SAMPLE) is None
    worst = find_worst_crop(detector, SAMPLE, truth=False)
    assert (worst.category, worst.crop) == ("cat", Crop(7, 0, 113, 90))


def test_a_window_that_shows_too_little_of_every_object_is_never_asked_for():
    detector = perfect(Data([SAMPLE]))
    worst = find_worst_crop(detector, SAMPLE, rules=LossRules(min_visibility=1.0), examples=40)
    assert not worst.lost
    for _, crop in detector.shown:
        clipped = crop.clip(SAMPLE.truth.boxes)
        assert (clipped == SAMPLE.truth.boxes).all(axis=1).any()
    assert len(detector.shown) <= 41


@given(crop=crops(WIDTH, HEIGHT, touching=SAMPLE.truth.boxes))
@settings(max_examples=60, deadline=None)
def test_an_object_counts_from_the_share_of_it_that_must_show(crop):
    held = held_objects(SAMPLE.truth, FOUND, LossRules(min_visibility=0.75), FRAME)
    shown = held.shown(crop, shown_in(FOUND, crop))
    assert [each.row for each in shown] == held.visible(crop)
    assert all(each.visibility >= 0.75 and each.score_crop == each.score_whole for each in shown)
    for core in held.cores():
        if (crop.clip(np.array([core])) == core).all():
            assert shown


def test_each_object_counts_and_a_crowd_does_not():
    truth = GroundTruth([CAT, DOG], [3, 7], crowd=[False, True])
    held = held_objects(truth, FOUND, LossRules(), FRAME)
    assert (len(held), held.scores.tolist()) == (1, [0.9])


def test_a_box_elsewhere_or_another_category_is_no_find():
    def answer(number, crop):
        if crop.left < 9:
            return shown_in(FOUND, crop)
        return detections(((0, 0, 5, 5), 0.9, 3), (tuple(crop.into(np.array([CAT]))[0]), 0.9, 7))

    worst = find_worst_crop(Fake(answer, batch=1), sample(0, objects((CAT, 3))))
    assert (worst.crop, worst.score_crop) == (Crop(9, 0, 111, 90), 0.0)


def test_it_is_the_same_each_time_and_whatever_the_users_profile():
    fails = lambda crop: (crop.left * 7 + crop.top * 3) % 11 == 5  # noqa: E731
    first = find_worst_crop(loses(fails), SAMPLE)
    before = settings.get_current_profile_name()
    settings.register_profile("loud", max_examples=3, phases=[], suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("loud")
    try:
        assert find_worst_crop(loses(fails), SAMPLE) == first
        assert settings.get_current_profile_name() == "loud"
    finally:
        settings.load_profile(before)


def test_a_detector_that_fails_is_asked_no_more_and_named():
    def answer(number, crop):
        if crop.left >= 20:
            raise RuntimeError("out of tea")
        return shown_in(FOUND, crop)

    detector = Fake(answer, batch=1)
    with pytest.raises(DetectorError, match=r"failed on Crop.*of 000.png: RuntimeError: out of tea"):
        find_worst_crop(detector, SAMPLE)
    assert sum(crop.left >= 20 for _, crop in detector.shown) == 1


def test_a_shrink_asks_for_so_many_windows_and_no_more():
    rough = lambda crop: crop.left + crop.top > 3 and (crop.left * crop.right + crop.top * 13) % 3 > 0  # noqa: E731
    detector = loses(rough)
    first = find_worst_crop(loses(rough), SAMPLE, shrink=False)
    worst = find_worst_crop(detector, SAMPLE)
    assert worst.lost
    assert first.calls <= worst.calls <= first.calls + 40


def test_a_failure_that_is_found_late_is_shrunk_by_twenty_windows():
    judged = []

    def rough(crop):
        judged.append(crop)
        cut = crop.left + crop.top + cut_right(crop) + HEIGHT - crop.bottom
        return len(judged) > 50 and cut > 25 and (crop.left * 31 + crop.top * 17 + crop.right * 7) % 5 > 1

    first = find_worst_crop(loses(rough), SAMPLE, examples=200, shrink=False)
    judged.clear()
    worst = find_worst_crop(loses(rough), SAMPLE, examples=200)
    assert first.calls > 50
    assert worst.calls == first.calls + 20


DATA = Data([SAMPLE])
WRONG = {
    "no examples": (lambda: find_worst_crop(perfect(Data([SAMPLE])), SAMPLE, examples=0), "examples=0: one window"),
    "no examples of a data set": (lambda: next(search(perfect(DATA), DATA, examples=0)), "examples=0: one window"),
    "percent": (lambda: LossRules(min_visibility=75), "min_visibility must lie between 0 and 1, not 75"),
    "no such sample": (
        lambda: Losses(perfect(DATA), DATA, LossRules()).at("x", FRAME),
        "no sample",
    ),
    "a window outside": (
        lambda: Losses(perfect(DATA), DATA, LossRules()).at("000.png", Crop(100, 0, 21, 90)),
        r"Crop\(left=100, top=0, width=21, height=90\) sticks out of 000.png, which is 120 wide and 90 high",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_named(case):
    make, sentence = WRONG[case]
    with pytest.raises(SpecError, match=sentence):
        make()


def test_an_example_of_hypothesis_may_check_several_windows_and_have_targets_of_its_own():
    losses = Losses(perfect(DATA), DATA, LossRules())
    seen = []

    @given(crop=crops(WIDTH, HEIGHT, containing=CAT))
    @settings(max_examples=5, deadline=None, database=None, phases=[Phase.generate])
    def check(crop):
        target(1.0)
        for window in (crop, crop, FRAME, *(Crop(side, 0, 90, 90) for side in range(20))):
            losses.at("000.png", window)
        seen.append(crop)

    check()
    assert seen


def test_a_test_of_ones_own_climbs_by_what_it_checks():
    """Windows that lose the object are too rare to be met by chance; the label is the same in each example."""

    data = Data([sample(0, objects((CAT, 3)))])
    losses = Losses(Fake(less_sure_around_it, batch=1), data, LossRules())

    def lowest(phases):
        scores = []

        @given(crop=crops(WIDTH, HEIGHT, containing=CAT, min_side=30))
        @settings(max_examples=200, deadline=None, database=None, derandomize=True, phases=phases)
        def check(crop):
            scores.append(losses.at("000.png", crop).score_crop)

        check()
        return min(scores)

    assert lowest([Phase.generate, Phase.target]) < lowest([Phase.generate])


# A data set


def test_a_data_set_is_searched_image_by_image_until_an_object_is_lost():
    data = Data([sample(number, objects((CAT, 3), (DOG, 7))) for number in range(6)])

    *_, found = search(Fake(loses_in_the_fifth, batch=1), data, examples=200)
    assert (found.worst.sample, found.worst.crop) == ("004.png", Crop(0, 7, 120, 83))
    with pytest.raises(ObjectLost) as caught:
        found.check()
    assert caught.value.worst == found.worst
    *_, found = search(Fake(lambda number, crop: shown_in(FOUND, crop), batch=1), data, examples=30)
    assert (found.worst.lost, found.images) == (False, 2)
    assert found.calls == found.windows <= 2 + 30
    found.check()


@pytest.mark.parametrize("images", [0, 1, 3])
def test_where_nothing_is_found_nothing_was_judged(images):
    data = Data([sample(number, objects((CAT, 3))) for number in range(images)])
    *_, found = search(blind(), data, examples=30)
    told = search_record(found)
    count = "1 image" if images == 1 else f"{images} images"
    reason = f"no object was found with confidence in {count}, so that none could be lost"
    assert (told["verdict"], told["reason"], told["worst"]) == ("skip", reason, None)
    with pytest.raises(CannotTell, match=reason):
        found.check()


def test_an_object_that_lies_too_far_outside_the_image_cannot_be_lost():
    beyond = (-40.0, 20.0, 50.0, 60.0)
    detector = loses(lambda crop: False, detections((beyond, 0.9, 3)))
    assert find_worst_crop(detector, sample(0, objects((beyond, 3)))) is None
    assert len(detector.shown) == 1
    nearly = (-10.0, 20.0, 50.0, 60.0)
    detector = loses(lambda crop: crop.top >= 5, detections((nearly, 0.9, 3)))
    assert find_worst_crop(detector, sample(0, objects((nearly, 3)))).crop == Crop(0, 5, 120, 85)


def test_the_failure_counts_the_windows_of_all_images():
    data = Data([sample(number, objects((CAT, 3), (DOG, 7))) for number in range(6)])

    detector = Fake(loses_in_the_fifth, batch=1)
    *_, found = search(detector, data, examples=200)
    with pytest.raises(ObjectLost, match=f"  {found.windows} windows, {found.calls} detector calls"):
        found.check()
    assert found.calls == len(detector.shown) > found.worst.calls


def test_the_failure_says_it_all_and_its_test_is_code():
    worst = find_worst_crop(loses(SIDES["left"][0]), SAMPLE, categories=NAMES)
    with pytest.raises(ObjectLost) as caught:
        worst.check("out/it.png", "pytest again")
    lines = str(caught.value).splitlines()
    assert lines[0] == "cat lost: 0.90 in the whole image, 0.00 in Crop(left=37, top=0, width=83, height=90) of 000.png"
    assert lines[1] == "  cutting 37 px off the left is enough; 100% of the object is visible, its box is 60 30 90 60"
    assert f"  {worst.windows} windows, {worst.calls} detector calls" in lines
    assert {"  picture: out/it.png", "  again: pytest again"} <= set(lines)
    assert '    @example(case=("000.png", Crop(left=37, top=0, width=83, height=90)))' in lines
    compile(worst.test, "pasted", "exec")


def test_the_picture_shows_what_was_lost():
    pytest.importorskip("matplotlib")
    worst = find_worst_crop(loses(SIDES["left"][0]), SAMPLE, categories=NAMES)
    assert ("lost", "cat") in [(pair.state, pair.category) for pair in worst.comparison]
    figure = worst.plot()
    assert any(patch.get_gid() == "lost" for axes in figure.axes for patch in axes.patches)


@pytest.mark.parametrize("name", ["a.jpg", 'a"b.jpg', "new\\table.jpg", "\u202egpj.a", "line\nbreak", "שלום.jpg"])
def test_the_test_to_paste_is_code_whatever_the_image_is_called(name):
    named = Sample(name, SAMPLE.width, SAMPLE.height, SAMPLE.truth, SAMPLE.read)
    worst = find_worst_crop(loses(SIDES["left"][0]), named, examples=5)
    assert eval(worst.case, {"Crop": Crop}) == (name, worst.crop)
    compile(worst.test, "pasted", "exec")
    assert all(letter.isprintable() or letter == "\n" for letter in worst.test)
