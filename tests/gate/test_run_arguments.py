"""The arguments of ``run`` in plain Python: each by its name and type, a cache, and lines of progress."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import get_type_hints

import pytest

from pytest_cropdet.data.samples import Sample
from pytest_cropdet.detectors import as_detector
from pytest_cropdet.errors import DataError, DetectorError
from pytest_cropdet.gate.runner import run
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.strategies import crops as crops_within
from tests.support import HEIGHT, WIDTH, Data, loses_cut, made, opinions

DATA = made(6)


def counted(fingerprint="v1"):
    """A detector, and the list that grows with each picture it is shown."""
    fake, shown = loses_cut(opinions(DATA)), []

    def detect(images):
        shown.extend(images)
        return fake(images)

    return as_detector(detect, batch=4, fingerprint=fingerprint, categories=DATA.categories), shown


def ran(detector, data=DATA, **more):
    return run(detector, data, replicates=100, **{"crops": "tile:size=60", "explain": "off", **more})


class TestSignature:
    def test_each_setting_is_an_argument_of_its_type(self):
        hints, settings = get_type_hints(run), get_type_hints(RunSettings)
        parameters = inspect.signature(run).parameters
        assert all(each.kind is not inspect.Parameter.VAR_KEYWORD for each in parameters.values())
        for each in fields(RunSettings):
            if each.name != "crops":
                wanted = str(settings[each.name]).replace("tuple[str, ...]", "collections.abc.Sequence[str]")
                assert str(hints[each.name]) == wanted, each.name

    def test_an_argument_wins_over_the_settings_and_the_others_stay(self):
        settings = RunSettings(crops="tile:size=60", explain="off", replicates=100, max_drop=0.4, min_ratio=0.2)
        found = run(loses_cut(opinions(DATA)), DATA, settings, max_drop=None, seed=3).settings
        assert (found.max_drop, found.min_ratio, found.seed, found.crops) == (None, 0.2, 3, "tile:size=60")

    def test_an_unknown_argument_is_refused_by_name(self):
        with pytest.raises(TypeError, match="max_dorp"):
            ran(loses_cut(opinions(DATA)), max_dorp=0.1)


class TestCache:
    def test_of_three_equal_runs_one_calls_the_detector(self, tmp_path):
        detector, shown = counted()
        first = ran(detector, cache=tmp_path)
        calls = len(shown)
        assert calls >= 6 + first.crops
        again = [ran(detector, cache=str(tmp_path)) for _ in range(2)]
        again.append(ran(counted()[0], cache=tmp_path))
        assert len(shown) == calls
        assert {(each.drop.value, each.drop.low, each.spent.model_calls) for each in again} == {
            (first.drop.value, first.drop.low, 0)
        }

    def test_is_off_without_a_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        detector, shown = counted()
        ran(detector)
        calls = len(shown)
        ran(detector)
        assert len(shown) == 2 * calls
        assert not list(tmp_path.iterdir())

    def test_other_pixels_of_the_same_name_are_detected_anew(self, tmp_path):
        detector, shown = counted()
        ran(detector, cache=tmp_path)
        calls = len(shown)

        def brighter(old):
            def read():
                pixels = old.image()
                pixels[-1, -1] = 255
                return pixels

            return Sample(old.id, old.width, old.height, old.truth, read)

        ran(detector, Data([brighter(DATA[0]), *DATA.samples[1:]]), cache=tmp_path)
        assert 0 < len(shown) - calls < calls

    def test_another_fingerprint_is_another_detector(self, tmp_path):
        ran(counted()[0], cache=tmp_path)
        detector, shown = counted("v2")
        ran(detector, cache=tmp_path)
        assert shown

    def test_a_detector_of_which_nothing_can_be_kept_is_refused(self, tmp_path):
        with pytest.raises(DetectorError, match=r"no fingerprint; write as_detector\(function, fingerprint='v1'\)"):
            ran(counted(None)[0], cache=tmp_path)

    def test_a_picture_that_cannot_be_read_is_named(self, tmp_path):
        def read():
            raise RuntimeError("gone")

        broken = Sample("broken.png", WIDTH, HEIGHT, DATA[0].truth, read)
        with pytest.raises(DataError, match=r"broken.png: RuntimeError: gone"):
            ran(counted()[0], Data([broken, *DATA.samples]), cache=tmp_path)

    def test_windows_of_a_named_strategy_are_kept(self, tmp_path):
        strategy = crops_within(WIDTH, HEIGHT)
        first = ran(counted()[0], crops=strategy, name="mine", per_image=2, cache=tmp_path)
        (kept,) = (tmp_path / "plans").glob("mine-*.json")
        assert first.plan.file == str(kept)
        assert ran(counted()[0], crops=strategy, per_image=2, cache=tmp_path).plan.file is None


class TestProgress:
    def test_each_batch_is_a_line(self):
        lines = []
        found = ran(counted()[0], progress=lines.append)
        calls = 6 + found.crops
        assert lines[0] == f"{found.crops} crops of 6 images, {calls} detector calls"
        assert lines[-1] == f"{calls} of {calls} detector calls, 0 s left"
        assert len(lines) > 3

    def test_what_is_done_for_causes_later_is_shown_too(self):
        lines = []
        found = ran(counted()[0], progress=lines.append)
        assert not any(line.startswith("causes: ") for line in lines)
        assert found.steps
        assert lines[-1].startswith("causes: ")
