"""``run`` takes windows in whatever form a caller has them, and all forms of the same windows give the same run."""

import re

import pytest
from hypothesis import strategies as st

from pytest_cropdet import Crop, make_plan
from pytest_cropdet.crops import parse_spec
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import run
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.strategies import crops as crops_within
from tests.support import HEIGHT, WIDTH, loses_cut, made, opinions, small_run

DATA = made(8)
DETECTOR = loses_cut(opinions(DATA))
SPEC = "random:keep=0.3-0.9,per_image=2"
PLAN = make_plan(DATA, SPEC, seed=0)
WINDOWS = dict(PLAN.windows)


def ran(crops, **more):
    return run(DETECTOR, DATA, crops=crops, explain="off", replicates=100, **more)


def windows_of(found):
    return {name: tuple(crops) for name, crops in found.plan.windows.items()}


@pytest.fixture(scope="module")
def by_spec():
    return ran(SPEC)


class TestTheSameWindows:
    @pytest.mark.parametrize(
        "crops",
        [
            parse_spec(SPEC)[0],
            [parse_spec(SPEC)[0]],
            PLAN,
            WINDOWS,
            {name: list(each) for name, each in WINDOWS.items()},
            lambda sample: WINDOWS[sample.id],
        ],
        ids=["family", "families", "plan", "mapping", "lists", "function"],
    )
    def test_in_any_form_give_the_same_run(self, crops, by_spec):
        found = ran(crops)
        assert windows_of(found) == WINDOWS
        assert (found.drop.value, found.drop.low, found.drop.high) == (
            by_spec.drop.value,
            by_spec.drop.low,
            by_spec.drop.high,
        )
        assert by_spec.drop.value > 0

    def test_several_specs_and_families_are_one_plan(self):
        found = ran(["tile:size=60", *parse_spec("edge:per_image=1")])
        assert windows_of(found) == dict(make_plan(DATA, "tile:size=60+edge:per_image=1").windows)

    @pytest.mark.parametrize(
        "spec",
        [
            SPEC,
            "random:keep=0.00001-0.5",
            "tile:size=0.5,overlap=0.2",
            "tile:size=64",
            "object",
            "edge",
            "shift:px=2-9",
        ],
    )
    def test_a_family_is_its_spec(self, spec):
        (family,) = parse_spec(spec)
        assert parse_spec(family.spec) == (family,)


class TestGivenWindows:
    def test_only_some_images_have_windows(self):
        found = ran({DATA[3].id: [Crop(0, 0, 60, 60)], DATA[5].id: [Crop(10, 0, 60, 60), Crop(0, 0, 50, 50)]})
        assert found.crops == 3

    def test_fewer_images_take_their_own_windows(self):
        found = ran(WINDOWS, sample_images=3)
        assert len(found.plan.windows) == 3
        assert all(WINDOWS[name] == each for name, each in windows_of(found).items())

    def test_other_windows_have_another_spec(self):
        one, other = ({DATA[0].id: [Crop(0, 0, side, side)]} for side in (60, 61))
        assert ran(one).plan.spec == ran(one).settings.crops
        assert ran(one).plan.spec != ran(other).plan.spec

    @pytest.mark.parametrize("crops", [WINDOWS, PLAN, st.just(Crop(3, 4, 50, 60))], ids=["mapping", "plan", "drawn"])
    def test_the_record_has_them_because_no_spec_makes_them_again(self, crops):
        found = ran(crops)
        rows = {name: [[c.left, c.top, c.width, c.height] for c in each] for name, each in found.plan.windows.items()}
        assert run_record(found)["windows"] == rows

    def test_the_record_of_a_spec_has_none(self, by_spec):
        assert run_record(by_spec)["windows"] is None

    def test_their_name_is_in_the_spec_and_in_the_repr(self):
        found = ran(WINDOWS, name="proposals")
        assert found.plan.spec.startswith("windows:name=proposals,hash=")
        assert "Run proposals:" in repr(found)


class TestStrategies:
    @pytest.mark.parametrize(
        "crops",
        [crops_within(WIDTH, HEIGHT), lambda sample: crops_within(sample.width, sample.height)],
        ids=["strategy", "function"],
    )
    def test_are_drawn_alike_each_time(self, crops):
        first, second = ran(crops, per_image=3), ran(crops, per_image=3)
        assert first.crops == 24
        assert windows_of(first) == windows_of(second)


class TestRefusals:
    @pytest.mark.parametrize(
        ("crops", "text"),
        [
            (3, "crops=3: a run takes a spec such as"),
            ([], "a run takes a spec"),
            ([Crop(0, 0, 9, 9)], "crops=lambda sample: [Crop(...)]"),
            ({"no.png": [Crop(0, 0, 9, 9)]}, "has no such image; keys are sample ids such as '000.png'"),
            ({"000.png": Crop(0, 0, 9, 9)}, "write a list of Crop"),
            ({"000.png": [(0, 0, 9, 9)]}, "write Crop(left, top, width, height)"),
            ({"000.png": [Crop(0, 0, WIDTH + 1, 9)]}, "is not inside 000.png, 120 x 90 px"),
            ({}, "no window in 8 images"),
            (lambda sample: [Crop(0, 0, 9, 9)] if sample.id == "000.png" else None, "returned None for 001.png"),
            (lambda sample: None, "returned None for 000.png"),
        ],
    )
    def test_say_what_is_wrong_and_what_to_write(self, crops, text):
        with pytest.raises(SpecError, match=re.escape(text)):
            ran(crops)

    @pytest.mark.parametrize(
        ("crops", "more"),
        [(SPEC, {"name": "x"}), (PLAN, {"per_image": 2}), (WINDOWS, {"per_image": 2}), (WINDOWS, {"name": "a b"})],
    )
    def test_arguments_of_another_kind(self, crops, more):
        with pytest.raises(SpecError, match=r"name=" if "name" in more else "per_image="):
            ran(crops, **more)

    def test_too_many_windows(self):
        with pytest.raises(SpecError, match="the limit is 3"):
            ran(WINDOWS, max_crops=3)

    def test_a_spec_as_the_third_argument(self):
        with pytest.raises(SpecError, match="write crops='tile'"):
            run(DETECTOR, DATA, "tile")

    def test_the_settings_may_have_the_spec(self):
        settings = RunSettings(crops=SPEC, explain="off", replicates=100)
        assert windows_of(run(DETECTOR, DATA, settings)) == WINDOWS


def test_a_failed_run_on_given_windows_has_advice_and_a_record():
    data = made(images=60)
    windows = {each.id: [Crop(0, 0, 100, 80)] for each in data}
    found = small_run(loses_cut(opinions(data)), data, windows, explain="always")
    assert found.advice.why_not is None
    assert found.to_dict()["advice"]["measures"] == list(found.advice.measures)
    assert "Matched" not in found.advice.code
