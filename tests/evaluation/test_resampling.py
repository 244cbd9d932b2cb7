"""Bootstrap replicates are the AP of data sets that could really be drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_cropdet.evaluation import Detected, Matches, average_precision, match, percentile_bounds, resample
from pytest_cropdet.evaluation.coco import bootstrap as resampling_module
from pytest_cropdet.evaluation.coco import weighted_ap as weighted
from pytest_cropdet.evaluation.coco.events import category_events
from tests.evaluation import made, oracle
from tests.evaluation.made import detections_at, objects_at

BOX = [0.0, 0.0, 100.0, 100.0]
EIGHTY = list(range(1, 81))


def drawn(seed: int, unit: np.ndarray, replicates: int) -> np.ndarray:
    """(replicates, images) weights, drawn as the documentation says."""
    generator = np.random.Generator(np.random.PCG64(seed))
    units = len(np.unique(unit))
    return np.array(
        [np.bincount(generator.integers(units, size=units), minlength=units)[unit] for _ in range(replicates)]
    )


def one_object_an_image(images: int, found: np.ndarray) -> Matches:
    """One object in each image, found in some, and nothing else detected."""
    which = np.flatnonzero(found)
    detected = detections_at(which.tolist(), [BOX] * len(which), np.linspace(0.9, 0.1, len(which)).tolist())
    return match(objects_at(list(range(images)), [BOX] * images), detected, images=images, categories=[1])


@pytest.fixture(params=["numpy", "numba"])
def tolerance(request, monkeypatch) -> float:
    """Resampling with and without numba, and how near it comes."""
    if request.param == "numba":
        pytest.importorskip("numba", reason="numba (the extra 'fast') is not installed")
    monkeypatch.setattr(resampling_module, "WORTH_NUMBA", 0 if request.param == "numba" else 1 << 60)
    return 1e-6 if request.param == "numba" else 1e-12


@pytest.fixture(scope="module")
def realistic() -> tuple[Matches, Matches]:
    """A reference and a worse crop of 120 images, with crowds and stray detections."""
    truth, detected = made.benchmark().synthetic(120, seed=7, crowds=0.1)
    rng = np.random.default_rng(7)
    moved = detected.boxes + rng.normal(0, 4, detected.boxes.shape)
    stray = rng.random(len(detected)) < 0.2
    crop = Detected(detected.image, detected.category, moved, detected.score, stray=stray)
    return (
        match(truth, detected, images=120, categories=EIGHTY),
        match(truth, crop, images=120, categories=EIGHTY),
    )


def test_replicates_are_the_ap_of_the_drawn_weights(realistic, tolerance):
    unit = np.arange(120) // 2
    got = resample(realistic, unit, replicates=6, seed=11, apart=[1, 3], metrics=["mAP", "AP50", "AP75"])
    for b, weights in enumerate(drawn(11, unit, 6)):
        for s, matches in enumerate(realistic):
            exact = average_precision(matches, weights)
            ours = [got.mean(metric)[s, b] for metric in ("mAP", "AP50", "AP75")]
            np.testing.assert_allclose(ours, [exact.mAP, exact.AP50, exact.AP75], rtol=0, atol=tolerance)
            np.testing.assert_allclose(got.category(3)[s, b], exact.per_category[2], rtol=0, atol=tolerance)
            np.testing.assert_allclose(got.category(1, "AP50")[s, b], exact.values[0, 0], rtol=0, atol=tolerance)


def test_a_replicate_is_pycocotools_on_the_duplicated_set():
    truth, detected = made.benchmark().synthetic(60, seed=9, crowds=0.1)
    matches = match(truth, detected, images=60, categories=EIGHTY)
    got = resample([matches], np.arange(60), replicates=2, seed=5).mean()[0]
    for b, weights in enumerate(drawn(5, np.arange(60), 2)):
        assert weights.max() > 2
        longer_truth, longer_detected, images = made.duplicated(truth, detected, weights)
        theirs = oracle.precision_of(oracle.pycocotools(longer_truth, longer_detected, images, EIGHTY))
        assert got[b] == pytest.approx(float(np.nanmean(theirs)), abs=1e-12)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made.sets(), st.integers(0, 2**32), st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_any_set_is_resampled_like_its_weights(tolerance, given_set, seed, unit):
    truth, detected = given_set
    matches = match(truth, detected, images=made.IMAGES, categories=made.CATEGORIES)
    got = resample([matches], unit, replicates=4, seed=seed, apart=made.CATEGORIES)
    _, index = np.unique(unit, return_inverse=True)
    for b, weights in enumerate(drawn(seed, index, 4)):
        exact = average_precision(matches, weights)
        np.testing.assert_allclose(got.mean()[0, b], exact.mAP, rtol=0, atol=tolerance)
        ours = [got.category(k)[0, b] for k in made.CATEGORIES]
        np.testing.assert_allclose(ours, exact.per_category, rtol=0, atol=tolerance)


@pytest.mark.parametrize("images", [10, 20, 50, 100])
def test_recall_points_a_last_bit_above_are_not_reached(images, tolerance):
    """With 20 objects and 7 found, recall is 0.35 and does not reach 35 * 0.01: so in every replicate."""
    found = np.random.default_rng(images).random(images) < 0.8
    matches = one_object_an_image(images, found)
    got = resample([matches], np.arange(images), replicates=200, seed=3).mean()[0]
    exact = [average_precision(matches, weights).mAP for weights in drawn(3, np.arange(images), 200)]
    np.testing.assert_allclose(got, exact, rtol=0, atol=tolerance)


def test_the_standard_error_is_that_of_a_binomial():
    """One category, one object an image: AP is the share found, and its standard error is known."""
    images, share = 400, 0.6
    matches = one_object_an_image(images, np.arange(images) % 5 < 3)
    spread = resample([matches], np.arange(images), replicates=2000, seed=1).mean()[0].std()
    assert spread == pytest.approx(np.sqrt(share * (1 - share) / images), rel=0.06)


def test_crops_of_one_image_move_together():
    """Four crops an image double the standard error against as many images of their own."""
    found = np.repeat(np.arange(100) % 2 == 0, 4)
    matches = one_object_an_image(400, found)
    together = resample([matches], np.arange(400) // 4, replicates=1000, seed=1).mean()[0].std()
    apart = resample([matches], np.arange(400), replicates=1000, seed=1).mean()[0].std()
    assert together / apart == pytest.approx(2.0, rel=0.1)


def test_tables_are_weighted_alike(realistic):
    reference, crop = realistic
    both = resample([reference, crop, reference], np.arange(120), replicates=50, seed=2).mean()
    np.testing.assert_array_equal(both[0], both[2])
    np.testing.assert_array_equal(both[1], resample([crop], np.arange(120), replicates=50, seed=2).mean()[0])
    assert (both[0] - both[1]).std() < 0.8 * both[0].std()


def test_neither_chunks_nor_the_number_of_replicates_change_a_replicate(realistic, monkeypatch):
    whole = resample(realistic, np.arange(120), replicates=150, seed=4).mean()
    first = resample(realistic, np.arange(120), replicates=64, seed=4).mean()
    np.testing.assert_allclose(first, whole[:, :64], rtol=0, atol=1e-14)
    monkeypatch.setattr(weighted.CategoryAP, "width", staticmethod(lambda images: 32))
    np.testing.assert_allclose(
        resample(realistic, np.arange(120), replicates=150, seed=4).mean(), whole, rtol=0, atol=1e-14
    )


@pytest.mark.parametrize(
    ("name", "value"), [("CELLS_AT_ONCE", 64), ("FEW_CELLS", 0), ("FEW_CELLS", 1 << 40), ("EXACT_RECALL", 0)]
)
def test_how_the_work_is_cut_up_does_not_change_a_replicate(realistic, monkeypatch, name, value):
    whole = resample(realistic, np.arange(120), replicates=40, seed=4).mean()
    monkeypatch.setattr(weighted, name, value)
    again = resample(realistic, np.arange(120), replicates=40, seed=4).mean()
    np.testing.assert_allclose(again, whole, rtol=0, atol=1e-13)


def test_large_weights_do_not_overflow(realistic):
    """Weights are held in bytes, and their sums are right all the same."""
    weights = np.random.default_rng(0).integers(0, 200, 120)
    column = np.append(weights, 0).astype(np.uint8)[:, None]
    exact = average_precision(realistic[1], weights)
    for k in range(5):
        (plan,) = category_events(realistic[1], [k], range(10))
        out = np.empty((10, 1))
        weighted.CategoryAP(plan, 1)(column, np.array([float(weights[plan.objects].sum())]), out)
        np.testing.assert_allclose(out[:, 0], exact.values[:, k], rtol=0, atol=1e-12)


def test_a_seed_gives_the_same_replicates_and_another_others(realistic):
    first, same, other, longer = (
        resample(realistic, np.arange(120), replicates=8, seed=seed).mean() for seed in (1, 1, 2, [1, 2])
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).all()
    assert (first != longer).all()


def test_the_names_of_the_units_do_not_matter(realistic):
    unit = np.arange(120) // 3
    np.testing.assert_array_equal(
        resample(realistic, unit, replicates=8, seed=1).mean(),
        resample(realistic, unit * 17 - 5, replicates=8, seed=1).mean(),
    )


def test_a_category_that_was_not_drawn_is_left_out_of_the_mean(tolerance):
    truth = objects_at([0, 1], [BOX, BOX], category=[1, 2])
    detected = detections_at([0], [BOX], [0.9])
    matches = match(truth, detected, images=2, categories=[1, 2])
    got = resample([matches], [0, 1], replicates=60, seed=0, apart=[1, 2])
    for b, weights in enumerate(drawn(0, np.arange(2), 60)):
        expected = {(2, 0): 1.0, (1, 1): 0.5, (0, 2): 0.0}[tuple(weights)]
        assert got.mean()[0, b] == pytest.approx(expected, abs=tolerance)
        assert np.isnan(got.category(1)[0, b]) == (weights[0] == 0)


def test_only_the_chosen_categories_are_averaged(realistic):
    mask = np.isin(EIGHTY, [2, 5, 9])
    got = resample(realistic, np.arange(120), replicates=3, seed=6, categories=mask, apart=[1])
    for b, weights in enumerate(drawn(6, np.arange(120), 3)):
        exact = average_precision(realistic[0], weights)
        assert got.mean()[0, b] == pytest.approx(exact.mean(categories=mask), abs=1e-12)
        assert got.category(1)[0, b] == pytest.approx(exact.per_category[0], abs=1e-12)
    nothing = resample(realistic, np.arange(120), replicates=3, seed=6, categories=np.zeros(80, dtype=bool))
    assert np.isnan(nothing.mean()).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tables": []}, "no match table"),
        ({"replicates": 0}, "at least 1, not 0"),
        ({"unit": [0.0] * 120}, "one integer for each of 120"),
        ({"unit": [0]}, "one integer for each of 120"),
        ({"metrics": ["AP60"]}, "'AP60' is none of mAP, AP50, AP75"),
        ({"categories": [1]}, r"mask of shape \(80,\)"),
        ({"apart": [99]}, "category 99 was not matched"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(realistic, change, message):
    options = {"tables": realistic, "unit": np.arange(120), "seed": 0, "replicates": 2, **change}
    with pytest.raises(ValueError, match=message):
        resample(options.pop("tables"), options.pop("unit"), **options)


def test_tables_that_differ_in_their_images_are_refused(realistic):
    with pytest.raises(ValueError, match="differ in their images"):
        resample([realistic[0], one_object_an_image(3, np.ones(3, dtype=bool))], np.arange(120), seed=0)


def test_what_was_not_resampled_cannot_be_asked_for(realistic):
    got = resample(realistic, np.arange(120), replicates=2, seed=0)
    with pytest.raises(ValueError, match="AP50 was not resampled"):
        got.mean("AP50")
    with pytest.raises(ValueError, match="category 1 was not counted separately"):
        got.category(1)


def test_bounds_are_one_sided_percentiles():
    values = np.random.default_rng(0).permutation(1001) / 1000
    assert percentile_bounds(values) == pytest.approx((0.05, 0.95))
    assert percentile_bounds(values, 0.99) == pytest.approx((0.01, 0.99))


def test_a_few_undefined_replicates_are_left_out_and_many_are_not():
    values = np.append(np.arange(101) / 100, [np.nan] * 5)
    assert percentile_bounds(values) == pytest.approx((0.05, 0.95))
    assert np.isnan(percentile_bounds(np.append(values, np.nan))).all()
    assert np.isnan(percentile_bounds([])).all()
    with pytest.raises(ValueError, match=r"between 0\.5 and 1"):
        percentile_bounds(values, 0.05)


def test_tables_of_some_of_the_images_are_drawn_as_those_of_all():
    """Image 2 has no evaluation image in the second table: a replicate that draws it counts the others as often."""
    found = np.array([True, False, True, True])
    whole = one_object_an_image(4, found)
    named, counted = (resample([whole], range(4), replicates=50, seed=3, units=units).mean() for units in (None, 4))
    assert np.array_equal(named, counted)
    some = resample([one_object_an_image(3, found[[0, 1, 3]])], [0, 1, 3], replicates=50, seed=3, units=4).mean()
    for counts, value in zip(drawn(3, np.arange(4), 50)[:, [0, 1, 3]], some[0], strict=True):
        by_hand = average_precision(one_object_an_image(3, found[[0, 1, 3]]), counts).mAP
        assert value == pytest.approx(by_hand, nan_ok=True)
    with pytest.raises(ValueError, match="between 0 and 2"):
        resample([whole], range(4), seed=3, units=3)
