"""What a dry run foretells is what the run finds, and it calls nobody."""

import numpy as np
import pytest

from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.gate.dry_runs import DryRun, dry_run
from pytest_cropdet.settings import RunSettings
from tests.gate.test_verdict import few_images, rare_categories
from tests.support import NAMES, Data, Fake, made, objects, opinions, same, sample, small_run

DATA = made(70)
OPINIONS = opinions(DATA)


def foretold(data: Data, crops: str, detector=None, **changes) -> DryRun:
    return dry_run(data, RunSettings(crops=crops, **changes), detector)


def unreadable(data: Data) -> Data:
    """The same data set, of which no picture can be read."""

    def read():
        raise AssertionError("a dry run reads no pixels")

    return Data([type(each)(each.id, each.width, each.height, each.truth, read) for each in data], data.categories)


@pytest.mark.parametrize(
    ("crops", "changes"),
    [
        ("random:keep=0.6,per_image=2", {}),
        ("random:keep=0.3,per_image=1", {"seed": 5}),
        ("tile:size=50,overlap=0.1", {"sample_images": 20}),
        ("random:keep=0.3-0.9,per_image=3", {"min_visibility": 0.9}),
    ],
    ids=str,
)
def test_the_numbers_are_those_of_the_run(crops, changes):
    plan = foretold(unreadable(DATA), crops, **changes)
    found = small_run(same(OPINIONS), DATA, crops, **changes)
    assert (plan.images, plan.crops, plan.calls) == (found.images, found.crops, found.spent.model_calls)
    assert (plan.objects, plan.distinct_objects) == (found.scored_objects, found.distinct_objects)
    assert plan.kept == tuple(each.name for each in found.categories if each.in_mean)
    assert plan.share_of_objects == found.speaks_for["objects"]
    full = len(set(found.objects.truth.image[found.objects.scored].tolist()))
    assert plan.empty_crops == found.crops - full
    assert plan.images_with_objects == len(set(found.objects.unit[found.objects.scored].tolist()))
    assert plan.seconds is None


def test_selected_categories_are_those_it_speaks_of():
    plan = foretold(DATA, "random:keep=0.6,per_image=2", categories=("dog",))
    assert plan.kept == ("dog",)
    assert plan.share_of_objects == 1
    everything = foretold(DATA, "random:keep=0.6,per_image=2")
    assert plan.objects < everything.objects


def test_what_is_kept_and_what_is_left_out_is_named():
    samples = [
        sample(number, objects(((5, 5, 25, 25), 3), *([((40, 5, 60, 25), 7)] if number < 4 else [])))
        for number in range(60)
    ]
    plan = foretold(Data(samples), "random:keep=1.0,per_image=1")
    assert (plan.kept, plan.left_out) == (("cat",), ("dog",))  # of birds there are none at all
    assert plan.share_of_objects == pytest.approx(60 / 64)
    text = "\n".join(plan.lines())
    assert "1 categories with 94% of the objects: cat" in text
    assert "in fewer than 5 images, left out: dog" in text


class TestAdvice:
    def test_nothing_is_advised_where_nothing_is_wrong(self):
        plan = foretold(DATA, "random:keep=0.8,per_image=2")
        assert plan.advice() == []

    def test_too_few_images_are_undecided_for_sure(self):
        data = few_images(49)[1]
        advice = foretold(data, "random:keep=1.0,per_image=1").advice()
        assert any("49 images with scored objects, 50 are needed" in line for line in advice)
        assert foretold(few_images(50)[1], "random:keep=1.0,per_image=1").advice() == []
        assert foretold(data, "random:keep=1.0,per_image=1", min_images=49).advice() == []

    def test_too_many_rare_categories_are_to_be_grouped(self):
        plan = foretold(rare_categories()[1], "random:keep=1.0,per_image=1")
        assert any("group rare categories" in line for line in plan.advice())
        assert f"and {len(plan.left_out) - 8} more" in "\n".join(plan.lines())

    def test_empty_crops_ask_for_larger_windows(self):
        data = Data([sample(number, objects(((2, 2, 12, 12), 3))) for number in range(60)])
        plan = foretold(data, "tile:size=45,overlap=0")
        assert plan.empty_crops == plan.crops - 60 > plan.crops / 2
        assert any("larger windows" in line for line in plan.advice())

    def test_a_set_without_objects_is_foretold_as_well(self):
        plan = foretold(Data([sample(0, GroundTruth.empty())]), "random:keep=0.5,per_image=2")
        assert (plan.objects, plan.distinct_objects, plan.empty_crops, plan.kept) == (0, 0, 2, ())
        assert plan.share_of_objects == 0
        assert "undecided for sure" in "\n".join(plan.lines())


def test_the_half_width_to_expect_shrinks_with_the_root_of_the_images():
    narrow, wide = (foretold(made(images), "random:keep=1.0,per_image=1").half_width for images in (25, 100))
    assert wide == pytest.approx((1.645 * 0.14 / 10, 1.645 * 0.47 / 10))
    assert narrow == pytest.approx([2 * value for value in wide])
    assert "bounds to expect: drop +- 0.023 to 0.077 mAP" in "\n".join(
        foretold(made(100), "random:keep=1.0,per_image=1").lines()
    )


def test_the_width_that_was_foretold_holds_what_the_run_finds():
    found = small_run(Fake(lambda number, crop: same(OPINIONS, least=1).answer(number, crop)), DATA)
    low, high = foretold(DATA, "random:keep=0.6,per_image=2").half_width
    assert 0 < low < high < 0.2
    assert found.drop.high - found.drop.value < high


def test_time_is_told_from_a_few_calls_where_there_is_a_detector():
    detector = same(OPINIONS)
    plan = foretold(DATA, "random:keep=0.6,per_image=2", detector)
    assert 0 < len(detector.shown) <= 5
    assert plan.seconds > 0
    assert "of detector time" in plan.lines()[0]
    assert "of detector time" not in foretold(DATA, "random:keep=0.6,per_image=2").lines()[0]


def test_the_first_line_says_what_would_be_done():
    assert foretold(DATA, "random:keep=0.6,per_image=2").lines()[0] == (
        "random:keep=0.6,per_image=2: 140 crops of 70 images, 210 detector calls"
    )
    assert set(foretold(DATA, "random:keep=0.6,per_image=2").kept) == set(NAMES.values())
    assert np.isclose(foretold(DATA, "random:keep=0.6,per_image=2").share_of_objects, 1)
