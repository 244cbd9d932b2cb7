"""What is advised follows from the causes, and nothing else is; the code that is given can be pasted."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_cropdet.augment import Augmentation
from pytest_cropdet.causes.advice import advise
from pytest_cropdet.causes.chain import Chain, Step
from pytest_cropdet.causes.mitigations.gains import MitigationTrial, Trials
from pytest_cropdet.causes.mitigations.mitigation import Mitigation
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.evaluation.interval import Bounded
from pytest_cropdet.evaluation.measure import GateFailure
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import run
from pytest_cropdet.terms import STEPS
from tests.causes.built import SIDES, Built, scenes

RANDOM = "random:keep=0.3-0.9,per_image=2"
AGAINST = {"context": "Context", "cut": "Cut", "position": "Position", "scale": "Scale"}


def causes(**values):
    """Steps that cost what is given, clearly, and 1, 2, 3 and 4 lost objects; the others cost 0.001, maybe."""
    steps = tuple(
        Step(name, values[name], values[name] - 0.01, values[name] + 0.01, True)
        if name in values
        else Step(name, 0.001, -0.01, 0.01, False)
        for name in STEPS
    )
    lost = {name: SimpleNamespace(over=np.array([place, 1])) for place, name in enumerate(STEPS)}
    return SimpleNamespace(chain=Chain("mean", steps, {}, None, {}), fates=SimpleNamespace(lost=lost))


def pasted(advice):
    space = {}
    exec(advice.code, space)
    return space["augmentation"]


@pytest.mark.parametrize("step", STEPS)
def test_each_step_has_its_recipe_and_the_code_makes_it(step):
    advice = advise(causes(**{step: 0.06}), RANDOM)
    assert advice.step == step
    augmentation = pasted(advice)
    assert isinstance(augmentation, Augmentation)
    assert [type(each).__name__ for each in augmentation.recipes] == [AGAINST[step], "Matched"]
    assert augmentation.recipes[0].weight > augmentation.recipes[1].weight
    assert augmentation.recipes[1].spec == RANDOM
    assert all(each.leave == 0.3 for each in augmentation.recipes)


def test_the_costliest_step_comes_first_and_only_what_costs_clearly_is_advised():
    advice = advise(causes(scale=0.06, context=0.02, cut=-0.09), RANDOM)
    assert [each.partition("(")[0] for each in advice.recipes] == ["Scale", "Context", "Matched"]
    assert advice.sentences[0].startswith("biggest cause by AP: scale, aspect, frame 0.060 [0.050, 0.070]")
    assert advice.sentences[0].endswith("; 4 of the 10 missed objects were first missed there")
    assert "context lost 0.020" in advice.sentences[2]
    assert "cut" not in str(advice)


def test_where_no_step_can_be_told_from_0_more_images_or_matched_are_advised():
    for nothing in (causes(), causes(context=-0.05)):
        advice = advise(nothing, RANDOM)
        assert advice.step is None
        assert [type(each).__name__ for each in pasted(advice).recipes] == ["Matched"]
        assert "more images" in advice.sentences[0]
        assert advice.measures == ()
        assert advice.headline == "no single cause is clear; use more images, or train on crops like these (Matched)"


def test_matched_takes_the_families_of_the_gate_and_none_where_a_strategy_drew():
    assert advise(causes(cut=0.1), "edge+random:keep=0.5").recipes[-1] == 'Matched("edge+random:keep=0.5", leave=0.3)'
    assert advise(causes(cut=0.1), "tile:severity=3").recipes[-1] == 'Matched("tile:severity=3", leave=0.3)'
    drawn = "drawn:name=around,per_image=4"
    advice = advise(causes(cut=0.1), drawn)
    assert advice.recipes == ("Cut(weight=2, leave=0.3)",)
    pasted(advice)
    assert advise(causes(), drawn).code == ""


def test_untried_measures_are_those_against_the_step():
    def measures(spec, step):
        return advise(causes(**{step: 0.1}), spec).measures

    assert measures(RANDOM, "context") == (
        "widen windows by 32 px",
        "add the downscaled whole image",
    )
    assert measures(RANDOM, "cut") == ("widen windows by 32 px",)
    assert measures("tile", "cut") == ("widen windows by 32 px", "let tiles overlap more")
    assert measures(RANDOM, "position")[0] == "pad windows by 32 px of their mean colour"
    assert "--cropdet-try-mitigations" in str(advise(causes(cut=0.1), RANDOM))


def tried(chosen):
    rows = [
        MitigationTrial(
            Mitigation("mean", margin=16), Bounded(0.01, -0.01, 0.03), 1.0, False, Bounded(0.02, 0.0, 0.04)
        ),
        MitigationTrial(
            Mitigation("wider", margin=64), Bounded(0.04, 0.02, 0.06), 1.0, chosen, Bounded(0.09, 0.06, 0.1)
        ),
    ]
    return Trials(tuple(rows), (40, 41))


def test_measures_that_were_tried_stand_in_for_those_that_were_not():
    advice = advise(causes(context=0.1), RANDOM, tried(chosen=True))
    assert advice.measures == ("widen windows by 64 px",)
    assert "chosen on 40 images and measured on 41 others" in str(advice)
    assert "  * widen windows by 64 px: recovers 0.040 [0.020, 0.060], 1.0 detector calls per crop" in str(advice)
    assert advice.headline.startswith(
        "train with Context, Matched (code: run.advice, report); without training: widen windows by 64 px"
    )
    none = advise(causes(context=0.1), RANDOM, tried(chosen=False))
    assert none.measures == ()
    assert "none of them recovered anything for sure" in str(none)
    assert "at inference" not in none.headline


def test_the_dictionary_is_built_in_values():
    advice = advise(causes(context=0.1), RANDOM, tried(chosen=True))
    told = advice.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["mitigations"][1] == {
        "name": "wider",
        "parameters": {"margin": 64},
        "ap_won_back": {"value": 0.04, "low": 0.02, "high": 0.06},
        "calls_a_crop": 1.0,
        "chosen": True,
    }
    assert advise(causes(), RANDOM).to_dict()["mitigations"] is None


# Of a run


@pytest.fixture(scope="module")
def failed():
    return run(Built(rings=SIDES), scenes(60), crops="random:keep=0.4-0.8,per_image=2", max_drop=0.05, replicates=200)


def test_a_gate_that_fails_says_what_to_do_in_one_line_and_in_its_json(failed):
    with pytest.raises(GateFailure) as failure:
        failed.check()
    (line,) = [line for line in str(failure.value).splitlines() if "advice" in line]
    start = "what to try: train with Context, Matched (code: run.advice, report); without training: widen windows by"
    assert line.strip().startswith(start)
    told = run_record(failed)["advice"]
    assert (told["step"], told["mitigations"]) == ("context", None)
    assert told == failed.advice.to_dict()


def test_advice_on_a_gate_that_passes_is_there_when_it_is_asked_for_and_nothing_before():
    passed = run(Built(), scenes(60), crops="random:keep=0.6,per_image=1", max_drop=0.9, replicates=200)
    verdict = passed.judge()[0]
    assert run_record(passed)["advice"] is None
    assert passed.advice.step is None
    assert "advice" not in passed.explain(verdict)


def test_a_run_that_cannot_be_explained_has_no_advice(failed):
    broken = replace(failed, name="broken", explanation=type(failed.explanation)())
    broken.explanation.error = "out of memory"
    with pytest.raises(CropdetError, match="cannot be explained: out of memory"):
        _ = broken.advice
