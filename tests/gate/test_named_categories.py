"""Gates under aliases and groups: what is scored, what limits mean, and what is kept."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from pytest_cropdet.benchmark.result import run_benchmark
from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.dry_runs import dry_run
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import Finished, events
from pytest_cropdet.inference.cache import Cache
from pytest_cropdet.settings import RunSettings
from tests.support import NAMES, Data, Fake, made, opinions, same, shown_in, small_run

DATA = made(40)
MERGED = {3: "animal", 7: "animal", 12: "bird"}  # what the group makes of cat and dog
GROUP = ("animal=cat,dog",)


def merged(data, ids=(3, 7)):
    """The same data, with the first id for all: what a group should come to."""
    samples = []
    for each in data:
        kinds = np.where(np.isin(each.truth.categories, ids), ids[0], each.truth.categories)
        samples.append(Sample(each.id, each.width, each.height, GroundTruth(each.truth.boxes, kinds), each.read))
    return Data(samples, {3: "animal", 12: "bird"})


def numbers(run):
    return (
        run.drop.value,
        run.drop.low,
        run.drop.high,
        run.ap,
        run.scored_objects,
        [each.name for each in run.categories],
    )


def test_a_group_is_what_truth_and_detections_of_one_category_come_to():
    whole = opinions(DATA)
    apart = [each.take(np.flatnonzero(each.categories != 7)) for each in whole]  # no two names on one object
    named = {key: NAMES[key] for key in NAMES}
    grouped = small_run(same(apart, categories=named), DATA, group=GROUP)
    alone = [Detections(each.boxes, each.scores, each.categories) for each in apart]
    plain = small_run(same(alone, categories={3: "animal", 12: "bird"}), merged(DATA))
    assert numbers(grouped) == numbers(plain)
    assert {each.name for each in grouped.categories} == {"animal", "bird"}


def test_duplicates_under_two_names_of_a_group_cost_nothing_and_under_two_categories_do():
    """Every object is found twice, the second time under the other name, with less confidence."""

    def twice(number, crop):
        truth = DATA[number].truth
        kinds = truth.categories
        other = np.where(kinds == 3, 7, np.where(kinds == 7, 3, kinds))
        seen = Detections(
            np.concatenate([truth.boxes, truth.boxes]),
            np.concatenate([np.full(len(kinds), 0.9), np.full(len(kinds), 0.8)]),
            np.concatenate([kinds, other]),
        )
        return shown_in(seen.take(np.flatnonzero((seen.categories != 12) | (seen.scores > 0.85))), crop)

    grouped = small_run(Fake(twice, categories=NAMES), DATA, group=GROUP)
    assert grouped.ap["reference"] == pytest.approx(1.0, abs=0.02)  # objects that overlap by chance
    once = small_run(Fake(lambda number, crop: shown_in(perfect_of(number), crop), categories=NAMES), DATA, group=GROUP)
    assert grouped.drop.value == pytest.approx(once.drop.value, abs=0.02)


def perfect_of(number):
    truth = DATA[number].truth
    return Detections(truth.boxes, np.full(len(truth), 0.9), truth.categories)


def test_an_alias_changes_no_truth_and_finds_what_was_left_out():
    whole = opinions(DATA)
    plain = small_run(same(whole, categories=NAMES), DATA)
    other = {3: "kitty", 7: "Hound", 12: "birds"}
    aliased = small_run(same(whole, categories=other), DATA, alias=("cat=kitty", "dog=hound"))
    assert numbers(aliased) == numbers(plain)
    pairing = run_record(aliased)["pairing"]
    assert pairing["merged"] == {"cat": ["kitty"], "dog": ["Hound"]}
    assert pairing["folded"] == [["birds", "bird"]]
    assert json.loads(json.dumps(pairing)) == pairing


def test_a_limit_of_one_category_may_be_a_groups_and_not_that_of_a_category_in_it():
    detector = same(opinions(DATA), categories=NAMES)
    run = small_run(detector, DATA, group=GROUP, max_drop=0.5, by_category={"animals": 0.4})
    limits = {each["measure"]: each["limit"] for each in run_record(run)["verdicts"]}
    assert limits == {"drop": 0.5, "drop of animal": 0.4}
    with pytest.raises(SpecError, match=r"'cat' is counted in the group 'animal' \(--cropdet-group\); write 'animal'"):
        small_run(detector, DATA, group=GROUP, max_drop=0.5, by_category={"cat": 0.4})
    assert {each.name for each in small_run(detector, DATA, group=GROUP, categories=("animal",)).categories} == {
        "animal"
    }


def on_disk(folder, images=12):
    samples = []
    for each in made(images):
        path = folder / each.id
        cv2.imwrite(str(path), each.image()[:, :, ::-1])
        samples.append(Sample(each.id, each.width, each.height, each.truth, each.read, path))
    return Data(samples)


def calls(detector, data, cache, **more):
    before = len(detector.shown)
    settings = RunSettings(crops="random:keep=0.5,per_image=2", explain="off", min_images=5, **more)
    run = next(each.run for each in events(detector, data, settings, cache=cache) if isinstance(each, Finished))
    return len(detector.shown) - before, run


def test_windows_are_the_same_and_so_are_the_kept_detections(tmp_path):
    data, cache = on_disk(tmp_path), Cache(tmp_path / "cache")
    detector = same(opinions(data), categories=NAMES, fingerprint="one")
    first, plain = calls(detector, data, cache)
    again, grouped = calls(detector, data, cache, group=GROUP)
    assert (first >= 36, again) == (True, 0)
    assert grouped.plan.windows == plain.plan.windows
    assert {each.name for each in grouped.categories} == {"animal", "bird"}
    assert calls(detector, data, cache, alias=("dog=hound",))[0] == 0


def test_how_far_two_answers_are_apart_is_measured_again_with_other_names(tmp_path):
    """A detector that does not repeat itself: the finding is a number of AP, which names change."""
    data, cache, rng = on_disk(tmp_path), Cache(tmp_path / "cache"), np.random.default_rng(0)
    whole = opinions(data)

    def unsure(number, crop):
        found = shown_in(whole[number], crop)
        return Detections(found.boxes, rng.uniform(0.1, 1.0, len(found)), found.categories)

    detector = Fake(unsure, categories=NAMES, fingerprint="two")
    counts = [calls(detector, data, cache, **more)[0] for more in ({}, {}, {"alias": ("dog=hound",)}, {"group": GROUP})]
    assert counts[0] > 36
    assert counts[1:] == [0, 12, 12]


def test_a_dry_run_and_the_benchmark_count_groups_too():
    found = dry_run(DATA, RunSettings(group=GROUP), same(opinions(DATA), categories=NAMES))
    assert set(found.kept) == {"animal", "bird"}
    assert "'cat', 'dog' are counted as 'animal'" in " ".join(found.categories)
    result = run_benchmark(same(opinions(made(6)), categories=NAMES), made(6), "quick", group=GROUP)
    assert dict(result.categories) == {3: "animal", 12: "bird"}
