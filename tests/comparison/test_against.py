"""A new detector against an old one: exact numbers, bounds against a bootstrap made anew, what prevents a verdict."""

from dataclasses import replace

import numpy as np
import pytest

from pytest_cropdet.causes.chain import steps_grown
from pytest_cropdet.comparison.mismatch import common_images
from pytest_cropdet.comparison.paired_measures import compare_runs
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.evaluation import GateFailure, average_precision
from pytest_cropdet.gate.match_records import match_record
from pytest_cropdet.geometry.crop import Crop
from tests.support import Data, Fake, blind, is_whole, loses_cut, made, opinions, perfect, same, shown_in, small_run

DATA = made()
OPINIONS = opinions(DATA)
WORSE = opinions(DATA, seed=1, missing=0.5)


@pytest.fixture(scope="module")
def robust():
    """A run of a detector that sees in a crop what it sees in the whole image."""
    return small_run(same(OPINIONS), DATA)


@pytest.fixture(scope="module")
def cut():
    """A run of one that sees the same in whole images, and misses in crops what is cut."""
    return small_run(loses_cut(OPINIONS), DATA)


@pytest.fixture(scope="module")
def weak():
    """A run of one that misses half of the objects everywhere."""
    return small_run(same(WORSE), DATA)


class TestNumbers:
    def test_a_model_against_itself_has_changed_by_exactly_nothing(self, robust, cut):
        for run in (robust, cut):
            found = run.against(run)
            for measure in (found.worse, found.drop_worse, found.crop_ap, found.whole_ap, found.lost_worse):
                assert (measure.value, measure.low, measure.high) == (0.0, 0.0, 0.0)
            assert found.change == "same"
            assert found.worse <= 0.0
            assert found.drop_worse <= 0.0

    def test_values_are_differences_of_the_two_runs(self, robust, cut):
        found = cut.against(robust)
        assert found.worse.value == pytest.approx(robust.ap["crop"] - cut.ap["crop"], abs=1e-12)
        assert found.whole_ap.value == pytest.approx(cut.ap["reference"] - robust.ap["reference"], abs=1e-12)
        assert found.drop_worse.value == pytest.approx(cut.drop.value - robust.drop.value, abs=1e-12)
        assert found.lost_worse.value == pytest.approx(cut.lost.value - robust.lost.value, abs=1e-12)
        for name, change in found.by_category.items():
            ours, theirs = (next(each for each in run.categories if each.name == name) for run in (cut, robust))
            assert change.worse.value == pytest.approx(theirs.crop - ours.crop, abs=1e-12)
            assert change.drop_worse.value == pytest.approx(ours.drop - theirs.drop, abs=1e-12)
            assert change.whole_ap.value == pytest.approx(ours.reference - theirs.reference, abs=1e-12)
            at = cut.objects.truth.category == ours.id
            lost = [(run.scored.point.lost & at).sum() for run in (cut, robust)]
            counted = (cut.scored.counted & at).sum()
            assert change.lost_worse.value == pytest.approx((lost[0] - lost[1]) / counted)
            assert change.lost_worse.value > 0 == change.newly_found.value

    def test_the_mirror_has_the_mirrored_numbers(self, robust, weak):
        there, back = weak.against(robust), robust.against(weak)
        assert there.worse.value == -back.worse.value
        assert (there.worse.low, there.worse.high) == pytest.approx((-back.worse.high, -back.worse.low), abs=1e-12)
        assert there.newly_missed.over.tolist() == back.newly_found.over.tolist()
        assert there.newly_missed.value > 0.1

    def test_bounds_are_those_of_a_bootstrap_made_with_weights(self, cut, weak):
        settings = replace(cut.settings, replicates=100)
        found = compare_runs(match_record(weak), match_record(cut), settings)
        unit, units = cut.objects.index.unit, cut.images
        generator = np.random.Generator(np.random.PCG64(settings.seed))
        kept = [category.in_mean for category in cut.categories]
        worse, drops = [], []
        for _ in range(100):
            weights = np.bincount(generator.integers(units, size=units), minlength=units)[unit]
            ap = {
                (name, side): average_precision(run.matches[side], weights).mean(categories=kept)
                for name, run in (("new", weak), ("old", cut))
                for side in ("reference", "crop")
            }
            worse.append(ap["old", "crop"] - ap["new", "crop"])
            drops.append(ap["new", "reference"] - ap["new", "crop"] - ap["old", "reference"] + ap["old", "crop"])
        for measure, values in ((found.worse, worse), (found.drop_worse, drops)):
            assert measure.low == pytest.approx(-np.quantile(-np.array(values), 0.95), abs=1e-12)
            assert measure.high == pytest.approx(np.quantile(values, 0.95), abs=1e-12)

    def test_what_both_share_cancels(self, robust, cut):
        alone = robust.crop_ap.high - robust.crop_ap.low
        barely = small_run(Fake(_one_less), DATA)
        paired = barely.against(robust).worse
        assert paired.high - paired.low < alone / 2

    def test_flips_between_the_models_are_counted_object_by_object(self, robust, weak):
        found = weak.against(robust)
        both = [run.scored.point.found["crop"] for run in (robust, weak)]
        assert found.newly_missed.over.sum() == (both[0] & ~both[1]).sum() > 0
        assert found.newly_found.over.sum() == (both[1] & ~both[0]).sum() > 0
        assert found.newly_missed.value == pytest.approx((both[0] & ~both[1]).sum() / robust.scored_objects)

    def test_another_metric_is_compared_by_itself(self):
        loose = opinions(DATA, loose=0.15)
        values = {}
        for metric in ("mAP", "AP75"):
            new, old = (small_run(same(each), DATA, metric=metric) for each in (loose, OPINIONS))
            found = new.against(old)
            assert found.worse.unit == metric
            assert found.worse.value == pytest.approx(old.metric_values["crop"] - new.metric_values["crop"], abs=1e-12)
            values[metric] = found.worse.value
        assert values["AP75"] != values["mAP"]


def _one_less(number: int, crop: Crop) -> Detections:
    seen = shown_in(OPINIONS[number], crop)
    return seen.take(np.arange(1, len(seen))) if number % 20 == 0 else seen


class TestWhatHappened:
    def test_less_robust(self, robust, cut):
        assert cut.against(robust).change == "less robust"

    def test_worse_everywhere(self, robust, weak):
        assert weak.against(robust).change == "worse everywhere"

    def test_better(self, robust, cut):
        assert robust.against(cut).change == "better"

    def test_cannot_tell(self, robust):
        barely = small_run(Fake(_one_less), DATA)
        found = barely.against(robust)
        assert found.change == "cannot tell"
        assert "no difference" in found.text

    def test_worse_everywhere_and_on_crops_even_more(self, robust):
        both = small_run(loses_cut(WORSE), DATA)
        found = both.against(robust)
        assert found.change == "worse everywhere"
        assert found.text.endswith("on crops even more")

    def test_the_failure_says_both_models_side_by_side(self, robust, weak):
        with pytest.raises(GateFailure) as failure:
            assert weak.against(robust).worse <= 0.01
        text = str(failure.value)
        assert text.splitlines()[0].endswith("the limit is 0.010")
        assert "the model got worse everywhere" in text
        assert f"{robust.ap['crop']:.3f} -> {weak.ap['crop']:.3f}" in text
        assert "found by the old model alone" in text
        assert "worse on crops:" in text


class TestVerdicts:
    def test_limits_of_the_settings_are_judged(self):
        found = small_run(
            loses_cut(OPINIONS, 0.8),
            DATA,
            against=same(OPINIONS),
            max_worse=0.01,
            max_drop_worse=0.4,
            worse_by_category={"cat": 0.4},
            drop_worse_by_category={"dog": 0.001},
        )
        verdicts = {each.measure.name: each.outcome for each in found.judge()}
        assert verdicts == {"worse": "fail", "drop_worse": "pass", "worse of cat": "pass", "drop_worse of dog": "fail"}
        with pytest.raises(GateFailure, match="AP on crops fell by"):
            found.check()

    def test_both_models_are_explained_where_a_change_does_not_pass(self):
        old = Fake(lambda number, crop: shown_in(OPINIONS[number], crop))
        found = small_run(loses_cut(OPINIONS), DATA, against=old, max_worse=0.01)
        grown = found.grown_steps
        assert [step.name for step in grown] == ["context", "cut", "position", "scale"]
        steps = zip(grown, found.causes.chain.steps, found.old_explanation.causes.chain.steps, strict=True)
        for step, ours, theirs in steps:
            assert step.value == pytest.approx(ours.value - theirs.value, abs=1e-12)
        total = sum(step.value for step in grown)
        assert total == pytest.approx(found.comparison.drop_worse.value, abs=1e-12)
        assert "what grew" in found.explain(found.judge()[0]) or "no single cause" in found.explain(found.judge()[0])
        same_chain = found.causes.chain
        assert {(step.value, step.distinguishable) for step in steps_grown(same_chain, same_chain, 0.95)} == {
            (0, False)
        }

    def test_nothing_is_explained_where_all_passes(self):
        old = Fake(lambda number, crop: shown_in(OPINIONS[number], crop))
        found = small_run(same(OPINIONS), DATA, against=old, max_worse=0.01)
        assert len(old.shown) == 60 + 120 + len(DATA[:8])  # whole, crops, and a batch again: is it deterministic?
        assert found.grown_steps == ()

    def test_too_few_images_decide_nothing(self, robust, weak):
        few = made(images=12)
        found = small_run(same(opinions(few, missing=0.9)), few, against=perfect(few), max_worse=0.01)
        verdict = found.judge()[0]
        assert (verdict.outcome, verdict.reason) == ("undecided", "images")

    def test_a_new_model_that_finds_nothing_does_not_pass_for_dropping_less(self, cut):
        nothing = small_run(blind(), DATA)
        verdict = nothing.against(cut).drop_worse.judge(0.01)
        assert (verdict.outcome, verdict.reason) == ("undecided", "blind")
        assert nothing.against(cut).worse.judge(0.01).outcome == "fail"

    def test_an_old_model_that_finds_nothing_shows_nothing(self, robust):
        verdict = robust.against(small_run(blind(), DATA)).worse.judge(0.01)
        assert (verdict.outcome, verdict.reason) == ("undecided", "blind")
        assert "in the same crops" in verdict.doubt

    def test_an_old_model_that_is_not_deterministic_counts(self, robust):
        flips = iter(range(10**6))

        def moody(number, crop):
            seen = shown_in(OPINIONS[number], crop)
            return seen.take(np.flatnonzero(np.arange(len(seen)) != next(flips) % 7))

        old = small_run(Fake(moody), DATA)
        assert not old.repeat.same
        verdict = robust.against(old).worse.judge(0.001)
        assert (verdict.outcome, verdict.reason) == ("undecided", "spread")

    @pytest.mark.parametrize("side", ["new", "old"])
    def test_a_limit_on_boxes_keeps_a_drop_from_passing(self, side):
        def three(number, crop):
            seen = shown_in(OPINIONS[number], crop)
            return replace(seen.take(np.arange(min(2, len(seen)))), capped=is_whole(crop))

        capped, free = small_run(Fake(three), DATA), small_run(same(OPINIONS), DATA)
        found = capped.against(free) if side == "new" else free.against(capped)
        verdict = found.drop_worse.judge(0.3)
        assert (verdict.outcome, verdict.reason) == ("undecided", "cap")
        assert ("the old model" in verdict.doubt) == (side == "old")
        accepted = replace(free.settings, cap="accept")
        assert compare_runs(found.new, found.old, accepted).drop_worse.judge(0.3).outcome == "pass"


class TestWhatCannotBePaired:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"crops": "random:keep=0.7,per_image=2"}, "keep=0.7"),
            ({"seed": 5}, "seed 5"),
            ({"min_visibility": 0.8}, "min_visibility is 0.5 here and 0.8 there"),
            ({"max_detections": 50}, "max_detections is 100 here and 50 there"),
            ({"categories": ("dog",)}, "--cropdet-categories=dog"),
            ({"sample_images": 55}, "5 images are only here"),
        ],
    )
    def test_the_difference_is_named(self, robust, changes, said):
        with pytest.raises(SpecError, match="cannot be paired") as error:
            robust.against(small_run(same(OPINIONS), DATA, **changes))
        assert said in str(error.value)
        fix = (
            "The 55 images that both have"
            if "sample_images" in changes
            else "use the settings of the old model Fake, or"
        )
        assert fix in str(error.value)

    def test_another_truth_of_one_image_is_named(self, robust):
        other = made()
        fewer = other[3].truth.take(np.arange(1, len(other[3].truth)))
        other.samples[3] = replace(other[3], truth=fewer)
        with pytest.raises(SpecError, match=f"1 images have other objects or windows .*{other[3].id}"):
            robust.against(small_run(same(OPINIONS), other))

    def test_other_pixels_under_one_name_are_named_and_unread_files_are_not_known_to_differ(self, robust):
        record = match_record(robust)
        first, *rest = record.digests
        new, old, unread = (replace(record, digests=((first[0], each), *rest)) for each in ("one", "other", ""))
        with pytest.raises(SpecError, match=f"1 images have other pixels .*{record.images[0]}"):
            compare_runs(new, old, robust.settings)
        assert common_images(new, old) == record.images[1:]
        assert common_images(new, unread) == record.images

    def test_the_same_images_in_another_order_are_the_same(self, weak, robust):
        order = np.random.default_rng(0).permutation(60)
        record = match_record(weak)
        mixed = record.of_images(tuple(record.images[each] for each in order))
        assert mixed.images != record.images
        straight, turned = (compare_runs(match_record(robust), old, robust.settings) for old in (record, mixed))
        assert straight.to_dict() == turned.to_dict()
        assert turned.newly_found.over.any()

    def test_images_in_common_give_the_numbers_of_a_run_on_them(self, robust, weak):
        some = small_run(same(OPINIONS), DATA, sample_images=55)
        new, old = match_record(some), match_record(weak)
        shared = common_images(new, old)
        assert len(shared) == 55
        found = compare_runs(new, old.of_images(shared), some.settings)
        alone = small_run(same(WORSE), DATA, sample_images=55)
        assert found.worse.value == pytest.approx(alone.ap["crop"] - some.ap["crop"], abs=1e-12)
        assert found.to_dict()["ap"] == some.against(alone).to_dict()["ap"]

    def test_an_old_model_whose_names_cannot_be_paired_is_named(self):
        foreign = same(OPINIONS)
        foreign.categories = {1: "nut", 2: "bolt"}
        with pytest.raises(DetectorError, match=r"^the old model Fake: the detector does not know 'cat', "):
            small_run(same(OPINIONS), DATA, against=foreign)

    def test_limits_on_changes_need_an_old_model(self):
        with pytest.raises(SpecError, match="--cropdet-against"):
            small_run(same(OPINIONS), DATA, max_worse=0.01)

    def test_early_looks_and_an_old_model_exclude_each_other(self):
        with pytest.raises(SpecError, match="looks=auto"):
            small_run(same(OPINIONS), DATA, max_drop=0.1, looks="auto", against=same(OPINIONS))

    def test_a_limit_on_a_category_without_objects_is_named(self):
        named = Data(DATA.samples, {**DATA.categories, 99: "yak"})
        with pytest.raises(SpecError, match="yak, of which no crop"):
            small_run(same(OPINIONS), named, against=same(OPINIONS), worse_by_category={"yak": 0.1}).judge()
