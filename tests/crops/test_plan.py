"""Which windows: a choice that depends on the spec, the seed and the sample alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.crops.families import side
from pytest_cropdet.crops.plan import DEFAULT_SPEC, choose_samples, make_plan, parse_spec
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry.crop import Crop

GOLDEN_RANDOM = (
    Crop(left=15, top=51, width=418, height=279),
    Crop(left=92, top=107, width=424, height=282),
    Crop(left=42, top=19, width=551, height=367),
)
GOLDEN_SEEDED = (
    Crop(left=242, top=103, width=320, height=213),
    Crop(left=291, top=186, width=320, height=213),
)
GOLDEN_CHOICE = ["003.jpg", "011.jpg", "015.jpg", "017.jpg"]

quick = settings(max_examples=40, deadline=None)


def unread():
    raise AssertionError("a plan looks at no pixels")


def sample(name, width=640, height=427):
    return Sample(name, width, height, GroundTruth.empty(), unread)


def samples(count):
    return [sample(f"{number:03d}.jpg", 100 + number, 150) for number in range(count)]


def test_the_windows_of_a_spec_seed_and_sample_never_change():
    """A golden list: were it to change, every gate's verdict on record would change with it."""
    assert make_plan([sample("000000000071.jpg")], "random:keep=0.3-0.9,per_image=3").windows == {
        "000000000071.jpg": GOLDEN_RANDOM
    }
    assert make_plan([sample("000000000071.jpg")], "random:keep=0.5,per_image=2", seed=7).windows == {
        "000000000071.jpg": GOLDEN_SEEDED
    }
    assert choose_samples(samples(20), 4, seed=1) != choose_samples(samples(20), 4, seed=2)
    assert [each.id for each in choose_samples(samples(20), 4, seed=1)] == GOLDEN_CHOICE


def test_the_default_is_four_windows_an_image_of_seed_0():
    each = sample("a.jpg")
    plan = make_plan([each])
    assert (plan.spec, plan.seed, plan.family, len(plan)) == (DEFAULT_SPEC, 0, "random", 4)
    assert plan.windows == make_plan([each], "random").windows == make_plan([each], " random:per_image=4 ").windows


@given(order=st.permutations(samples(6)), count=st.integers(1, 6))
@quick
def test_windows_depend_on_no_other_sample(order, count):
    everything = make_plan(samples(6)).windows
    for each, crops in make_plan(order[:count]).windows.items():
        assert crops == everything[each]


@pytest.mark.parametrize("per_image", [1, 2, 7])
def test_asking_for_more_windows_keeps_the_first_ones(per_image):
    few = make_plan(samples(3), f"random:per_image={per_image}").windows
    many = make_plan(samples(3), f"random:per_image={per_image + 5}").windows
    assert {name: crops[:per_image] for name, crops in many.items()} == few


@pytest.mark.parametrize(
    "other",
    [
        {"id": "b.jpg"},
        {"width": 641},
        {"height": 428},
    ],
)
def test_another_name_or_size_has_windows_of_its_own(other):
    one, two = sample("a.jpg"), replace(sample("a.jpg"), **other)
    assert [*make_plan([one]).windows.values()] != [*make_plan([two]).windows.values()]


def test_another_seed_has_windows_of_its_own_and_ranks_differ():
    each = sample("a.jpg")
    plans = [make_plan([each], seed=seed).windows["a.jpg"] for seed in range(3)]
    assert len({crop for crops in plans for crop in crops}) == 12


@given(
    width=st.integers(1, 30),
    height=st.integers(1, 30),
    low=st.integers(1, 100),
    more=st.integers(0, 99),
    seed=st.integers(0, 5),
)
@quick
def test_random_windows_lie_in_the_image_and_have_the_share_they_were_asked_for(width, height, low, more, seed):
    high = min(100, low + more)
    spec = f"random:keep={low / 100}-{high / 100},per_image=5"
    for crop in make_plan([sample("a", width, height)], spec, seed).windows["a"]:
        assert crop.fits(width, height)
        assert side(low / 100, width) <= crop.width <= side(high / 100, width)
        assert side(low / 100, height) <= crop.height <= side(high / 100, height)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 9), (427, 640)])
def test_keeping_everything_gives_the_whole_image(width, height):
    assert set(make_plan([sample("a", width, height)], "random:keep=1.0").windows["a"]) == {Crop(0, 0, width, height)}


def test_random_windows_reach_every_place_the_last_one_included():
    crops = make_plan([sample("a", 4, 3)], "random:keep=0.5,per_image=400").windows["a"]
    assert {(crop.left, crop.top) for crop in crops} == {(x, y) for x in range(3) for y in range(3)}
    assert {(crop.width, crop.height) for crop in crops} == {(2, 1)}


def test_the_share_kept_is_uniform_between_its_bounds():
    crops = make_plan([sample("a", 10_000, 10_000)], "random:keep=0.3-0.9,per_image=600").windows["a"]
    shares = np.array([crop.width / 10_000 for crop in crops])
    assert (np.abs(np.quantile(shares, [0.25, 0.5, 0.75]) - [0.45, 0.6, 0.75]) < 0.04).all()
    assert all(crop.width == crop.height for crop in crops)


# Tiles


@given(width=st.integers(1, 40), height=st.integers(1, 40), size=st.integers(1, 45), overlap=st.integers(0, 99))
@quick
def test_tiles_cover_every_pixel_and_the_last_ones_end_at_the_border(width, height, size, overlap):
    crops = make_plan([sample("a", width, height)], f"tile:size={size},overlap={overlap / 100}").windows["a"]
    seen = np.zeros((height, width), int)
    for crop in crops:
        assert (crop.width, crop.height) == (min(size, width), min(size, height))
        crop.of(seen)[:] += 1
    assert (seen > 0).all()
    assert (max(crop.right for crop in crops), max(crop.bottom for crop in crops)) == (width, height)
    assert len(set(crops)) == len(crops)


def test_tiles_overlap_by_the_share_they_were_asked_for():
    crops = make_plan([sample("a", 26, 10)], "tile:size=10,overlap=0.2").windows["a"]
    assert crops == (Crop(0, 0, 10, 10), Crop(8, 0, 10, 10), Crop(16, 0, 10, 10))
    assert len(make_plan([sample("a", 27, 10)], "tile:size=10,overlap=0.2")) == 4


def test_a_side_shorter_than_a_tile_is_taken_whole():
    assert make_plan([sample("a", 200, 400)], "tile").windows["a"] == (
        Crop(0, 0, 200, 320),
        Crop(0, 80, 200, 320),
    )


def test_two_families_are_pooled_in_their_order():
    each = sample("a")
    both = make_plan([each], "random:per_image=2 + tile:size=500")
    assert both.family == "random+tile"
    assert both.windows["a"] == (
        *make_plan([each], "random:per_image=2").windows["a"],
        *make_plan([each], "tile:size=500").windows["a"],
    )


def test_a_plan_lists_every_window_with_its_sample():
    plan = make_plan(samples(2), "random:per_image=2")
    assert list(plan) == [(name, crop) for name, crops in plan.windows.items() for crop in crops]
    assert repr(plan) == "Plan('random:per_image=2', seed=0, 4 crops of 2 images)"


# Specs


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("", r"unknown family ''; known are random, tile"),
        ("zoom", r"crops 'zoom': unknown family 'zoom'; known are random, tile"),
        ("random+", r"unknown family ''"),
        ("random:size=3", r"random does not know 'size=3'; it takes keep=0\.3-0\.9, per_image=4"),
        ("tile:keep=3", r"tile does not know 'keep=3'; it takes size=320, overlap=0\.2"),
        ("random:keep", r"random does not know 'keep'"),
        ("random:keep=0", r"keep=0: a share of the side, above 0 and at most 1"),
        ("random:keep=1.01", r"keep=1\.01: a share of the side"),
        ("random:keep=0.9-0.3", r"keep=0\.9-0\.3: a share of the side"),
        ("random:keep=nan", r"keep=nan: a share of the side"),
        ("random:keep=half", r"keep=half: "),
        ("random:per_image=0", r"per_image=0: a whole number from 1 on"),
        ("random:per_image=2.5", r"per_image=2\.5: "),
        ("tile:size=0", r"size=0: a whole number from 1 on"),
        ("tile:overlap=1", r"overlap=1: a share from 0 to below 1"),
        ("tile:overlap=-0.1", r"overlap=-0\.1: a share from 0 to below 1"),
        ("tile:overlap=nan", r"overlap=nan: a share from 0 to below 1"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused_with_what_can(spec, sentence):
    with pytest.raises(SpecError, match=sentence):
        parse_spec(spec)


def test_a_share_of_a_side_does_not_fall_short_by_a_rounding_error():
    assert [side(share, 100) for share in (0.29, 0.57, 0.58)] == [29, 57, 58]
    assert 0.57 * 100 < 57


# Which samples


@given(count=st.integers(0, 14), seed=st.integers(0, 3))
@quick
def test_a_larger_choice_of_samples_contains_every_smaller_one_in_the_sets_order(count, seed):
    everything = samples(12)
    fewer, more = choose_samples(everything, count, seed), choose_samples(everything, count + 1, seed)
    assert len(fewer) == min(count, 12)
    assert {each.id for each in fewer} <= {each.id for each in more}
    assert [each.id for each in more] == sorted(each.id for each in more)


def test_a_choice_of_samples_does_not_depend_on_their_order_and_is_not_the_first_ones():
    everything = samples(40)
    chosen = {each.id for each in choose_samples(everything, 8)}
    assert {each.id for each in choose_samples(everything[::-1], 8)} == chosen
    assert chosen != {each.id for each in everything[:8]}


def test_all_samples_are_taken_where_no_number_is_given():
    everything = samples(5)
    assert choose_samples(iter(everything), None) == everything
