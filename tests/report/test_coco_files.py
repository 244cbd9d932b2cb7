"""COCO files of a gate: pycocotools finds in them the numbers of the report, and they say what else they give."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pytest_cropdet import load_dataset, load_detector
from pytest_cropdet import run as gate
from pytest_cropdet.evaluation.coco import one_box
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.report.coco_export import write_detections
from tests.report.made import lossy
from tests.support import Data, blind, loses_cut, made, objects, opinions, sample, small_run

ROOT = Path(__file__).parents[2]
METRICS = ("mAP", "AP50", "AP75")
SIDES = ("reference", "crop")
EXACT = 1e-9


def evaluate(truth, found, cap=100, categories=None):
    """The twelve numbers of pycocotools, of data sets in memory or in files."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.params.maxDets = [1, 10, cap]
        if categories is not None:
            evaluation.params.catIds = categories
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]  # mAP of summarize() is that at a cap of 100 alone
    defined = precision[precision > -1]
    return [defined.mean() if defined.size else -1.0, *evaluation.stats[1:3]]


def opened(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def pair(folder, name):
    return opened(folder / f"truth-{name}.json"), opened(folder / f"detections-{name}.json")


def written(tmp_path, found):
    write_detections(tmp_path, found)
    return tmp_path / found.name


def assert_exact(folder, found, cap=100):
    """Both numbers of the report, its drop, those of each category, and each rendering of the chain."""
    told = run_record(found)
    keys = dict(zip(METRICS, ("ap", "ap50", "ap75"), strict=True))
    theirs = {}
    for side in SIDES:
        truth, answers = pair(folder, side)
        theirs[side] = evaluate(truth, answers, cap)
        for place, metric in enumerate(METRICS):
            assert theirs[side][place] == pytest.approx(told[keys[metric]][side], abs=EXACT)
            assert truth.dataset["info"]["report"][metric] == pytest.approx(told[keys[metric]][side], abs=EXACT)
        for each in found.categories:
            if each.objects:
                (alone, *_) = evaluate(truth, answers, cap, [each.id])
                assert alone == pytest.approx(getattr(each, side), abs=EXACT), each.name
        assert truth.dataset["info"] == answers.dataset["info"]
        assert truth.dataset["info"]["not_carried"] == {"detections": 0, "difference": dict.fromkeys(METRICS, 0.0)}
    if not found.agreement:
        assert theirs["reference"][0] - theirs["crop"][0] == pytest.approx(told["drop"]["value"], abs=EXACT)
    for name in {path.stem[6:] for path in folder.glob("truth-*.json")} - {*SIDES}:
        assert evaluate(*pair(folder, name), cap)[0] == pytest.approx(found.causes.chain.ap[name], abs=EXACT), name


def test_pycocotools_gives_the_numbers_of_a_run_without_masks(run, tmp_path):
    assert run.detected["reference"].stray.any()
    folder = written(tmp_path, run)
    assert {path.stem[6:] for path in folder.glob("truth-*.json")} == {*SIDES, "context", "cut", "moved", "placebo"}
    assert_exact(folder, run)


@pytest.fixture(scope="module")
def masked(needs_tensorflow):
    """A gate of the shipped detector on scenes with masks, with its chain."""
    labels = str(ROOT / "fixtures" / "models" / "labels.txt")
    model = ROOT / "fixtures" / "models" / "ssd_nms.tflite"
    detector = load_detector(model, labels=labels, range="0..255", resize="stretch")
    data = load_dataset(ROOT / "fixtures" / "scenes")
    settings = {"crops": "random:keep=0.3-0.9,per_image=2", "sample_images": 40, "explain": "always"}
    return gate(detector, data, replicates=100, **settings).named("scenes")


@pytest.fixture(scope="module")
def scenes_folder(masked, tmp_path_factory):
    return written(tmp_path_factory.mktemp("cwd") / "detections", masked)


def test_pycocotools_gives_the_numbers_of_a_run_with_masks(masked, scenes_folder):
    folder = scenes_folder
    assert_exact(folder, masked)
    told = [pair(folder, side)[0].dataset["info"] for side in SIDES]
    assert all(each["two_boxes"]["objects"] > 10 for each in told)
    assert any(each["two_boxes"]["tight"] for each in told)
    assert told[0]["ignored"]["detections"] > 0
    assert sum(each["two_boxes"]["moved_detections"] for each in told) < 10  # of thousands


def test_the_files_carry_what_the_detector_gave(masked, scenes_folder):
    folder = scenes_folder
    for side in SIDES:
        plain = json.loads((folder / f"{side}.json").read_text())
        exact = json.loads((folder / f"detections-{side}.json").read_text())["annotations"]
        assert [(each["score"], each.get("given_bbox", each["bbox"])) for each in exact] == [
            (each["score"], each["bbox"]) for each in plain
        ]
        stray = [each.get("stray", False) for each in exact]
        assert stray == masked.detected[side].stray.tolist()
        truth = json.loads((folder / f"truth-{side}.json").read_text())["annotations"]
        tight, clipped = masked.objects.truth.tight, masked.objects.truth.boxes
        for row, each in enumerate(truth):
            if "box" in each:
                two = {"clipped": clipped[row], "tight": tight[row]}
                left, top, right, bottom = two[each["box"]]
                assert each["bbox"] == [left, top, right - left, bottom - top] != each["other_bbox"]


def test_pycocotools_gives_the_numbers_of_real_photographs(assets, needs_tensorflow, tmp_path):
    detector = load_detector(assets / "models" / "centernet_coco" / "saved_model")
    data = load_dataset(assets / "data" / "coco-open-dev")
    settings = {"crops": "random:keep=0.3,per_image=2", "sample_images": 24, "explain": "off", "replicates": 100}
    found = gate(detector, data, **settings).named("photographs")
    assert_exact(written(tmp_path, found), found)


def test_as_they_are_the_plain_files_give_what_truth_json_says(masked, scenes_folder):
    folder = scenes_folder
    truth = opened(folder / "truth.json")
    told = truth.dataset["info"]
    for side in SIDES:
        with contextlib.redirect_stdout(io.StringIO()):
            answers = truth.loadRes(str(folder / f"{side}.json"))
        assert evaluate(truth, answers) == pytest.approx(
            [told["as_they_are"][side][name] for name in METRICS], abs=EXACT
        )
        assert told["report"][side]["mAP"] == pytest.approx(masked.ap[side], abs=EXACT)
        assert told["difference"][side]["mAP"] == pytest.approx(
            told["as_they_are"][side]["mAP"] - masked.ap[side], abs=EXACT
        )
    assert abs(told["difference"]["reference"]["mAP"]) > 0.001
    assert "truth-NAME.json" in told["description"]


def test_the_mean_is_over_the_categories_of_the_gate(tmp_path):
    """One category is rare and in no mean, and one was not chosen."""
    data = made(images=30)
    rare = sample(30, objects(((10.0, 10.0, 40.0, 40.0), 20)))
    data = Data([*data, rare], {**data.categories, 20: "owl"})
    found = small_run(loses_cut(opinions(data)), data, categories=("cat", "dog", "owl"), explain="off").named("some")
    assert [each.name for each in found.categories if each.in_mean] == ["cat", "dog"]
    folder = written(tmp_path, found)
    assert_exact(folder, found)
    truth = pair(folder, "crop")[0]
    assert [each["name"] for each in truth.dataset["categories"]] == ["cat", "dog"]
    assert [each["name"] for each in truth.dataset["info"]["categories_not_in_the_mean"]] == ["owl"]


def test_what_an_earlier_run_left_is_not_taken_for_this_one_s(run, tmp_path):
    folder = written(tmp_path, run)
    (folder / "notes.json").write_text("{}")
    assert (folder / "truth-context.json").exists()
    written(tmp_path, lossy(explain="off", max_drop=None))
    pairs = {f"{kind}{side}.json" for kind in ("", "truth-", "detections-") for side in SIDES}
    assert {path.name for path in folder.iterdir()} == {"truth.json", "notes.json", *pairs}


def test_agreement_has_files_too(tmp_path):
    data = made(images=12)
    data.has_truth = False
    found = small_run(loses_cut(opinions(data)), data, explain="off").named("agreement")
    assert found.agreement
    folder = written(tmp_path, found)
    assert_exact(folder, found)
    assert "not a difference of AP" in pair(folder, "crop")[0].dataset["info"]["drop_is"]


def test_who_finds_nothing_has_files_that_can_be_evaluated(tmp_path):
    data = made(images=12)
    found = small_run(blind(), data, explain="off").named("blind")
    assert_exact(written(tmp_path, found), found)


def test_without_a_category_in_the_mean_nothing_is_claimed(tmp_path):
    data = made(images=2)
    found = small_run(blind(), data, explain="off").named("few")
    truth, _ = pair(written(tmp_path, found), "crop")
    assert truth.dataset["categories"] == []
    assert truth.dataset["info"]["report"] == dict.fromkeys(METRICS)


def test_what_is_not_carried_is_said_with_its_difference(masked, tmp_path, monkeypatch):
    monkeypatch.setattr(one_box, "_unfit", lambda *_: [])
    folder = written(tmp_path, masked)
    truth, answers = pair(folder, "crop")
    told = truth.dataset["info"]["not_carried"]
    assert told["detections"] > 0
    theirs = evaluate(truth, answers)
    assert told["difference"]["mAP"] == pytest.approx(theirs[0] - masked.ap["crop"], abs=EXACT)
    assert told["difference"]["mAP"] != 0


def test_the_cap_is_said(tmp_path):
    """Where the evaluator counts another number of detections, the files say so."""
    found = lossy(explain="off")
    few = {name: replace(table, max_detections=3) for name, table in found.matches.items()}
    found = replace(found, matches=few)
    truth, answers = pair(written(tmp_path, found), "crop")
    told = truth.dataset["info"]
    assert told["max_detections"] == 3
    assert "maxDets = [1, 10, 3]" in told["description"]
    assert evaluate(truth, answers, 3)[0] == pytest.approx(told["report"]["mAP"], abs=EXACT)


def test_the_lines_of_the_docs_give_the_drop(masked, scenes_folder, monkeypatch, capsys):
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    lines = text.partition("## COCO files")[2].partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(scenes_folder.parent.parent)
    scope: dict[str, object] = {}
    exec(lines.replace("/random/", "/scenes/"), scope)
    assert scope["drop"] == pytest.approx(masked.drop.value, abs=EXACT)
    capsys.readouterr()
