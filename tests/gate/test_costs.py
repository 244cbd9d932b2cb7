"""What a run costs is counted before it is started: by part, and up to a verdict."""

import math
import time
from dataclasses import fields, replace

import numpy as np
import pytest

from pytest_cropdet.crops.plan import choose_samples
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate import Assumptions, Cost, costs
from pytest_cropdet.gate.dry_runs import dry_run, try_detector
from pytest_cropdet.settings import RunSettings
from tests.support import made, opinions, same, small_run

DATA = made(70)
CROPS = "random:keep=0.6,per_image=2"
LARGE = Cost(images=10_000_000, crops=40_000_000, call_seconds=0.005, calls_at_once=8)


class TestParts:
    def test_the_detector_is_pictures_times_calls_over_calls_at_once(self):
        assert LARGE.parts()["detector"] == pytest.approx(50_000_000 * 0.005 / 8)
        assert replace(LARGE, calls_at_once=1).parts()["detector"] == pytest.approx(50_000_000 * 0.005)

    def test_each_part_grows_with_what_it_is_of(self):
        one = Cost(images=100, crops=200, call_seconds=0.01)
        parts = one.parts()
        assert list(parts) == ["detector", "decoding", "scoring", "resampling"]
        assert one.seconds == pytest.approx(sum(parts.values()))
        twice = one.of_images(200).parts()
        assert all(twice[name] == pytest.approx(2 * parts[name]) for name in parts)
        more = replace(one, replicates=4000).parts()
        assert more["resampling"] == pytest.approx(4 * parts["resampling"])
        assert more["scoring"] == parts["scoring"]
        larger = replace(one, megapixels=8.0).parts()
        assert larger["decoding"] > 3 * parts["decoding"]
        busy = replace(one, calls_at_once=4).parts()  # threads decode, one scores
        assert busy["decoding"] == pytest.approx(parts["decoding"] / 4)
        assert (busy["scoring"], busy["resampling"]) == (parts["scoring"], parts["resampling"])

    def test_a_detector_of_unknown_speed_has_no_part(self):
        unknown = replace(LARGE, call_seconds=None)
        assert "detector" not in unknown.parts()
        assert "--cropdet-assume=ms=30" in unknown.lines()[0]
        assert "beside the detector" in unknown.lines()[0]
        assert len(unknown.lines()) == 3

    def test_rates_are_measured_and_say_when(self):
        rates = {each.name: getattr(costs.RATES, each.name) for each in fields(costs.RATES)}
        assert all(1e-6 < value < 0.1 for value in rates.values()), rates
        assert "benchmarks/costs.py" in costs.MEASURED

    @pytest.mark.slow
    def test_a_run_takes_no_more_than_a_few_times_what_is_counted(self):
        """Busy machines and other processors are slower; a factor of ten would be a mistake."""
        found = small_run(same(opinions(DATA)), DATA, CROPS, explain="off")
        counted = dry_run(DATA, RunSettings(CROPS), assumed=Assumptions()).cost
        assert counted.parts()["scoring"] + counted.parts()["resampling"] < 10 * found.spent.total_seconds


class TestVerdict:
    def test_a_bound_shrinks_with_the_root_of_the_images(self):
        """At sd 0.2 / sqrt(n), 10,000 images give +-0.003."""
        assert 1.645 * 0.2 / math.sqrt(10_000) == pytest.approx(0.003, abs=0.0003)
        assert LARGE.images_for(0.0033, spread=0.2) == pytest.approx(10_000, rel=0.01)
        assert LARGE.images_for(0.0033 / 2, spread=0.2) == pytest.approx(40_000, rel=0.01)

    def test_so_many_images_decide_in_four_of_five_runs(self):
        """Drawn, not worked out: the bound of a normal drop, at the assumed distance from the limit."""
        spread, rng = 0.2, np.random.default_rng(1)
        images = LARGE.images_to_decide(spread)
        error = spread / math.sqrt(images)
        drops = 0.03 + error * rng.standard_normal(200_000)  # and a limit of 0.05
        assert np.mean(drops + 1.645 * error <= 0.05) == pytest.approx(0.8, abs=0.005)

    def test_it_is_never_fewer_than_a_gate_needs(self):
        assert replace(LARGE, distance=0.5).images_to_decide(0.14) == 50
        assert replace(LARGE, distance=0.5, least_images=30).images_to_decide(0.14) == 30

    def test_a_sample_is_advised_where_it_is_enough(self):
        few, many = (LARGE.images_to_decide(spread) for spread in costs.SPREAD)
        text = "\n".join(LARGE.lines())
        assert f"with {few:,} to {many:,} images" in text
        assert "there are 10,000,000" in text
        assert "a sample is enough for that: --cropdet-sample-images=3500" in text
        assert "a sample" not in "\n".join(LARGE.of_images(2 * many - 1).lines())
        assert "a sample" in "\n".join(LARGE.of_images(2 * many).lines())


class TestLines:
    def test_where_the_time_and_the_money_goes(self):
        known = Cost(images=1000, crops=2000, call_seconds=1.2, price=2.5)
        line = known.lines()[0]
        assert line.startswith("time, about 60 min, 2.50 at 2.5 per hour: detector 60 min (100%), decoding ")
        assert "calls at once" not in line
        assert "8 calls at once" in LARGE.lines()[0]

    def test_explaining_is_named_where_it_may_happen(self):
        told = "\n".join(replace(LARGE, explains=True).lines())
        assert "up to 160,000,000 more calls, 27.8 h; --cropdet-explain=off" in told
        assert "explain" not in "\n".join(LARGE.lines())

    def test_a_run_explains_with_no_more_calls_than_are_named(self):
        found = small_run(same(opinions(DATA)), DATA, CROPS, explain="always")
        gate = small_run(same(opinions(DATA)), DATA, CROPS, explain="off").spent.model_calls
        assert 0 < found.spent.model_calls - gate <= costs.EXPLAINING * found.crops


class TestDryRun:
    def test_it_counts_the_run_at_hand(self):
        told = dry_run(DATA, RunSettings(CROPS, replicates=300, explain="off", min_images=20), assumed=Assumptions())
        samples = choose_samples(DATA, None, 0)
        assert (told.cost.images, told.cost.crops) == (70, 140)
        assert told.cost.megapixels == pytest.approx(samples[0].width * samples[0].height / 1e6)
        assert (told.cost.replicates, told.cost.least_images, told.cost.explains) == (300, 20, False)
        assert told.cost.call_seconds is None
        assert all(f"  {line}" in told.lines() for line in told.cost.lines())

    def test_a_tried_detector_gives_its_own_time_unless_another_is_assumed(self):
        detector = same(opinions(DATA))
        tried = dry_run(DATA, RunSettings(CROPS), detector, assumed=Assumptions())
        assert tried.cost.call_seconds == pytest.approx(tried.seconds / tried.calls)
        assumed = dry_run(DATA, RunSettings(CROPS), detector, assumed=Assumptions.of(["ms=30", "calls=3"]))
        assert (assumed.cost.call_seconds, assumed.cost.calls_at_once) == (0.03, 3)

    def test_more_images_are_assumed_with_as_many_crops_each(self):
        told = dry_run(DATA, RunSettings(CROPS), assumed=Assumptions(images=10_000_000, ms=5.0, distance=0.01, price=2))
        assert (told.cost.images, told.cost.crops) == (10_000_000, 20_000_000)
        assert (told.cost.distance, told.cost.price) == (0.01, 2)
        assert told.images == 70
        assert "there are 10,000,000" in "\n".join(told.lines())

    def test_a_slow_first_call_is_not_taken_for_the_detectors_speed(self):
        detector, calls = same(opinions(DATA)), []

        def slow_at_first(images):
            calls.append(len(images))
            time.sleep(0.3 if len(calls) == 1 else 0.0)
            return [detector(images)[0]]

        assert try_detector(slow_at_first, list(DATA)).seconds < 0.1
        assert calls == [1, 1, 1]

    def test_without_assumptions_the_cost_is_left_out(self):
        assert dry_run(DATA, RunSettings(CROPS)).cost is None
        assert not any(line.strip().startswith("time") for line in dry_run(DATA, RunSettings(CROPS)).lines())


class TestAssumptions:
    def test_what_is_said_is_assumed(self):
        assert Assumptions.of([]) == Assumptions(distance=0.02)
        assert Assumptions.of(["calls=4", "distance=0.01", "price=1.5"]) == Assumptions(
            calls=4, distance=0.01, price=1.5
        )

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            ("30", "write KEY=NUMBER; the keys are images, ms, calls, distance, price"),
            ("speed=3", "the keys are images, ms, calls, distance, price"),
            ("ms=fast", "ms must be a number above 0"),
            ("ms=0", "ms must be a number above 0"),
            ("ms=nan", "ms must be a number above 0"),
            ("ms=inf", "ms must be a number above 0"),
            ("images=1.5", "images must be a whole number above 0"),
            ("calls=-1", "calls must be a whole number above 0"),
            ("distance=5", "a distance is mAP, 0 to 1"),
        ],
    )
    def test_what_cannot_be_is_refused(self, value, told):
        with pytest.raises(SpecError, match="cropdet_assume") as error:
            Assumptions.of([value])
        assert value in str(error.value)
        assert told in str(error.value)
