"""A detector that does not answer the same twice is noticed, and what that means for the drop is measured."""

import numpy as np
import pytest

from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.detectors import as_detector
from pytest_cropdet.gate.repeatability import differ
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import run
from pytest_cropdet.geometry.crop import Crop
from tests.support import Data, Fake, is_whole, made, opinions, same, shown_in, small_run

DATA = made(80)
SHARP = [Detections(each.truth.boxes, np.full(len(each.truth), 0.9), each.truth.categories) for each in DATA]
OPINIONS = opinions(DATA)


def shaky(amount: float, seed: int = 0, batch: int = 8) -> Fake:
    """A detector whose scores waver a little more with each call."""
    rng = np.random.default_rng(seed)

    def answer(number: int, crop: Crop) -> Detections:
        found = shown_in(OPINIONS[number], crop)
        scores = np.clip(found.scores + rng.normal(0, amount, len(found)), 0, 1)
        return Detections(found.boxes, scores, found.categories)

    return Fake(answer, batch)


def forgetful(share: int = 2, from_picture: int = 0) -> Fake:
    """A detector that, shown a whole picture again, sees nothing in one of ``share`` of them."""
    seen: set[int] = set()

    def answer(number: int, crop: Crop) -> Detections:
        again = is_whole(crop) and number in seen
        if is_whole(crop):
            seen.add(number)
        forgotten = again and number % share == 0 and number >= from_picture
        return Detections.empty() if forgotten else shown_in(SHARP[number], crop)

    return Fake(answer)


def wholes(detector: Fake) -> list[int]:
    return [number for number, crop in detector.shown if is_whole(crop)]


def test_a_detector_that_repeats_itself_is_sent_only_its_first_batch_twice():
    detector = same(OPINIONS)
    found = small_run(detector, DATA)
    assert (found.repeat.same, found.repeat.spread, found.repeat.images) == (True, None, 8)
    assert sorted(wholes(detector)) == sorted([*range(80), *range(8)])
    assert len(detector.shown) == 80 + 160 + 8
    assert found.drop <= 0.0


def test_a_noisy_detector_is_noticed_and_fifty_pictures_are_sent_again():
    detector = shaky(0.05)
    found = small_run(detector, DATA)
    assert not found.repeat.same
    assert found.repeat.images == 56  # seven batches of eight
    assert len(wholes(detector)) == 80 + 56
    assert 0.0 < found.repeat.spread < 0.2


def test_the_repeated_pictures_are_no_calls_of_the_run():
    assert small_run(shaky(0.05), DATA).spent.model_calls == small_run(same(OPINIONS), DATA).spent.model_calls


def test_more_noise_is_more_spread():
    spreads = [small_run(shaky(amount), DATA).repeat.spread for amount in (0.001, 0.02, 0.3)]
    assert spreads[0] < spreads[1] < spreads[2]


def test_the_spread_is_in_units_of_the_drop():
    """The second pass misses half of the objects: 51 of 101 recall points, so about 0.5, and its bound lies above."""
    found = small_run(forgetful(), DATA, replicates=1000)
    assert found.drop.value == pytest.approx(0.0, abs=1e-12)
    assert found.repeat.spread == pytest.approx(50 / 101 + 1.645 * 0.5 / 56**0.5, abs=0.03)


def test_a_limit_below_the_spread_is_refused_and_says_why():
    found = small_run(forgetful(8), DATA)
    spread = found.repeat.spread
    assert 0.05 < spread < 0.3
    verdict = found.drop.judge(spread - 0.01)
    assert (verdict.outcome, verdict.passes, verdict.reason) == ("undecided", False, "spread")
    assert "not deterministic" in verdict.doubt
    assert f"{spread:.3f}" in verdict.doubt
    assert found.drop <= spread + 0.01
    assert found.by_category["cat"].judge(spread - 0.01).reason == "spread"


@pytest.mark.parametrize("policy", ["fail", "pass", "point"])
def test_no_policy_answers_it(policy):
    assert not small_run(forgetful(8), DATA, undecided=policy).drop.judge(0.01).passes


def test_it_is_in_the_record():
    told = run_record(small_run(forgetful(8), DATA))["deterministic"]
    assert told["same"] is False
    assert told["spread"] > 0
    assert told["images"] == 56
    assert run_record(small_run(same(OPINIONS), DATA))["deterministic"] == {"same": True, "spread": None, "images": 8}


class TestDiffer:
    ONE = Detections([[0, 0, 9, 9], [5, 5, 20, 20]], [0.5, 0.25], [3, 7])

    def test_equal_answers_do_not_differ(self):
        assert not differ([self.ONE], [self.ONE.take(np.array([0, 1]))])
        assert not differ([Detections.empty()], [Detections.empty()])

    @pytest.mark.parametrize(
        "other",
        [
            Detections([[0, 0, 9, np.nextafter(9, 10)], [5, 5, 20, 20]], [0.5, 0.25], [3, 7]),
            Detections([[0, 0, 9, 9], [5, 5, 20, 20]], [0.5, np.nextafter(0.25, 1)], [3, 7]),
            Detections([[0, 0, 9, 9], [5, 5, 20, 20]], [0.5, 0.25], [3, 8]),
            ONE.take(np.array([1, 0])),
            ONE.take(np.array([0])),
            Detections.empty(),
        ],
        ids=["box", "score", "category", "order", "fewer", "none"],
    )
    def test_a_last_bit_is_a_difference(self, other):
        assert differ([self.ONE], [other])
        assert differ([self.ONE, self.ONE], [self.ONE, other])


def test_noise_that_cannot_be_measured_lets_nothing_pass():
    """The pictures that are sent again hold no object, so the spread is unknown: no limit is above it."""
    empty = GroundTruth.empty()
    first = [type(each)(each.id, each.width, each.height, empty, each.read) for each in list(DATA)[:60]]
    data = Data([*first, *list(made(130))[60:]])
    rng = np.random.default_rng(0)
    found = [Detections(e.truth.boxes, np.full(len(e.truth), 0.9), e.truth.categories) for e in data]

    def answer(number: int, crop: Crop) -> Detections:
        ghost = Detections([[1.0, 1.0, 9.0, 9.0]], [0.01 + 0.01 * rng.random()], [3])
        return ghost if number < 60 else shown_in(found[number], crop)

    result = small_run(Fake(answer), data)
    assert (result.repeat.same, result.repeat.spread) == (False, None)
    assert result.drop.judge(0.9).reason == "spread"


def stored(detector: Fake, folder, batch: int = 1, **settings):
    """A run that stores what is detected; what the detector was shown by it."""
    before = len(detector.shown)
    given = as_detector(detector, batch=batch, fingerprint="1", categories=DATA.categories)
    found = run(
        given, DATA, crops="tile:size=60", cache=folder, replicates=100, explain="off", max_drop=0.9, **settings
    )
    return found.repeat, detector.shown[before:]


@pytest.mark.parametrize(
    "settings", [{"looks": "auto"}, {"sample_images": 60, "seed": 3}, {"seed": 5, "looks": "often"}]
)
def test_other_samples_and_looks_need_no_detector_where_all_is_stored(tmp_path, settings):
    detector = same(OPINIONS)
    repeat, shown = stored(detector, tmp_path)
    assert (repeat.same, repeat.images) == (True, 1)
    assert len(shown) > 80
    assert stored(detector, tmp_path, **settings) == (repeat, [])


def test_what_was_not_repeated_or_in_batches_of_another_size_says_nothing_of_other_batches(tmp_path):
    """Nor anything where the detector is called, as it is where not all that is needed is stored."""
    unsteady = shaky(0.05, batch=1)
    assert not stored(unsteady, tmp_path)[0].same
    repeat, shown = stored(unsteady, tmp_path, looks="auto")
    assert not repeat.same
    assert len(shown) >= 50
    steady = same(OPINIONS)
    stored(steady, tmp_path / "steady", sample_images=3, batch=8)  # a single batch of three
    repeat, _ = stored(steady, tmp_path / "steady", batch=8)
    assert repeat.images == 8
    more = made(90)
    fake = same(opinions(more))
    known = as_detector(fake, batch=1, fingerprint="2", categories=more.categories)
    told = {"crops": "tile:size=60", "cache": tmp_path / "more", "replicates": 100, "explain": "off"}
    run(known, Data(list(more)[:80], more.categories), **told)
    before = len(fake.shown)
    found = run(known, Data(list(more)[80:], more.categories), min_images=1, **told)
    assert len(fake.shown) - before == found.spent.model_calls + 1 == 10 + found.crops + 1
