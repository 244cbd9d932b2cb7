"""The benchmark: its cells are the gate's, its means are plain means, and no picture is asked for twice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pytest_cropdet import Detections, GroundTruth, run_benchmark
from pytest_cropdet.benchmark.cells import MODES, plan_benchmark
from pytest_cropdet.benchmark.result import benchmark_events
from pytest_cropdet.benchmark.scores import Rules, moved
from pytest_cropdet.crops.families import FAMILIES
from pytest_cropdet.crops.family import SEVERITIES
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import average_precision
from pytest_cropdet.inference.progress import Started
from pytest_cropdet.report.model_card import model_card
from pytest_cropdet.report.records import benchmark_record
from pytest_cropdet.settings import RunSettings
from tests.crops import test_families_built as built
from tests.support import Data, Fake, blind, loses_cut, made, objects, opinions, perfect, sample, small_run

pytestmark = pytest.mark.slow

DATA = made(images=30)
FEW = made(images=12)


def measured(detector, data=DATA, mode="quick", **changes):
    """A benchmark with few replicates, since most tests ask for no more."""
    return run_benchmark(detector, data, mode, **{"replicates": 200, **changes})


@pytest.fixture(scope="module")
def weak():
    """A fair detector that misses what is cut."""
    return measured(loses_cut(opinions(DATA)))


def record(found) -> dict:
    """The record as another program reads it."""
    return json.loads(json.dumps(benchmark_record(found), allow_nan=False))


@pytest.mark.parametrize("mode", MODES)
def test_a_perfect_detector_has_rpc_1_and_loses_nothing_anywhere(mode):
    data = made(images=12, per_image=6)
    found = measured(perfect(data), data, mode)
    one = {"value": 1.0, "low": 1.0, "high": 1.0}
    told = found.to_dict()
    assert (told["mpc"], told["rpc"], told["reference"], told["whole"]) == (one, one, one, one)
    assert {tuple(cell["drop"].values()) for cell in told["cells"]} == {(0.0, 0.0, 0.0)}
    assert (found.shifts.worst, found.shifts.best) == (1.0, 1.0)
    assert [(cell["family"], cell["severity"]) for cell in told["cells"]] == [
        (family, severity) for family in FAMILIES for severity in MODES[mode].severities
    ]


def test_a_cell_is_what_the_gate_measures_of_the_same_windows(weak):
    for cell in weak.to_dict()["cells"]:
        gate = small_run(loses_cut(opinions(DATA)), DATA, cell["plan"])
        assert cell["reference"]["value"] == pytest.approx(gate.ap["reference"], abs=1e-12)
        assert cell["crop"]["value"] == pytest.approx(gate.ap["crop"], abs=1e-12)
        assert (cell["objects"], cell["crops"]) == (gate.scored_objects, gate.crops)
        if cell["images"] == len(DATA):  # the gate draws among images with a window only
            assert (cell["drop"]["low"], cell["drop"]["high"]) == pytest.approx((gate.drop.low, gate.drop.high))


def test_mpc_and_rpc_follow_from_the_cells(weak):
    told = weak.to_dict()
    rows = {family: [cell for cell in told["cells"] if cell["family"] == family] for family in FAMILIES}

    def mean(side):
        return np.mean([np.mean([cell[side]["value"] for cell in cells]) for cells in rows.values()])

    assert told["mpc"]["value"] == pytest.approx(mean("crop"))
    assert told["reference"]["value"] == pytest.approx(mean("reference"))
    assert told["rpc"]["value"] == pytest.approx(mean("crop") / mean("reference"))
    assert told["drop"]["value"] == pytest.approx(mean("reference") - mean("crop"))
    for family in told["families"]:
        each = rows[family["family"]]
        assert family["crop"]["value"] == pytest.approx(np.mean([cell["crop"]["value"] for cell in each]))
    assert 0.2 < told["rpc"]["value"] < 0.9


def test_bounds_are_those_of_the_means_in_the_same_resamples(weak):
    crop = np.mean([cell.replicates[1] for cell in weak.cells], axis=0)
    reference = np.mean([cell.replicates[0] for cell in weak.cells], axis=0)
    defined = ~np.isnan(crop)
    assert defined.sum() > 190
    assert weak.mpc.high == pytest.approx(np.quantile(crop[defined], 0.95))
    assert weak.rpc.low == pytest.approx(np.quantile((crop / reference)[defined], 0.05))


def test_bounds_hold_their_values(weak):
    told = weak.to_dict()
    numbers = [told[name] for name in ("mpc", "reference", "drop", "rpc", "whole")]
    numbers += [each[side] for each in told["cells"] + told["families"] for side in ("reference", "crop", "drop")]
    assert len(numbers) == 5 + 3 * (15 + 5)
    assert all(number["low"] <= number["value"] <= number["high"] for number in numbers)
    assert weak.rpc.high - weak.rpc.low > 0.01


def test_a_family_with_an_undefined_cell_counts_as_much_as_the_others():
    """Objects of 24 x 24 pixels in windows of which most keep them, but for those at the smallest scale."""
    found = measured(loses_cut(opinions(made(images=6))), made(images=6))
    told = found.to_dict()
    undefined = [cell for cell in told["cells"] if cell["crop"]["value"] is None]
    assert undefined
    assert all(cell["drop"] == {"value": None, "low": None, "high": None} for cell in undefined)
    means = [family["crop"]["value"] for family in told["families"] if family["crop"]["value"] is not None]
    assert told["mpc"]["value"] == pytest.approx(np.mean(means))
    assert any("undefined, in no mean: " in note for note in found.notes)


# Weaknesses


def test_a_truncation_weakness_grows_with_the_severity_of_edge():
    found = measured(Fake(built.truncation), built.DATA)
    lost = [cell["drop"]["value"] for cell in found.to_dict()["cells"] if cell["family"] == "edge"]
    assert len(lost) == 3
    assert all(before < after for before, after in pairwise(lost))


def test_a_stride_phase_weakness_shows_in_shift_and_not_where_one_side_stays():
    found = measured(Fake(built.stride_phase), built.DATA)
    assert found.families["shift"].drop.low > 0.3
    assert found.families["edge"].drop.value == 0.0
    assert found.shifts.worst < 0.1 < 0.5 < found.shifts.best


def test_the_bounds_over_shifts_hold_the_mean_over_shifts(weak):
    assert weak.shifts.worst < weak.families["shift"].crop.value < weak.shifts.best
    assert weak.shifts.windows == len(DATA) * 3 * 2


# Control line


def test_a_one_pixel_error_of_boxes_costs_what_arithmetic_says():
    """Of a box of 10 x 10 pixels moved by one pixel along both axes 81 of 119 remain: IoU 0.68, 4 of 10 thresholds."""
    data = Data([sample(n, objects(((20, 20, 30, 30), 3), ((60, 40, 70, 50), 7))) for n in range(12)])
    found = measured(perfect(data), data)
    for lost in found.jitter.values():
        assert lost.value == pytest.approx(0.6)
        assert (lost.low, lost.high) == pytest.approx((0.6, 0.6))
    large = Data([sample(n, objects(((1, 1, 101, 81), 3))) for n in range(12)])  # IoU 0.957
    assert measured(perfect(large), large).jitter["truth"].value == 0.0


def test_boxes_move_in_the_directions_that_the_definition_names():
    """As docs/benchmark.md has it: the lowest bit of a SHA-256's first 8 bytes."""
    rules = Rules(tuple(DATA), (3, 7, 12), RunSettings(seed=5))
    whole = [Detections(each.truth.boxes, np.ones(len(each.truth)), each.truth.categories) for each in DATA]
    steps = set()
    for each, before, after in zip(DATA, whole, moved(whole, rules), strict=True):
        for row, step in enumerate(after.boxes - before.boxes):
            texts = [f"jitter\x1f5\x1f{each.id}\x1f{row}\x1f{axis}" for axis in "xy"]
            x, y = (1 if hashlib.sha256(text.encode()).digest()[7] & 1 else -1 for text in texts)
            assert step.tolist() == [x, y, x, y]
            steps.add((x, y))
    assert len(steps) == 4


# What is asked


@pytest.mark.parametrize("batch", [1, 8])
def test_whole_images_are_asked_for_once_and_each_batch_of_windows_too(batch):
    detector = perfect(FEW, batch=batch)
    found = measured(detector, FEW, "full")
    images = len(FEW)
    assert [number for number, _ in detector.shown[:images]] == [*range(images)]
    assert detector.shown[images : images + batch] == detector.shown[:batch]  # does it repeat itself? not counted
    windows = detector.shown[images + batch :]
    distinct = {(sample, crop) for cell in found.plan.cells for sample, crop in cell.plan}
    assert len(distinct) <= len(windows) == found.spent.model_calls - images < found.plan.crops
    if batch == 1:
        assert len(windows) == len(set(windows)) == len(distinct)


def test_the_estimate_stands_before_the_first_call_and_is_exact():
    detector = perfect(DATA)
    events = benchmark_events(detector, DATA, "quick", RunSettings(replicates=100))
    planned = next(events)
    assert isinstance(planned, Started)
    assert planned.task == "benchmark"
    assert not detector.shown
    *advanced, found = events
    assert (planned.calls, planned.calls) == (found.spent.model_calls, advanced[-1].done)
    assert planned.note.startswith(f"cropdet-benchmark 1 quick: {found.plan.crops:,} crops of 30 images, ")


def test_quick_takes_100_images_and_at_most_54_calls_of_each_and_says_what_it_left_out():
    plan = plan_benchmark(made(images=130), "quick")
    calls = len(plan.samples) + plan.crops
    assert len(plan.samples) == 100
    assert calls <= 100 * (1 + 3 * 2 * 4 + 4 + 9 + 16) == 5400
    assert 5400 * 0.040 < 10 * 60 / 2  # 40 ms a call: less than half of ten minutes
    assert {cell.severity for cell in plan.cells} == {1, 3, 5}
    assert plan.left_out == (
        "severities 2, 4",
        "2 of 4 windows an image of each severity (tile: none)",
        "30 of 130 images",
    )
    assert len(plan_benchmark(made(images=130), "quick", sample_images=120).samples) == 120
    full = plan_benchmark(made(images=130), "full")
    assert (len(full.samples), full.left_out) == (130, ())
    assert [cell.severity for cell in full.cells] == [*SEVERITIES] * 5


def test_the_windows_of_quick_are_among_those_of_full():
    quick, full = (plan_benchmark(DATA, mode) for mode in MODES)
    theirs = {(cell.family, cell.severity): cell.plan.windows for cell in full.cells}
    for cell in quick.cells:
        for name, windows in cell.plan.windows.items():
            assert theirs[cell.family, cell.severity][name][: len(windows)] == windows


def test_it_is_the_same_every_time(weak):
    assert measured(loses_cut(opinions(DATA))).to_dict() == weak.to_dict()


# Data of all kinds


def test_without_truth_families_that_follow_objects_are_left_out_and_named():
    class Pictures(Data):
        has_truth = False

    data = Pictures([replace(each, truth=GroundTruth.empty()) for each in DATA], {})
    found = measured(perfect(DATA, categories={3: "cat", 7: "dog", 12: "bird"}), data)
    assert found.agreement
    assert [*found.families] == ["random", "tile", "shift"]
    assert [each.partition(":")[0] for each in found.left_out[:2]] == ["object", "edge"]
    assert found.rpc.value == 1.0
    assert any("agreement and not accuracy" in note for note in found.notes)
    assert "-" in model_card([record(found)]).splitlines()[-1].split(" | ")


def test_with_one_category_and_images_without_objects():
    some = made(images=20, categories={3: "cat"})
    empty = [sample(number, GroundTruth.empty()) for number in range(20, 30)]
    data = Data([*some.samples, *empty], {3: "cat"})
    answers = [*opinions(some), *[Detections.empty()] * 10]
    found = measured(loses_cut(answers), data)
    told = record(found)["benchmark"]
    assert told["images"] == 30
    assert {cell["images"] for cell in told["cells"] if cell["family"] == "object"} == {20}
    assert {cell["images"] for cell in told["cells"] if cell["family"] == "random"} == {30}
    assert told["categories"] == ["cat"]
    assert 0 < told["rpc"]["value"] < 1
    draws = np.random.Generator(np.random.PCG64(0))
    counts = np.array([np.bincount(draws.integers(30, size=30), minlength=30) for _ in range(5)])
    for cell in found.cells:  # all are resampled alike, also where images without a window take no part
        gate = small_run(loses_cut(answers), data, cell.cell.spec)
        by_hand = [average_precision(gate.matches["crop"], each[gate.objects.index.unit]).mAP for each in counts]
        assert cell.replicates[1][:5] == pytest.approx(by_hand)


def test_without_any_object_everything_is_undefined_and_nothing_is_made_up():
    data = Data([sample(number, GroundTruth.empty()) for number in range(6)])
    found = measured(blind(), data)
    told = record(found)["benchmark"]
    nothing = {"value": None, "low": None, "high": None}
    assert (told["mpc"], told["rpc"], told["whole"], told["jitter"]["truth"]) == (nothing,) * 4
    assert [each.partition(":")[0] for each in told["left_out"][:2]] == ["object", "edge"]
    assert "none" in model_card([record(found)])


def test_a_detector_that_finds_nothing_has_no_ratio():
    found = measured(blind())
    assert found.mpc.value == 0.0
    assert found.rpc.value is None


def test_a_cap_on_boxes_is_noted():
    answers = opinions(DATA)
    found = measured(Fake(lambda number, crop: loses_cut(answers).answer(number, crop), max_detections=1))
    assert any("the ratio looks too good" in note for note in found.notes)


def test_a_mode_that_there_is_not_is_named():
    with pytest.raises(SpecError, match="must be one of quick, full, not 'fast'"):
        measured(blind(), mode="fast")


# Shown


def test_a_row_for_a_model_card_has_as_many_cells_as_its_head(weak):
    head, line, row = model_card([record(weak)]).splitlines()
    assert head.count("|") == line.count("|") == row.count("|")
    assert f"| {weak.mpc} | {weak.rpc} | cropdet-benchmark 1 quick, mAP, seed 0 |" in row


def test_the_figure_has_a_panel_a_family(weak):
    pytest.importorskip("matplotlib")
    from matplotlib.text import Text

    figure = weak.plot()
    figure.draw_without_rendering()
    texts = [each.get_text() for each in figure.findobj(Text)]
    assert len(figure.axes) == 5
    assert [axes.get_title(loc="left").partition(":")[0] for axes in figure.axes] == [*FAMILIES]
    assert any(f"rPC {weak.rpc}" in text for text in texts)
    lines = figure.axes[0].get_lines()
    crops = [cell["crop"]["value"] for cell in weak.to_dict()["cells"] if cell["family"] == "random"]
    assert any(np.array_equal(each.get_ydata(), crops) for each in lines)
