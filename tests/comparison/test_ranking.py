"""Several models in one ranking: pairs as a comparison of two gives them, Holm's rule, who is left out."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pytest_cropdet.comparison.paired_measures import compare_runs
from pytest_cropdet.comparison.ranking import RankedRun, holm, needed_replicates, rank_models, two_sided_p
from pytest_cropdet.gate.match_records import match_record
from pytest_cropdet.gate.ranking_entry import ranked_run
from tests.support import loses_cut, made, opinions, same, small_run

DATA = made(images=40)


@pytest.fixture(scope="module")
def runs():
    """Three detectors: one that keeps all, one that loses what is cut, one that misses half of everything."""
    detectors = {
        "keeps": same(opinions(DATA)),
        "cut": loses_cut(opinions(DATA)),
        "weak": same(opinions(DATA, seed=1, missing=0.5)),
    }
    return {name: small_run(each, DATA, replicates=400, min_images=20) for name, each in detectors.items()}


def entries(runs, models=3):
    return [ranked_run(run, name, models, name, f"test[{name}]") for name, run in runs.items()]


def made_up(model, ap, draws, **shared):
    """What a run leaves, written by hand: AP on whole images is 1."""
    known = {"metric": "mAP", "data": "x", "level": 0.95, "replicates": len(draws), **shared}
    return RankedRun(
        model=model,
        detector={"name": model, "fingerprint": None},
        gate=model,
        test=model,
        shared=known,
        ap={"reference": 1.0, "crop": ap},
        draws=np.stack([np.ones(len(draws)), draws]),
    )


def test_a_pair_has_the_numbers_of_a_comparison_of_the_two(runs):
    ranking = rank_models("random", entries(runs))
    assert len(ranking["pairs"]) == 3
    for pair in ranking["pairs"]:
        first, second = runs[pair["first"]], runs[pair["second"]]
        found = compare_runs(match_record(first), match_record(second), first.settings)
        for ours, theirs in (("crop_ap", found.crop_ap), ("whole_ap", found.whole_ap), ("drop", found.drop_worse)):
            assert [pair[ours][key] for key in ("low", "high")] == [theirs.low, theirs.high]
            assert pair[ours]["value"] == pytest.approx(theirs.value, abs=1e-12)


def test_models_are_in_the_order_of_ap_on_crops_with_ranks_that_cannot_be_excluded(runs):
    ranking = rank_models("random", entries({**runs, "again": runs["keeps"]}, 4))
    assert [each["name"] for each in ranking["models"]] == ["keeps", "again", "weak", "cut"]
    assert [each["rank"] for each in ranking["models"][:2]] == [[1, 2], [1, 2]]
    same_pair = next(each for each in ranking["pairs"] if {each["first"], each["second"]} == {"keeps", "again"})
    assert {key: same_pair["crop_ap"][key] for key in ("value", "low", "high", "p_holm")} == {
        "value": 0.0,
        "low": 0.0,
        "high": 0.0,
        "p_holm": 1.0,
    }
    assert not same_pair["crop_ap"]["distinguishable"]
    json.dumps(ranking, allow_nan=False)


def test_holms_rule_gives_the_values_of_its_definition():
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.04, 0.001, 0.6]) == pytest.approx([0.08, 0.003, 0.6])
    assert holm([]) == []


def test_a_p_value_counts_both_sides_and_is_never_0():
    assert two_sided_p(np.arange(1.0, 1000.0)) == pytest.approx(2 / 1000)
    assert two_sided_p(-np.arange(1.0, 1000.0)) == pytest.approx(2 / 1000)
    assert two_sided_p(np.arange(999) - 9.0) == pytest.approx(2 * 11 / 1000)  # ten are 0 or less
    assert two_sided_p(np.full(50, np.nan)) == 1.0


def test_the_corrected_bounds_of_a_pair_that_is_shown_exclude_0():
    rng = np.random.default_rng(0)
    shown = 0
    for _ in range(40):
        aps = 0.5 + 0.02 * rng.normal(size=4)
        ranking = rank_models("", [made_up(f"m{n}", ap, ap + 0.01 * rng.normal(size=999)) for n, ap in enumerate(aps)])
        for pair in ranking["pairs"]:
            each = pair["crop_ap"]
            assert each["corrected_low"] < each["low"] < each["high"] < each["corrected_high"]
            assert each["p"] <= each["p_holm"]
            if each["distinguishable"]:
                shown += 1
                assert each["corrected_low"] > 0 or each["corrected_high"] < 0
    assert 30 < shown < 210


def test_among_equal_models_a_difference_is_shown_in_5_of_100_rankings_at_most():
    rng = np.random.default_rng(5)
    wrong, images, sessions = 0, 100, 200
    for _ in range(sessions):
        scores = 0.5 + 0.3 * rng.normal(size=(images, 1)) + 0.2 * rng.normal(size=(images, 5))  # hard images are shared
        weights = rng.multinomial(images, np.full(images, 1 / images), size=400) / images
        draws = weights @ scores
        ranking = rank_models("", [made_up(f"m{n}", scores[:, n].mean(), draws[:, n]) for n in range(5)])
        wrong += any(pair["crop_ap"]["distinguishable"] for pair in ranking["pairs"])
    assert 0 < wrong <= 0.07 * sessions


def test_a_model_on_other_crops_is_left_out_and_the_difference_is_named(runs):
    other = small_run(same(opinions(DATA)), DATA, "random:keep=0.5,per_image=2", replicates=400)
    ranking = rank_models("random", [*entries(runs), ranked_run(other, "other", 4)])
    assert len(ranking["models"]) == 3
    assert ranking["left_out"] == [
        {
            "name": "other",
            "why": "it was measured on something else: plan is random:keep=0.5,per_image=2, not "
            "random:keep=0.6,per_image=2",
        }
    ]
    fewer = made_up("few", 0.5, np.zeros(99), images=50)
    ranking = rank_models("", [made_up(name, 0.5, np.zeros(99), images=60) for name in "ab"] + [fewer])
    assert ranking["left_out"] == [{"name": "few", "why": "it was measured on something else: images is 50, not 60"}]
    stopped = replace(fewer, shared={**fewer.shared, "level": 0.99})
    ranking = rank_models("", [made_up(name, 0.5, np.zeros(99), images=60) for name in "ab"] + [stopped])
    assert ranking["left_out"] == [
        {
            "name": "few",
            "why": "it stopped early: after 50 images, not 60; --cropdet-looks=off measures all models on all images",
        }
    ]


def test_an_undefined_ap_is_left_out():
    undefined = replace(made_up("none", 0.5, np.zeros(99)), ap={"reference": None, "crop": None})
    ranking = rank_models("", [made_up("a", 0.5, np.zeros(99)), undefined])
    assert ranking["left_out"] == [{"name": "none", "why": "its AP is undefined"}]
    nothing = rank_models("", [undefined])
    assert (nothing["models"], nothing["pairs"], len(nothing["left_out"])) == ([], [], 1)


def test_what_a_run_leaves_comes_back_to_the_last_digit(runs):
    left = ranked_run(runs["cut"], "cut", 3, "random", "test")
    again = RankedRun.from_dict(json.loads(json.dumps(left.to_dict())))
    assert np.array_equal(left.draws, again.draws)
    assert (again.ap, again.shared, again.model) == (left.ap, left.shared, "cut")


def test_many_models_get_the_resamples_that_their_pairs_need_and_bounds_stay(runs):
    few, many = ranked_run(runs["cut"], "cut", 3), ranked_run(runs["cut"], "cut", 6)
    assert (few.draws.shape[1], many.draws.shape[1]) == (400, needed_replicates(6, 0.95))
    assert np.array_equal(many.draws[:, :400], few.draws)
    assert needed_replicates(1000, 0.95) == 10_000  # bounded
    crowd = [made_up(f"m{n}", 0.5, np.full(99, 0.5)) for n in range(4)]
    assert "99 resamples are too few to show a difference among 6 pairs" in rank_models("", crowd)["note"]
    assert rank_models("", crowd[:2])["note"] is None
