"""When a drop is explained, what that costs, and that the explanation belongs to the run's own numbers."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from pytest_cropdet.causes.attribution import rendered_names
from pytest_cropdet.errors import CropdetError, SpecError
from pytest_cropdet.evaluation.measure import GateFailure
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import Finished, events, run
from pytest_cropdet.inference.progress import Advanced, Started
from pytest_cropdet.settings import RunSettings
from tests.painted import Finder, painted_data

pytestmark = pytest.mark.slow

SPEC = "random:keep=0.5,per_image=2"


@pytest.fixture(scope="module")
def data():
    return painted_data(images=60)


def half(picture, found):
    """Half of what is there, told by where it is, in a picture that is smaller than the whole one."""
    if picture.shape[:2] == (90, 120):
        return found
    return found.take(np.flatnonzero(found.boxes[:, 0] % 2 == 0))


def weak():
    return Finder(half)


def test_a_gate_that_passes_is_not_explained(data):
    detector = Finder()
    result = run(detector, data, crops=SPEC, max_drop=0.9)
    assert result.explanation.causes is None
    assert result.spent.model_calls == 60 + 120
    assert detector.shown == 60 + 120 + result.repeat.images  # the first batch twice


def test_a_gate_that_does_not_pass_is_explained_at_once_with_four_more_calls_a_crop(data):
    result = run(weak(), data, crops=SPEC, max_drop=0.05)
    assert result.explanation.causes is not None
    with pytest.raises(GateFailure, match=r"scale, aspect, frame +0\.\d+  ###############"):
        result.check()
    assert result.spent.model_calls == 60 + 120 + 4 * 120


def test_always_explains_what_passes_too_and_off_nothing_unless_asked(data):
    assert run(Finder(), data, crops=SPEC, max_drop=0.9, explain="always").explanation.causes is not None
    off = run(weak(), data, crops=SPEC, max_drop=0.05, explain="off")
    with pytest.raises(GateFailure) as failure:
        off.check()
    assert "context" not in str(failure.value)
    assert off.explanation.causes is None
    assert off.steps[3].value > 0.2  # asked for


def test_no_text_calls_the_detector_and_a_limit_that_was_not_stated_says_how_to_get_the_causes(data):
    detector = weak()
    result = run(detector, data, crops=SPEC)
    shown = detector.shown
    assert result.drop <= 0.9
    compared = [
        (lambda: result.drop <= 0.01, "or cropdet.run(..., max_drop=0.01) finds them"),
        (lambda: result.ratio >= 0.99, "or cropdet.run(..., min_ratio=0.99) finds them"),
        (lambda: result.crop_ap >= 0.99, "or cropdet.run(..., min_crop_ap=0.99) finds them"),
        (lambda: result.worst_case >= 0.99, "causes: not known yet; run.causes or --cropdet-explain=always finds them"),
        (lambda: result.lost - result.gained <= 0.01, "run.causes or --cropdet-explain=always finds them"),
    ]
    for name in result.by_category:
        how = f"or cropdet.run(..., by_category={{{name!r}: 0.01}}) finds them"
        compared.append((lambda name=name: result.by_category[name] <= 0.01, how))
    for compare, how in compared:
        with pytest.raises(GateFailure) as failure:
            bool(compare())
        (line,) = [line for line in str(failure.value).splitlines() if "causes: not known yet" in line]
        assert how in line
        assert line.startswith("  causes: not known yet; run.causes")
        assert "scale, aspect, frame" not in repr(failure.value)
    assert len(result.verdicts) == 1 + len(compared)
    texts = [repr(result), result._repr_html_(), repr(result.drop), str(result.drop), *map(str, result.verdicts)]
    assert all([*texts, *map(repr, result.verdicts), *map(result.explain, result.verdicts)])
    assert result.explain_all(result.verdicts)
    assert detector.shown == shown
    assert result.explanation.causes is None
    assert len(result.steps) == 4
    assert detector.shown == shown + 4 * 120
    text = result.explain(result.verdicts[1])
    assert "not known yet" not in text
    assert "scale, aspect, frame" in text
    assert result.named("other").steps == result.steps
    assert detector.shown == shown + 4 * 120


def test_who_turned_explaining_off_is_not_told_how_to_get_causes(data):
    result = run(weak(), data, crops=SPEC, explain="off")
    with pytest.raises(GateFailure) as failure:
        bool(result.drop <= 0.01)
    assert "causes" not in str(failure.value)


def test_a_run_is_frozen_and_a_renamed_one_keeps_its_verdicts_and_speaks_for_itself(data):
    result = run(Finder(), data, crops=SPEC)
    with pytest.raises(FrozenInstanceError):
        result.drop = None
    other = result.named("other")
    assert other.drop <= 0.9
    assert [each.measure.name for each in result.verdicts] == ["drop"]
    assert other.verdicts is result.verdicts
    assert (other.name, other.details.weak) == ("other", result.details.weak)


@pytest.mark.parametrize("metric", ["mAP", "AP50", "AP75"])
def test_steps_add_up_to_the_drop_and_the_whole_chain_has_the_runs_own_ends(data, metric):
    result = run(weak(), data, crops=SPEC, metric=metric, both_orders=True)
    assert sum(step.value for step in result.steps) == pytest.approx(result.drop.value, abs=1e-12)
    chain = result.causes.chain
    assert chain.ap["whole"] == result.metric_values["reference"]
    assert chain.ap["crop"] == result.metric_values["crop"]
    assert set(chain.orders) == {"context first", "cut first"}


def test_a_crop_of_everything_costs_nothing_in_any_step(data):
    result = run(Finder(), data, crops="random:keep=1.0,per_image=2", explain="always")
    assert [(step.value, step.low, step.high) for step in result.steps] == [(0.0, 0.0, 0.0)] * 4
    assert result.causes.chain.placebo.value == 0.0


def test_events_tell_what_is_sent_and_how_far_it_is(data):
    seen = list(events(weak(), data, RunSettings(crops=SPEC, max_drop=0.05)))
    begun = next(each for each in seen if isinstance(each, Started) and each.task == "explain")
    asked = [each for each in seen if isinstance(each, Advanced) and each.task == "explain"]
    assert begun.crops == 120
    assert begun.calls == asked[-1].done == asked[-1].calls == 480
    assert [each.done for each in asked] == sorted(each.done for each in asked)
    assert isinstance(seen[-1], Finished)


def test_several_fills_are_compared_and_each_costs_its_calls(data):
    result = run(weak(), data, crops=SPEC, fill=("mean", "gray"), max_drop=0.05)
    assert [chain.fill for chain in result.causes.chains] == ["mean", "gray"]
    assert result.causes.notes == ("with gray fill: the same conclusion",)
    assert result.spent.model_calls == 60 + 120 + 2 * 480
    assert "with gray fill: the same conclusion" in result.explain(result.judge()[0])


def test_the_json_holds_steps_fates_and_the_placebo(data):
    result = run(weak(), data, crops=SPEC, max_drop=0.05)
    told = run_record(result)
    assert [set(step) for step in told["steps"]] == [{"name", "value", "low", "high", "distinguishable"}] * 4
    assert [step["name"] for step in told["steps"]] == ["context", "cut", "position", "scale"]
    assert told["controls"]["chain"]["placebo"]["name"] == "placebo"
    assert sum(each["count"] for each in told["fates"]["lost"].values()) == int(result.lost.over.sum())
    assert run_record(run(Finder(), data, crops=SPEC, max_drop=0.9))["steps"] is None


def test_a_detector_that_fails_while_it_is_asked_why_leaves_the_gate_its_verdict(data):
    class Breaking(Finder):
        def __call__(self, images):
            if self.shown >= 60 + 120 + 8 + 40:
                raise RuntimeError("out of memory")
            return super().__call__(images)

    detector = Breaking(half)
    result = run(detector, data, crops=SPEC, max_drop=0.05)
    assert result.spent.model_calls == detector.shown - result.repeat.images == 60 + 120 + 40
    with pytest.raises(GateFailure, match=r"(?s)0\.\d+ > 0\.050.*not explained: .*out of memory"):
        result.check()
    with pytest.raises(CropdetError, match=r"cannot be explained: .*out of memory"):
        _ = result.steps


def test_agreement_is_explained_by_the_share_that_is_still_found(data):
    data.has_truth = False
    try:
        result = run(weak(), data, crops=SPEC, min_images=5)
        assert sum(step.value for step in result.steps) == pytest.approx(result.drop.value, abs=1e-12)
        assert result.causes.chain.ap["whole"] == pytest.approx(1.0)
    finally:
        del data.has_truth


def test_a_fill_that_does_not_exist_is_refused_before_anything_is_run():
    with pytest.raises(SpecError, match="cropdet_fill must be one of mean, blur, gray, not 'red'"):
        RunSettings(fill=("red",))
    with pytest.raises(SpecError, match="each once"):
        RunSettings(fill=("mean", "mean"))
    assert RunSettings(fill="blur").fill == ("blur",)


def test_looks_are_explained_on_the_images_that_were_seen(data):
    result = run(weak(), data, crops=SPEC, max_drop=0.05, looks="auto")
    assert sum(step.value for step in result.steps) == pytest.approx(result.drop.value, abs=1e-12)
    assert len(result.causes.matches["cut"].rows) > 0


def test_names_of_what_is_sent():
    assert rendered_names(RunSettings()) == ("context", "cut", "moved", "placebo")
    assert rendered_names(RunSettings(both_orders=True)) == ("context", "cut", "moved", "placebo", "hollow")
