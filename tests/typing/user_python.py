"""A user's program without pytest: run, save, compare, benchmark, slice. Checked by mypy and pyright, never run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

import pytest_cropdet
from pytest_cropdet import (
    Benchmark,
    Comparison,
    Crop,
    Dataset,
    Detections,
    Detector,
    GroundTruth,
    Run,
    Sample,
    Sliced,
    WorstCrop,
    compare,
    crop_truth,
    find_worst_crop,
    load_dataset,
    load_detector,
    make_plan,
    run,
    run_benchmark,
)
from pytest_cropdet.comparison import SlicedComparison, compare_sliced
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.evaluation import Measure, Verdict
from pytest_cropdet.settings import RunSettings

Pixels = npt.NDArray[np.uint8]


def detect(images: Sequence[Pixels]) -> list[Detections]:
    return [Detections([[0, 0, 9, 9]], [0.9], [1]) for _ in images]


data = load_dataset("instances.json", errors="clip")
assert_type(data, Dataset)
assert_type(data[0], Sample)
assert_type(data[0].truth, GroundTruth)
load_dataset("instances.json", errors="ignore")  # type: ignore[arg-type]

handle = load_detector("model.tflite", boxes="yxyx", units="normalized", first_category=0, nms_iou=0.6)
assert_type(handle, DetectorHandle)
load_detector("model.tflite", boxs="yxyx")  # type: ignore[call-arg]
load_detector("model.tflite", boxes=3)  # type: ignore[arg-type]
a_detector: Detector = handle
b_detector: Detector = detect
no_detector: Detector = len  # type: ignore[assignment]

found = run(detect, data, crops="tile:size=320", max_drop=0.05, categories=["person"], looks="auto", cache=Path("kept"))
assert_type(found, Run)
run(detect, data, max_dorp=0.05)  # type: ignore[call-arg]
run(detect, data, max_drop="5 %")  # type: ignore[arg-type]
run(detect, data, looks="never")  # type: ignore[arg-type]
run(detect, data, RunSettings(metric="AP50"), against=found)
RunSettings(metric="AP99")  # type: ignore[arg-type]

assert_type(found.drop, Measure)
assert_type(found.drop.value, float | None)
assert_type(found.drop <= 0.05, Verdict)
assert_type(found.crop_ap >= 0.4, Verdict)
assert_type(found.judge(), list[Verdict])
assert_type(found.images, int)
assert_type(found.to_dict(), dict[str, Any])
assert_type(Run.load("v7.cropdet"), Run)
found.save(3)  # type: ignore[arg-type]
found.drop.value + 1  # type: ignore[operator]

assert_type(run_benchmark(detect, data, "quick", seed=3, metric="AP50"), Benchmark)
run_benchmark(detect, data, sead=3)  # type: ignore[call-arg]

sliced = Sliced(detect, size=320, overlap=0.2, merge="nms")
assert_type(sliced([np.zeros((9, 9, 3), np.uint8)]), list[Detections])
assert_type(compare_sliced(sliced, data, 0.0, metric="mAP", sample_images=9), SlicedComparison)
compare_sliced(sliced, data, max_drop=0.1)  # type: ignore[call-arg]
Sliced(detect, overlap="much")  # type: ignore[arg-type]

window = Crop(0, 0, 320, 240)
seen = compare(detect, "photo.jpg", window)
assert_type(seen, Comparison)
assert_type(seen.lost[0].iou, float | None)
compare(detect, "photo.jpg", 320)  # type: ignore[arg-type]
assert_type(find_worst_crop(detect, data[0]), WorstCrop | None)
assert_type(window.into(np.zeros((1, 4))), npt.NDArray[np.float64])
assert_type(crop_truth(data[0].truth, window), pytest_cropdet.CroppedTruth)
assert_type(make_plan(data, "tile:size=320", 0).windows["a"], tuple[Crop, ...])
Crop(0, 0, "320", 240)  # type: ignore[arg-type]
