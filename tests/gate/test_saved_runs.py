"""A run as data and in a file: what is read is the run that was saved, bit for bit; damage is a sentence."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import CropdetError, DataError
from pytest_cropdet.evaluation import GateFailure
from pytest_cropdet.gate.results import Run
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import run
from tests.support import Data, loses_cut, made, opinions

DATA = made(12)


def ran(**more) -> Run:
    given = {"crops": "tile:size=60", "replicates": 100, "explain": "off", **more}
    return run(loses_cut(opinions(DATA)), DATA, **given)


@pytest.fixture(scope="module")
def rich() -> Run:
    """A run with all it can have: causes, trials, an older model, looks, verdicts that somebody acted on."""
    found = ran(
        explain="always",
        max_drop=0.05,
        by_category={"cat": 0.1},
        against=loses_cut(opinions(DATA)),
        max_worse=0.2,
        try_mitigations=True,
        both_orders=True,
        fill=("mean", "gray"),
    )
    with pytest.raises(GateFailure):
        found.check()
    with pytest.raises(GateFailure):
        assert found.lost <= 0.01
    return found


def loaded(found: Run, tmp_path) -> Run:
    path = tmp_path / "run.cropdet"
    found.save(path)
    return Run.load(path)


def arrays(value, seen: set[int] | None = None):
    """Yield every array in the tables of a run."""
    for name in ("reference", "crop"):
        for table in (value.matches[name], value.detected[name]):
            for key in getattr(table, "__dataclass_fields__", {}):
                each = getattr(table, key)
                if isinstance(each, np.ndarray):
                    yield f"{name} {key}", each


class TestRoundTrip:
    def test_a_dictionary_is_the_entry_of_the_json_file(self, rich):
        assert rich.to_dict() == run_record(rich)
        assert json.loads(json.dumps(rich.to_dict(), allow_nan=False))["drop"]["value"] == rich.drop.value

    def test_every_number_comes_back(self, rich, tmp_path):
        again = loaded(rich, tmp_path)
        assert again.to_dict() == rich.to_dict()
        assert type(again) is Run
        assert [each.was_used for each in again.verdicts] == [each.was_used for each in rich.verdicts]

    def test_match_tables_come_back_bit_for_bit(self, rich, tmp_path):
        again = dict(arrays(loaded(rich, tmp_path)))
        own = dict(arrays(rich))
        assert len(own) > 10
        assert again.keys() == own.keys()
        for name, each in own.items():
            assert again[name].dtype == each.dtype, name
            np.testing.assert_array_equal(again[name], each, err_msg=name)

    def test_what_follows_from_the_tables_follows_again(self, rich, tmp_path):
        again = loaded(rich, tmp_path)
        assert repr(again.errors) == repr(rich.errors)
        assert repr(again.where) == repr(rich.where)
        assert again.labels.to_dict() == rich.labels.to_dict()
        assert again.to_frame().equals(rich.to_frame())
        assert again._repr_html_() == rich._repr_html_()
        assert again.explain_all(again.judge()) == rich.explain_all(rich.judge())

    def test_differences_of_shares_have_their_own_bounds_again(self, rich, tmp_path):
        again = loaded(rich, tmp_path)
        assert (again.lost - again.gained).bounds() == (rich.lost - rich.gained).bounds()

    def test_a_limit_is_judged_and_explained_and_noted_again(self, rich, tmp_path):
        again = loaded(rich, tmp_path)
        before = len(again.verdicts)
        with pytest.raises(GateFailure) as told:
            assert again.crop_ap >= 0.99
        with pytest.raises(GateFailure) as own:
            assert rich.crop_ap >= 0.99
        assert str(told.value) == str(own.value)
        assert len(again.verdicts) == before + 1

    def test_a_saved_run_is_the_old_one_of_a_new_run(self, rich, tmp_path):
        again = loaded(rich, tmp_path)
        assert ran().against(again).worse.bounds() == ran().against(rich).worse.bounds()
        assert ran(against=again).comparison.worse.value == 0.0

    @pytest.mark.parametrize(
        "more",
        [
            {"crops": "random:keep=0.4-0.8,per_image=2", "seed": 3},
            {"looks": "often", "max_drop": 0.9},
            {"metric": "AP50", "sample_images": 8},
            {"max_detections": 3, "categories": ("cat",)},
            {"min_visibility": 0.5, "score_threshold": 0.3},
        ],
    )
    def test_runs_of_other_kinds_come_back(self, more, tmp_path):
        found = ran(**more)
        assert loaded(found, tmp_path).to_dict() == found.to_dict()

    def test_a_run_without_ground_truth_comes_back(self, tmp_path):
        bare = Data([Sample(each.id, each.width, each.height, GroundTruth.empty(), each.read) for each in DATA], {})
        bare.has_truth = False
        found = run(loses_cut(opinions(DATA)), bare, crops="tile:size=60", replicates=100, explain="off")
        assert found.agreement
        assert loaded(found, tmp_path).to_dict() == found.to_dict()


class TestCauses:
    def test_causes_that_were_not_known_stay_unknown_and_say_why(self, tmp_path):
        again = loaded(ran(explain="auto"), tmp_path)
        with pytest.raises(CropdetError, match=r"read run\.causes before run\.save\(\)"):
            _ = again.causes

    def test_saving_calls_no_detector(self, tmp_path):
        fake, calls = loses_cut(opinions(DATA)), []

        def detect(images):
            calls.append(len(images))
            return fake(images)

        found = run(detect, DATA, crops="tile:size=60", replicates=100, explain="auto")
        before = len(calls)
        loaded(found, tmp_path).to_dict()
        assert len(calls) == before

    def test_a_picture_that_was_no_file_is_named(self, rich, tmp_path):
        again = loaded(rich, tmp_path)
        with pytest.raises(DataError, match=r"picture of .* is not in the saved run"):
            again.objects.index.samples[0].image()


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "run.cropdet"
    ran().save(path)
    return path.read_bytes()


class TestDamage:
    def test_any_damage_is_a_data_error_that_names_the_file(self, content, tmp_path):
        draw, path = np.random.default_rng(0), tmp_path / "bad.cropdet"
        whole = Run.load(self.written(path, content)).to_dict()
        refused = 0
        for place in draw.integers(0, len(content), 60):
            for bad in (content[:place], content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]):
                try:
                    again = Run.load(self.written(path, bad))
                except DataError as error:
                    refused += "bad.cropdet" in str(error)
                else:
                    assert again.to_dict() == whole
                    refused += 1
        assert refused == 120

    @staticmethod
    def written(path, content):
        path.write_bytes(content)
        return path

    def test_no_class_but_those_of_a_run_is_made_and_no_pickle_is_read(self, content, tmp_path):
        path = self.written(tmp_path / "evil.cropdet", content)
        with zipfile.ZipFile(path) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        assert all(name == "run.json" or name.startswith("arrays/") for name in parts)
        head = json.loads(parts["run.json"])
        head["run"]["hint"] = {"place": 10**6, "class": "Popen", "fields": {"args": "true"}}
        with zipfile.ZipFile(path, "w") as file:
            for name, each in {**parts, "run.json": json.dumps(head).encode()}.items():
                file.writestr(name, each)
        with pytest.raises(DataError, match="Popen"):
            Run.load(path)

    @pytest.mark.parametrize(("key", "value", "text"), [("schema", 99, "newer"), ("what", "else", "is no run that")])
    def test_another_file_or_version_is_named(self, content, tmp_path, key, value, text):
        path = self.written(tmp_path / "other.cropdet", content)
        with zipfile.ZipFile(path) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        head = json.loads(parts["run.json"]) | {key: value}
        with zipfile.ZipFile(path, "w") as file:
            for name, each in {**parts, "run.json": json.dumps(head).encode()}.items():
                file.writestr(name, each)
        with pytest.raises(DataError, match=text):
            Run.load(path)

    @pytest.mark.parametrize("head", [b"{'descr': \0", b"{'descr': '<f8')}"])
    def test_a_damaged_head_of_an_array_is_named_though_its_checksum_is_right(self, content, tmp_path, head):
        path = self.written(tmp_path / "bad.cropdet", content)
        with zipfile.ZipFile(path) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        name = next(each for each in parts if each.endswith("f8.npy"))
        parts[name] = parts[name][:10] + head + parts[name][10 + len(head) :]
        with zipfile.ZipFile(path, "w") as file:
            for each, data in parts.items():
                file.writestr(each, data)
        with pytest.raises(DataError, match=r"bad\.cropdet is no run that Run\.save wrote, or it is damaged"):
            Run.load(path)

    def test_a_missing_file_and_a_folder_are_named(self, tmp_path):
        with pytest.raises(DataError, match=r"nothing\.cropdet"):
            Run.load(tmp_path / "nothing.cropdet")
        with pytest.raises(DataError, match="a folder"):
            Run.load(tmp_path)
