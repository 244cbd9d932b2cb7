"""A quantity that is shown in two places is the same in both, and every bound is at the level of the run."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pytest_cropdet
from pytest_cropdet.causes.diagnostics.object_table import object_table
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.evaluation import COCO_AREA_RANGES, COCO_SIZES, Detected, Truth, coco_summary, match, size_classes
from pytest_cropdet.evaluation import interval as bounded
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.report.github import github_summary
from pytest_cropdet.report.html import html_page
from pytest_cropdet.report.terminal import table
from pytest_cropdet.report.worst_crops import worst_crop_pictures
from tests.support import Data, Fake, loses_cut, made, objects, opinions, sample, shown_in, small_run

EXACT = 1e-12
SIZES = {"small": 24.0, "border": 32.0, "medium": 40.0}


def data_of_sizes(images: int = 40) -> Data:
    """Pictures with an object below, on and above the border of small and medium, categories taken in turn."""
    rng = np.random.default_rng(5)
    samples = []
    for number in range(images):
        rows = []
        for place, side in enumerate(SIZES.values()):
            left, top = (float(v) for v in rng.integers(0, [120 - side, 90 - side]))
            rows.append(((left, top, left + side, top + side), (3, 7, 12)[(number + place) % 3]))
        samples.append(sample(number, objects(*rows)))
    return Data(samples)


def confused(data: Data) -> Fake:
    """A detector that loses half of what is cut, gains some in crops, and gives some another label."""
    whole, more = opinions(data, seed=1), opinions(data, seed=2, missing=0.0)

    def answer(number: int, crop: Any) -> Detections:
        if (crop.width, crop.height) == (120, 90):
            return whole[number]
        found = shown_in(more[number] if number % 3 == 0 else whole[number], crop, 0.9)
        kinds = np.where(np.arange(len(found)) % 4 == 3, 7, found.categories)
        return Detections(found.boxes, found.scores, kinds)

    return Fake(answer)


def gate(images: int = 40, **changes: Any) -> Any:
    data = data_of_sizes(images)
    settings = {"explain": "always", "min_images": 20, "max_drop": 0.05, "replicates": 400, **changes}
    return small_run(confused(data), data, **settings).named("random")


@pytest.fixture(scope="module")
def ours():
    found = gate()
    found.judge()
    return found


@pytest.fixture(scope="module")
def told(ours):
    return json.loads(json.dumps({**run_record(ours), "test": "t.py::test"}))


# One size class


def test_a_size_class_is_the_first_range_of_coco_s_that_has_the_area():
    areas = [0.0, 1023.9, 1024.0, 1024.1, 9215.9, 9216.0, 9216.1, 1e9]
    inside = [[low <= area <= high for low, high in map(COCO_AREA_RANGES.get, COCO_SIZES)] for area in areas]
    assert size_classes(areas).tolist() == [flags.index(True) for flags in inside]
    assert [flags.count(True) for flags in inside].count(2) == 2  # COCO's evaluator counts both borders twice


def test_coco_s_evaluator_counts_an_object_of_its_class():
    for area, name in ((1024.0, "APs"), (9216.0, "APm"), (9217.0, "APl")):
        truth = Truth([0], [1], [[0, 0, 100, 100]], [area], [False], [False])
        found = match(
            truth, Detected([0], [1], truth.boxes, [0.9]), images=1, categories=[1], area_ranges=COCO_AREA_RANGES
        )
        assert coco_summary(found)[name] == pytest.approx(1.0)
        assert f"AP{COCO_SIZES[size_classes(area)][0]}" == name


def test_fates_and_where_have_the_same_objects_in_each_size(ours, told):
    assert any(each.truth.areas.tolist().count(1024.0) for each in ours.objects.index.samples)
    bins = {each["label"]: each for each in told["where"]["size"]}
    assert tuple(bins) == COCO_SIZES == tuple(told["fates"]["by_size"])
    for name, each in bins.items():
        fate = {kind: sum(steps.values()) for kind, steps in told["fates"]["by_size"][name].items()}
        if each["found"]["whole"] is not None:
            net = (each["found"]["whole"] - each["found"]["crop"]) * each["objects"]
            assert net == pytest.approx(fate["lost"] - fate["gained"])
    assert bins["small"]["objects"] > bins["medium"]["objects"] > 0  # 24 and 32 px are small, 40 px is medium


# What is found


def test_counts_of_what_is_lost_and_gained_are_the_same_everywhere(ours, told):
    rows = object_table(ours.scored, ours.causes)
    fate, left = Counter(rows["fate"]), worst_crop_pictures(ours)
    for name in ("lost", "gained"):
        count = told["hidden"][name]["count"]
        assert count > 0
        assert count == fate[name] == left["fates"][name] == np.sum(told["where"]["map"][name])
        assert count == sum(each["count"] for each in told["fates"][name].values())
        for by in ("by_size", "by_category"):
            assert count == sum(sum(each[name].values()) for each in told["fates"][by].values())
        steps = Counter(step for step, kind in zip(rows["step"], rows["fate"], strict=True) if kind == name)
        assert steps == Counter({key: each["count"] for key, each in told["fates"][name].items()})
    assert told["hidden"]["flips"]["count"] == sum(each["count"] for each in told["labels"]["flipped"]) > 0
    losing = {
        key for key, kind in zip(zip(*windows_of(rows), strict=True), rows["fate"], strict=True) if kind == "lost"
    }
    assert left["losing"] == len(losing)


def windows_of(rows: dict[str, list[Any]]) -> list[list[Any]]:
    return [rows[name] for name in ("image", "left", "top", "width", "height")]


def test_objects_are_the_same_number_everywhere(ours, told):
    rows = object_table(ours.scored, None)
    count = told["objects"]
    assert count == sum(rows["scored"]) == len([fate for fate in rows["fate"] if fate])
    assert count == np.sum(told["where"]["map"]["objects"]) == told["shift"]["groups"]["crop"]["objects"]
    for name in ("size", "visibility", "distance_to_border", "category"):
        assert count == sum(each["objects"] for each in told["where"][name])
    assert count == sum(each["objects"] for each in told["categories"])
    pairs = zip(rows["image"], rows["object"], rows["scored"], strict=True)
    assert told["distinct_objects"] == len({(image, key) for image, key, scored in pairs if scored})


def test_only_objects_of_the_chosen_categories_are_counted():
    some = gate(categories=("cat", "dog"))
    test_objects_are_the_same_number_everywhere(some, run_record(some))
    assert some.scored_objects < some.objects.scored.sum()


def test_recall_and_precision_are_the_same_everywhere(ours, told):
    fate, point = Counter(object_table(ours.scored, None)["fate"]), told["operating_point"]
    whole, crop = (fate["kept"] + fate["lost"]) / told["objects"], (fate["kept"] + fate["gained"]) / told["objects"]
    assert point["recall"] == pytest.approx({"reference": whole, "crop": crop}, abs=EXACT)
    assert ours.recall.value == pytest.approx(crop, abs=EXACT)
    assert ours.precision.value == pytest.approx(point["precision"]["crop"], abs=EXACT)
    assert told["hidden"]["lost_minus_gained"]["value"] == pytest.approx(whole - crop, abs=EXACT)
    assert (ours.lost - ours.gained).bounds() == {
        key: told["hidden"]["lost_minus_gained"][key] for key in ("value", "low", "high")
    }
    assert np.sum(told["where"]["map"]["found"]) == fate["kept"] + fate["lost"]


def test_crops_stand_by_what_they_lost_then_by_the_share_of_it(ours):
    rows, lost, found = object_table(ours.scored, None), Counter(), Counter()
    for window, kind in zip(zip(*windows_of(rows), strict=True), rows["fate"], strict=True):
        lost[window] += kind == "lost"
        found[window] += kind in ("lost", "kept")
    shown = [(each["image"], *each["crop"]) for each in worst_crop_pictures(ours)["entries"]]
    assert [lost[window] for window in shown] == sorted(lost.values(), reverse=True)[: len(shown)]
    keys = [(-lost[window], -lost[window] / found[window]) for window in shown]
    assert keys == sorted(keys)
    assert len(set(keys)) > 2


def test_the_worst_crop_is_the_first_of_the_gallery(ours, told):
    first = worst_crop_pictures(ours)["entries"][0]
    assert told["worst"] == {key: first[key] for key in ("image", "crop", "lost", "found")}
    assert (ours.worst.lost, ours.worst.found) == (first["lost"], first["found"])


def test_a_bin_with_all_objects_has_the_bounds_of_the_whole(ours):
    """With one category its bin holds every object, so it has the numbers and bounds of the gate."""
    data = made(images=40, categories={3: "cat"})
    one = small_run(loses_cut(opinions(data)), data, explain="always", replicates=400, level=0.9)
    (row,), (category,) = one.where.by["category"], one.categories
    net = one.lost - one.gained
    assert row.cost.lost.bounds() == net.bounds()
    assert row.cost.drop == pytest.approx(one.drop.value, abs=EXACT) == category.drop
    assert one.by_category["cat"].bounds() == pytest.approx(one.drop.bounds(), abs=EXACT)
    lost = sum(each.value for each in one.causes.fates.lost.values())
    assert lost == pytest.approx(one.lost.value, abs=EXACT)
    assert sum(each.value for each in row.cost.lost_steps.values()) == pytest.approx(net.value, abs=EXACT)


# The drop


def test_the_drop_is_the_same_everywhere(ours, told):
    value = told["drop"]["value"]
    assert value == pytest.approx(told["ap"]["reference"] - told["ap"]["crop"], abs=EXACT)
    assert value == pytest.approx(sum(step["value"] for step in told["steps"]), abs=EXACT)
    assert value == pytest.approx(np.mean([each["drop"] for each in told["categories"] if each["in_mean"]]), abs=EXACT)
    assert value == pytest.approx(np.mean([each["drop"] for each in told["where"]["category"]]), abs=EXACT)
    chain = told["controls"]["chain"]["ap"]
    assert (chain["whole"], chain["crop"]) == pytest.approx(tuple(told["ap"].values()), abs=EXACT)
    by_name = {each["label"]: each for each in told["where"]["category"]}
    for each in told["categories"]:
        row = by_name[each["name"]]
        assert (row["drop"], row["objects"]) == (pytest.approx(each["drop"], abs=EXACT), each["objects"])
        assert (each["low"], each["high"]) == (ours.by_category[each["name"]].low, ours.by_category[each["name"]].high)
        for step in told["steps"]:
            assert row["steps"][step["name"]] is not None
    for step in told["steps"]:
        over = np.mean([row["steps"][step["name"]] for row in told["where"]["category"]])
        assert over == pytest.approx(step["value"], abs=EXACT)


def test_every_text_shows_the_same_drop(ours, told):
    shown = str(ours.drop)
    assert shown == f"{told['drop']['value']:.3f} [{told['drop']['low']:.3f}, {told['drop']['high']:.3f}]"
    assert shown in repr(ours)
    assert any(shown in line for line in table([told], 200))
    assert shown in github_summary([told])
    assert shown in html_page([told], [{"gallery": worst_crop_pictures(ours)}])
    text = ours.explain(ours.verdicts[-1])
    assert shown[:5] in text
    assert shown[:5] in told["verdicts"][-1]["text"]
    for name in ("low", "high"):
        assert f"{told['drop'][name]:.3f}" in text
    for each in (ours.lost, ours.recall, ours.causes.chain.steps[0], ours.where.by["size"][0].cost.lost):
        assert str(each) == str(bounded.Bounded(each.value, each.low, each.high))


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.1, 0.05, 0.2, "0.100 [0.050, 0.200]"),
        (-0.0004, -0.0001, 0.2, "0.000 [0.000, 0.200]"),
        (-0.5, None, None, "-0.500"),
        (None, None, None, "undefined"),
    ],
)
def test_one_text_for_a_number_with_bounds(value, low, high, text):
    from pytest_cropdet.evaluation.measure import Measure
    from pytest_cropdet.figures.svg.shapes import bounded_text

    assert str(bounded.Bounded(value, low, high)) == str(Measure("x", value, low, high)) == text
    assert bounded_text(value, low, high).replace("−", "-") == text  # noqa: RUF001  (the page has a minus as wide as a plus)


# The level


def bounds_in(told: Any, path: str = "") -> Iterator[tuple[str, float, float]]:
    """Every pair of bounds in a record, with where it is; edges of bins and usual ranges are none."""
    if isinstance(told, dict):
        low, high = told.get("low"), told.get("high")
        if low is not None and high is not None and not {"label", "below"} & set(told):
            yield path, low, high
        for key, each in told.items():
            yield from bounds_in(each, f"{path}.{key}")
    elif isinstance(told, list):
        for place, each in enumerate(told):
            yield from bounds_in(each, f"{path}[{place}]")


@pytest.mark.slow
def test_every_bound_moves_with_the_level():
    wide, narrow = (
        {path: ends for path, *ends in bounds_in(run_record(gate(80, level=level, try_mitigations=True)))}
        for level in (0.99, 0.6)
    )
    assert wide.keys() == narrow.keys()
    parts = "drop ratio categories steps hidden fates where shift.outside errors bias advice controls.chain"
    for part in parts.split():
        assert any(path.startswith(f".{part}") for path in wide), part
    still = []
    for path, (low, high) in wide.items():
        assert low <= narrow[path][0] <= narrow[path][1] <= high, path
        if narrow[path] == [low, high] and low < high:
            still.append(path)
    assert not still


def test_every_bound_of_a_stopped_run_is_at_the_level_that_it_spent(monkeypatch):
    data = made(110)
    stopped = small_run(
        loses_cut(opinions(data)), data, looks="auto", max_drop=0.01, min_images=20, explain="off", try_mitigations=True
    )
    spent = stopped.drop.level
    assert stopped.images < 110
    assert 0.95 < spent == stopped.looks[-1].level
    shares = [getattr(stopped.hidden, name) for name in ("lost", "gained", "flips", "new", "new_at_cut")]
    for each in (*shares, stopped.recall, stopped.precision, stopped.lost - stopped.gained, stopped.ratio):
        assert each.level == spent, each.name
    levels, real = [], bounded.percentile_bounds
    monkeypatch.setattr(bounded, "percentile_bounds", lambda values, level: levels.append(level) or real(values, level))
    assert stopped.hidden.lost - stopped.hidden.gained is not None
    assert run_record(stopped)["steps"] is None
    stopped.explanation.find()
    told = run_record(stopped)
    assert told["steps"] is not None
    assert told["advice"]["mitigations"]
    assert len(levels) > 100
    assert set(levels) == {spent}


def test_a_share_has_the_bounds_of_its_level():
    wide, narrow = (gate(level=level, explain="off") for level in (0.99, 0.6))
    for name in ("lost", "gained", "flips", "recall", "precision"):
        one, other = getattr(wide, name), getattr(narrow, name)
        assert one.value == other.value
        assert one.low < other.low < other.high < one.high


def test_bounds_are_made_in_one_place():
    """A second caller would need a second care for the level, and a second rule for what is undefined."""
    root = Path(pytest_cropdet.__file__).parent
    callers = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "percentile_bounds":
                callers.add(path.relative_to(root).as_posix())
    assert callers == {"evaluation/interval.py"}
