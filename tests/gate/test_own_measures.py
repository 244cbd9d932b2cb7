"""Measures of one's own: a function of the match tables gets bounds, verdicts, and a place in JSON and page."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet import GateFailure, report
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import average_precision, drawn_weights, match, resample
from pytest_cropdet.evaluation.coco.tables import Detected, Truth
from pytest_cropdet.gate.results import Run
from pytest_cropdet.report.html.measures import measures_section
from pytest_cropdet.report.limit_rows import limit_rows
from tests.support import Fake, blind, loses_cut, made, opinions, shown_in, small_run, strongest

DATA = made(images=60)


@pytest.fixture(scope="module")
def measured():
    return small_run(loses_cut(opinions(DATA)), DATA)


@pytest.fixture
def run(measured):
    return measured.named("fresh") if not measured.measures else _without(measured)


def _without(run):
    run.measures.clear()
    run.verdicts.clear()
    return run


def ap_lost(tables, weights):
    """The drop, a second time."""
    before, after = (
        average_precision(tables.matches[side], weights).mean(categories=tables.in_mean)
        for side in ("reference", "crop")
    )
    return before - after


def missed(tables, weights):
    """Share of the objects that no detection in the crops matches at IoU 0.5, whatever it scores."""
    found = np.zeros(len(tables.counted), dtype=bool)
    rows = tables.matches["crop"].truth_of()[0]
    found[rows[rows >= 0]] = True
    weight = tables.object_weights(weights)[tables.counted]
    return (weight * ~found[tables.counted]).sum() / weight.sum()


def missed_at_once(tables, weights):
    found = np.zeros(len(tables.counted), dtype=bool)
    rows = tables.matches["crop"].truth_of()[0]
    found[rows[rows >= 0]] = True
    weight = tables.object_weights(weights)[tables.counted]
    return (weight * ~found[tables.counted][:, None]).sum(axis=0) / weight.sum(axis=0)


# The number and its bounds


def test_the_drop_as_a_function_of_ones_own_has_the_bounds_of_the_drop(run):
    found = run.measure(ap_lost)
    assert (found.name, found.good, found.level) == ("ap_lost", False, run.drop.level)
    assert (found.value, found.low, found.high) == pytest.approx(
        (run.drop.value, run.drop.low, run.drop.high), abs=1e-12
    )
    assert found.low < found.value < found.high


def test_a_run_that_stopped_early_gives_the_bounds_of_the_level_that_it_spent():
    data = made(images=200)
    stopped = small_run(loses_cut(opinions(data)), data, looks="auto", max_drop=0.05, explain="off")
    assert stopped.images < len(data)
    assert stopped.drop.level > 0.95
    found = stopped.measure(ap_lost)
    assert found.level == stopped.drop.level
    assert (found.low, found.high) == pytest.approx((stopped.drop.low, stopped.drop.high), abs=1e-12)


def test_one_call_for_each_resample_and_all_at_once_are_the_same(run):
    one, other = run.measure(missed), run.measure(missed_at_once, vectorised=True)
    assert (one.value, one.low, one.high) == (other.value, other.low, other.high)
    assert 0.1 < one.low < one.value < one.high < 0.9


def test_weights_are_how_often_each_crop_was_drawn(run):
    seen = []
    run.measure(lambda tables, weights: seen.append(weights) or 0.0, name="looks")
    assert (seen[0] == 1).all()
    drawn = np.stack(seen[2:], axis=1)
    assert drawn.shape == (run.crops, run.settings.replicates)
    unit = run.objects.index.unit
    assert (drawn.sum(axis=0) == run.crops).all()  # two crops of each image
    for image in range(run.images):
        assert (drawn[unit == image] == drawn[unit == image][0]).all()


def test_the_weights_are_those_of_the_resamples_of_ap():
    boxes = [[0.0, 0, 9, 9]] * 6
    truth = Truth(range(6), [1] * 6, boxes, [81] * 6, [False] * 6, [False] * 6)
    found = match(truth, Detected([0, 1, 4], [1] * 3, boxes[:3], [0.9] * 3), images=6, categories=[1])
    unit = [0, 0, 1, 2, 2, 5]
    theirs = resample([found], unit, replicates=150, seed=3).mean()[0]
    weights = np.concatenate(list(drawn_weights(unit, replicates=150, seed=3, at_once=40)), axis=1)
    ours = [average_precision(found, column).mAP for column in weights.T]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_what_is_undefined_is_none_and_undecided(run):
    found = run.measure(lambda tables, weights: None, name="nothing")
    assert (found.value, found.low, found.high) == (None, None, None)
    verdict = found <= 0.5
    assert (verdict.outcome, verdict.reason, verdict.passes) == ("undecided", "undefined", False)


def test_bounds_of_a_number_that_many_resamples_lack_are_undefined(run):
    half = iter([True, True, *([True, False] * 100)])
    found = run.measure(lambda tables, weights: 0.5 if next(half) else float("nan"), name="at times")
    assert (found.value, found.low, found.high) == (0.5, None, None)


# Verdicts


def test_the_three_verdicts_of_a_loss_and_of_a_good(run):
    found = run.measure(missed)
    outcomes = [found.judge(limit).outcome for limit in (found.high, found.value, found.low - 0.001)]
    assert outcomes == ["pass", "undecided", "fail"]
    good = run.measure(lambda tables, weights: 1 - missed(tables, weights), name="found at all", good=True)
    outcomes = [(good >= limit).outcome for limit in (good.low, good.value)]
    assert outcomes == ["pass", "undecided"]
    assert good.judge(good.high + 0.001).outcome == "fail"
    with pytest.raises(TypeError, match=r"<= on found at all: a good is gated as"):
        _ = good <= 0.5


def test_a_failed_assertion_explains_itself_and_its_verdict_is_the_runs(run):
    with pytest.raises(GateFailure) as failed:
        assert run.measure(missed, unit="of the objects") <= 0.05
    first = str(failed.value).splitlines()[0]
    assert first.startswith("FAIL missed 0.")
    assert "of the objects" in first
    assert "the limit is 0.050" in first
    assert "whole image" in str(failed.value)
    assert (run.verdict, run.verdicts[-1].measure.name) == ("fail", "missed")


def test_too_few_images_leave_it_undecided():
    found = small_run(loses_cut(opinions(DATA)), made(images=20), "random:keep=0.6")
    verdict = found.measure(missed).judge(0.99)
    assert (verdict.outcome, verdict.reason) == ("undecided", "images")


def test_a_loss_of_a_detector_that_is_not_deterministic_is_undecided():
    passes = [0]

    def answer(number, crop):
        passes[0] += 1
        some = opinions(DATA, seed=passes[0])[number]
        return loses_cut([some] * len(DATA)).answer(number, crop)

    found = small_run(Fake(answer, batch=1), DATA, "random:keep=0.9,per_image=1")
    assert not found.repeat.same
    assert found.measure(missed).judge(0.99).reason == "spread"
    assert found.measure(missed, name="seen", good=True).judge(0.0).reason is None


def test_a_limit_on_the_number_of_boxes_that_changes_the_drop_forbids_a_pass_of_a_loss():
    data = made(images=60, per_image=14, seed=1)
    whole = opinions(data, missing=0.0, false=0)
    found = small_run(Fake(lambda number, crop: strongest(shown_in(whole[number], crop), 10)), data)
    assert found.cap.binds
    assert found.measure(missed).judge(0.99).reason == "cap"
    assert found.measure(missed, name="seen", good=True).judge(0.0).outcome == "pass"
    assert found.measure("AR10").judge(0.3).reason == "cap"
    assert found.measure("AR10", of="crop").judge(0.01).outcome == "pass"


# Mistakes


@pytest.mark.parametrize(
    ("function", "arguments", "sentence"),
    [
        (7, {}, "takes a function of .tables, weights., not 7"),
        (lambda tables, weights: 0.1, {}, "the measure '<lambda>' needs a name"),
        (missed, {"name": " "}, "needs a name for reports"),
        (missed, {"name": "lost"}, "cannot be called 'lost': built-in ones are called so"),
        (missed, {"name": "drop of cat"}, "cannot be called 'drop of cat'"),
        (
            lambda tables, weights: "0.1",
            {"name": "text"},
            r"the measure 'text' returned '0.1'; it must return a number",
        ),
        (lambda tables, weights: True, {"name": "flag"}, "returned True; it must return a number"),
        (lambda tables, weights: np.ones(3), {"name": "list"}, r"returned an array of shape \(3,\)"),
        (lambda tables: 1.0, {"name": "short"}, "the measure 'short' failed: TypeError"),
        (lambda tables, weights: 1 / 0, {"name": "broken"}, "the measure 'broken' failed: ZeroDivisionError"),
        (missed, {"vectorised": True}, r"'missed' is vectorised and returned .* for weights of shape \(120, 1\)"),
        (lambda tables, weights: 0.1, {"name": "one", "vectorised": True}, r"it must return an array of shape \(1,\)"),
        (lambda tables, weights: random.random(), {"name": "dice"}, "the measure 'dice' is not deterministic"),
    ],
    ids=[
        *("no function", "lambda", "blank", "taken", "drop", "text", "flag", "list", "short", "broken"),
        *("not vectorised", "one number", "dice"),
    ],
)
def test_mistakes_are_named(run, function, arguments, sentence):
    with pytest.raises(SpecError, match=sentence):
        run.measure(function, **arguments)
    assert not run.measures


def test_a_name_is_of_one_measure(run):
    run.measure(missed, name="mine")
    run.measure(missed, name="mine")
    with pytest.raises(SpecError, match="the run has another measure 'mine' with other numbers"):
        run.measure(ap_lost, name="mine")
    assert [*run.measures] == ["mine"]


# Where it is shown


def test_json_has_every_measure_as_the_schema_says(run):
    assert run.to_dict()["measures"] == []
    found = run.measure(missed, unit="of the objects")
    good = run.measure(lambda tables, weights: None, name="nothing", good=True)
    told = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    assert told["measures"] == [
        {
            "name": "missed",
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "level": 0.95,
            "good": False,
            "unit": "of the objects",
        },
        {"name": "nothing", "value": None, "low": None, "high": None, "level": 0.95, "good": good.good, "unit": ""},
    ]
    schema = json.loads(Path(report.__path__[0], "schema.json").read_text(encoding="utf-8"))
    part = {"$ref": "#/$defs/gate/properties/measures", "$defs": schema["$defs"]}
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    jsonschema.Draft202012Validator(part).validate(told["measures"])


def test_the_page_lists_them_with_their_limits(run):
    assert measures_section(run.to_dict()) is None
    found = run.measure(missed, unit="of the objects")
    run.measure(lambda tables, weights: 0.5, name="free", good=True)
    assert not found.judge(0.05).passes
    (table,) = measures_section(run.to_dict()).blocks
    shown = [[each.text for each in row] for row in table.rows]
    assert shown[0][0] == "missed"
    assert shown[0][1].startswith(f"{found.value:.3f}")
    assert shown[0][2:] == ["of the objects", "smaller", "<= 0.05: fail"]
    assert shown[1][3:] == ["larger", "none"]


def test_the_row_of_a_limit_on_one_shows_no_ap_beside_it(run):
    (drop,) = limit_rows(run.to_dict())
    assert (drop.before, drop.after) != (None, None)
    assert not run.measure(missed).judge(0.05).passes
    (row,) = limit_rows(run.to_dict())
    assert (row.measure, row.before, row.after) == ("missed", None, None)


def test_a_saved_run_has_them_and_they_judge_again(run, tmp_path):
    found = run.measure(missed)
    run.save(tmp_path / "run.zip")
    again = Run.load(tmp_path / "run.zip")
    assert again.to_dict()["measures"] == run.to_dict()["measures"]
    assert not again.measures["missed"].judge(0.05).passes
    assert again.verdicts[-1].measure.name == "missed"
    once_more = again.measure(missed)  # its tables are in the file
    assert (once_more.low, once_more.high) == (found.low, found.high)


def test_a_blind_detector_has_a_number_where_the_function_gives_one():
    found = small_run(blind(), DATA)
    assert found.measure(missed).value == 1.0


def test_a_number_without_bounds_never_passes():
    """Defined where one image is drawn alone: in a third of the resamples it is not."""

    def rare(tables, weights):
        first = weights[np.asarray(tables.objects.index.unit) == 0].sum()
        return 0.0 if first else float("nan")

    found = small_run(loses_cut(opinions(DATA)), DATA).measure(rare)
    assert (found.value, found.low, found.high) == (0.0, None, None)
    verdict = found.judge(0.05)
    assert verdict.outcome == "undecided"
    assert "undefined in more than 1 in 20 resamples" in verdict.doubt


def test_a_loss_of_a_detector_that_finds_nothing_does_not_pass_and_a_good_is_judged():
    found = small_run(blind(), DATA)
    verdict = found.measure(ap_lost, name="my loss").judge(0.05)
    assert verdict.outcome == "undecided"
    assert "a detector that finds nothing cannot lose anything" in verdict.doubt
    assert found.measure(lambda tables, weights: 0.5, name="a good", good=True).judge(0.1).outcome == "pass"


@pytest.mark.parametrize("vectorised", [False, True])
def test_infinity_is_undefined(run, vectorised):
    def share(tables, weights):
        return np.full(weights.shape[1], np.inf) if vectorised else float("inf")

    found = run.measure(share, vectorised=vectorised)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert json.dumps(run.to_dict(), allow_nan=False)
