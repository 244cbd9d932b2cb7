"""The fate of each object: the first rendering from which it stays lost, or found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.causes.fates import fates, original_area, sizes_of
from pytest_cropdet.crops.plan import make_plan
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.evaluation.crop_tables import CropIndex, build_objects
from pytest_cropdet.evaluation.object_shares import draw_units
from pytest_cropdet.terms import CHAIN, STEPS
from tests.support import NAMES, Data, made, sample


def table(data, spec="random:keep=1.0,per_image=1"):
    return build_objects(CropIndex.of(data.samples, make_plan(data.samples, spec)), 0.5)


def of(seen, data=None):
    """Fates of objects that are seen as the columns of ``seen`` say, from whole to crop."""
    data = data or made(images=len(seen), per_image=1)
    objects = table(data)
    found = {name: np.array([row[place] for row in seen], bool) for place, name in enumerate(CHAIN)}
    draws = draw_units(len(data), 200, 0)
    return fates(objects, found, np.ones(len(seen), bool), draws, NAMES)


@pytest.mark.parametrize(
    ("seen", "lost", "gained"),
    [
        ("11111", -1, -1),
        ("00000", -1, -1),
        ("10000", 0, -1),
        ("11000", 1, -1),
        ("11100", 2, -1),
        ("11110", 3, -1),
        ("10100", 2, -1),  # found once more: it is lost for good at the position
        ("10010", 3, -1),
        ("10001", -1, -1),
        ("01111", -1, 0),
        ("00011", -1, 2),
        ("01101", -1, 3),
        ("01110", -1, -1),
    ],
)
def test_an_object_is_lost_where_it_stays_lost_and_gained_where_it_stays_found(seen, lost, gained):
    fate = of([[int(flag) for flag in seen]])
    assert (fate.lost_at[0], fate.gained_at[0]) == (lost, gained)


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=30))
def test_lost_and_gained_by_step_add_up_to_the_objects_that_changed(rows):
    fate = of(rows)
    seen = np.array(rows)
    lost, gained = seen[:, 0] & ~seen[:, -1], ~seen[:, 0] & seen[:, -1]
    assert sum(share.over.sum() for share in fate.lost.values()) == lost.sum()
    assert sum(share.over.sum() for share in fate.gained.values()) == gained.sum()
    assert np.array_equal(fate.lost_at >= 0, lost)
    assert np.array_equal(fate.gained_at >= 0, gained)
    for by in (fate.by_category, fate.by_size):
        assert sum(sum(counts["lost"].values()) for counts in by.values()) == lost.sum()
        assert sum(sum(counts["gained"].values()) for counts in by.values()) == gained.sum()


def test_objects_that_do_not_count_have_no_fate():
    data = made(images=3, per_image=1)
    objects = table(data)
    found = {name: np.array([name == "whole"] * 3) for name in CHAIN}
    fate = fates(objects, found, np.array([True, False, True]), draw_units(3, 100, 0), NAMES)
    assert fate.lost_at.tolist() == [0, -1, 0]
    assert fate.lost["context"].value == 1.0


def test_shares_are_of_all_counted_objects_with_image_level_bounds():
    fate = of([[1, 0, 0, 0, 0]] * 10 + [[1, 1, 1, 1, 1]] * 30)
    lost = fate.lost["context"]
    assert lost.value == 0.25
    assert 0.1 < lost.low < 0.25 < lost.high < 0.4
    told = fate.to_dict()
    assert told["lost"]["context"] == {"count": 10, "value": 0.25, "low": lost.low, "high": lost.high}
    assert list(told["lost"]) == list(told["gained"]) == list(STEPS)


def test_sizes_are_those_of_the_whole_annotation_and_not_of_what_shows():
    boxes = [[0, 0, 32, 32], [0, 0, 33, 32], [0, 0, 96, 88], [0, 0, 120, 90]]
    areas = [1024.0, 1025.0, 9216.0, 9217.0]
    truth = GroundTruth(np.array(boxes, float), [3, 3, 3, 3], areas=np.array(areas))
    objects = table(Data([sample(0, truth)]), "random:keep=0.5,per_image=2")
    assert set(original_area(objects)) <= set(areas)
    assert np.array_equal(
        sizes_of(objects), [{1024.0: 0, 1025.0: 1, 9216.0: 1, 9217.0: 2}[a] for a in original_area(objects)]
    )
    assert (objects.truth.area < original_area(objects)).any()
