"""What a run takes beyond its detector: side by side in one go, as a Markdown table.

CROPDET_ASSETS=FOLDER python benchmarks/overhead.py               # the table of docs/speed.md, in some minutes
CROPDET_ASSETS=FOLDER python benchmarks/overhead.py --images 20   # fewer images

Needs TensorFlow, and the folder of photographs and detectors that CROPDET_ASSETS names. For each detector:

- a gate without a cache, and the explanation of its drop, each beside *bare*: its own calls of the detector on the same
  prepared pixels, one after the other, and nothing else. With one worker, and with one for each core, all in turn,
  several times, so that a busy machine is busy for all.
- *by hand*: the loop one writes without a library: decode, slice, detect, one picture at a time; pycocotools for the
  AP; 1,000 resamples of the images by evaluating again, of which 20 are done.
- *SAHI*: its sliced prediction with the same detector, where it is installed (``pip install sahi``).
- a run whose answers are all in the cache, in a fresh process; and the memory of a process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

CROPS = "random:keep=0.3,per_image=2"
CACHED_CROPS = "random:keep=0.3,per_image=9"
RESAMPLES, RESAMPLES_DONE = 1000, 20
DETECTORS = {  # and the largest ratio of a gate by one worker and its bare calls that is wanted
    "CenterNet (SavedModel)": ("saved_model:{}/models/centernet_coco/saved_model", 1.05),
    "SSD MobileNet v1 (TFLite)": (
        "tflite:{}/models/ssd_mobilenet_v1_coco/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite",
        1.10,
    ),
}
PARTS = ("gate", "explanation")


def assets() -> Path:
    folder = os.environ.get("CROPDET_ASSETS")
    if not folder or not Path(folder).is_dir():
        sys.exit("CROPDET_ASSETS names no folder of photographs and detectors")
    return Path(folder)


def open_detector(name: str) -> Any:
    from pytest_cropdet.detectors import load_detector

    spec, _ = DETECTORS[name]
    labels = assets() / "models" / "coco90_labelmap.txt"
    return load_detector(spec.format(assets()), labels=str(labels))


def open_data() -> Any:
    from pytest_cropdet import load_dataset

    return load_dataset(assets() / "data" / "coco-open-dev" / "annotations.json")


def settings(images: int | None, crops: str = CROPS) -> Any:
    from pytest_cropdet.settings import RunSettings

    return RunSettings(crops, sample_images=images, max_drop=0.05, cap="accept", replicates=RESAMPLES, explain="always")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that ``work`` took, and what it returned."""
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def finish(events: Iterator[Any]) -> Any:
    *_, last = events
    return last.run


# Gate and explanation against bare calls


Seconds = tuple[float, float]  # by the clock, and of the processor in all threads


def now() -> Seconds:
    return time.perf_counter(), time.process_time()


def since(begun: Seconds) -> Seconds:
    clock, processor = now()
    return clock - begun[0], processor - begun[1]


def run_parts(detector: Any, data: Any, images: int, workers: int | None) -> tuple[dict[str, Seconds], Any]:
    """Return the seconds of a gate and of its explanation, and the result; ``workers``: calls at once."""
    from pytest_cropdet.gate.runner import events
    from pytest_cropdet.inference import Started

    detector.workers = workers
    seconds: dict[str, Seconds] = {}
    begun = now()
    event = None
    for event in events(detector, data, settings(images)):
        if isinstance(event, Started) and event.task == "explain" and "gate" not in seconds:
            seconds["gate"], begun = since(begun), now()
    seconds["explanation"] = since(begun)
    return seconds, event.run


def calls_of_parts(detector: Any, data: Any, images: int) -> dict[str, list[Any]]:
    """Return the batches of prepared pictures that the gate and the explanation send; warms everything up, too."""
    from pytest_cropdet.gate.runner import events
    from pytest_cropdet.inference import Started

    adapter, sent = detector.adapter, {part: [] for part in PARTS}
    real, detector.workers, part = adapter.detect, 1, "gate"
    adapter.detect = lambda inputs: sent[part].append(inputs) or real(inputs)
    for event in events(detector, data, settings(images)):
        if isinstance(event, Started) and event.task == "explain":
            part = "explanation"
    adapter.detect = real
    run_parts(detector, data, images, None)
    return sent


def compare_parts(detector: Any, data: Any, images: int, repeats: int) -> tuple[dict[str, Any], Any]:
    """Return, by part and way ("bare", "one", "all"), the seconds of each repetition, and the result of a run."""
    sent = calls_of_parts(detector, data, images)
    found: dict[str, Any] = {part: {"bare": [], "one": [], "all": []} for part in PARTS}
    result = None
    for turn in range(repeats):
        for way in ("bare", "one", "all")[:: 1 if turn % 2 else -1]:
            if way == "bare":
                for part, batches in sent.items():
                    begun = now()
                    for inputs in batches:
                        detector.adapter.detect(inputs)
                    found[part][way].append(since(begun))
            else:
                seconds, result = run_parts(detector, data, images, 1 if way == "one" else None)
                for part in PARTS:
                    found[part][way].append(seconds[part])
    for part, batches in sent.items():
        found[part]["pictures"] = sum(map(len, batches))
    return found, result


# By hand


def by_hand(detector: Any, data: Any, images: int) -> tuple[float, float, int]:
    """Return the seconds of detecting, of 1,000 resamples (extrapolated) and the number of pictures."""
    import cv2

    from pytest_cropdet.crops.plan import choose_samples, make_plan

    samples = choose_samples(data, images, 0)
    windows = make_plan(samples, CROPS, 0).windows
    adapter = detector.adapter
    found: dict[tuple[str, int], Any] = {}

    def detect(sample: Any, rank: int, crop: Any) -> None:
        image = cv2.cvtColor(cv2.imread(str(sample.path)), cv2.COLOR_BGR2RGB)
        if crop is not None:
            image = image[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        found[sample.id, rank] = adapter.detect([adapter.prepare(np.ascontiguousarray(image))])[0]

    def detect_all() -> None:
        for sample in samples:
            detect(sample, -1, None)
            for rank, crop in enumerate(windows[sample.id]):
                detect(sample, rank, crop)

    seconds, _ = timed(detect_all)
    crops = [(place, rank, crop) for place, each in enumerate(samples) for rank, crop in enumerate(windows[each.id])]
    truth = [clipped(samples[place].truth, crop) for place, _, crop in crops]
    whole = [clipped(found[samples[place].id, -1], crop) for place, _, crop in crops]
    inside = [rows_of(found[samples[place].id, rank]) for place, rank, _ in crops]
    by_image: dict[int, list[int]] = {}
    for number, (place, _, _) in enumerate(crops):
        by_image.setdefault(place, []).append(number)

    dice = np.random.default_rng(0)

    def resample() -> None:
        for _ in range(RESAMPLES_DONE):
            drawn = [
                number for place in dice.integers(0, len(samples), len(samples)) for number in by_image[int(place)]
            ]
            average_precision(truth, whole, drawn)
            average_precision(truth, inside, drawn)

    resampling, _ = timed(resample)
    return seconds, resampling * RESAMPLES / RESAMPLES_DONE, len(samples) + len(crops)


Rows = list[tuple[float, float, float, float, int, float]]  # x y width height category score


def rows_of(boxes: Any) -> Rows:
    scores = getattr(boxes, "scores", np.ones(len(boxes)))
    sides = boxes.boxes[:, 2:] - boxes.boxes[:, :2]
    numbers = np.column_stack([boxes.boxes[:, :2], sides, boxes.categories, scores])
    return [(x, y, width, height, int(kind), score) for x, y, width, height, kind, score in numbers.tolist()]


def clipped(boxes: Any, crop: Any) -> Rows:
    """Return the boxes that lie in a window by half at least, clipped, in its frame."""
    rows = []
    for x, y, width, height, kind, score in rows_of(boxes):
        left, top = max(x, crop.left), max(y, crop.top)
        right, bottom = min(x + width, crop.left + crop.width), min(y + height, crop.top + crop.height)
        if right > left and bottom > top and (right - left) * (bottom - top) >= 0.5 * width * height:
            rows.append((left - crop.left, top - crop.top, right - left, bottom - top, kind, score))
    return rows


def average_precision(truth: list[Rows], found: list[Rows], drawn: list[int]) -> float:
    """Return the mAP that pycocotools finds on the crops ``drawn``, of which some come twice."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    boxes, answers = [], []
    for image, number in enumerate(drawn, start=1):
        for x, y, width, height, kind, _ in truth[number]:
            entry = {"image_id": image, "category_id": kind, "bbox": [x, y, width, height], "area": width * height}
            boxes.append({"id": len(boxes) + 1, "iscrowd": 0, **entry})
        for x, y, width, height, kind, score in found[number]:
            answers.append({"image_id": image, "category_id": kind, "bbox": [x, y, width, height], "score": score})
    if not answers:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "images": [{"id": image} for image in range(1, len(drawn) + 1)],
            "categories": [{"id": kind} for kind in sorted({each["category_id"] for each in boxes})],
            "annotations": boxes,
        }
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(answers), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


# SAHI


def sahi(detector: Any, data: Any, images: int) -> tuple[float, int] | None:
    """Return the seconds and the number of pictures of sliced prediction; ``None`` where SAHI is not installed."""
    try:
        from sahi.models.base import DetectionModel
        from sahi.predict import get_sliced_prediction
        from sahi.prediction import ObjectPrediction
        from sahi.utils.compatibility import fix_full_shape_list, fix_shift_amount_list
    except ImportError:
        return None
    from pytest_cropdet.crops.plan import choose_samples

    adapter, sent = detector.adapter, []

    class Wrapped(DetectionModel):  # type: ignore[misc]
        def check_dependencies(self, packages: Any = None) -> None: ...

        def set_device(self, device: Any = None) -> None: ...

        def set_model(self, model: Any, **_: Any) -> None:
            self.model = model

        def perform_inference(self, image: Any) -> None:
            sent.append(1)
            self._original_predictions = adapter.detect([adapter.prepare(image)])[0]

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = None, full_shape_list: Any = None
        ) -> None:
            shift = fix_shift_amount_list(shift_amount_list or [[0, 0]])[0]
            shape = fix_full_shape_list(full_shape_list)
            found = self._original_predictions
            kept = np.flatnonzero(found.scores >= self.confidence_threshold)
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=np.maximum(found.boxes[row], 0).tolist(),
                        category_id=int(found.categories[row]),
                        score=float(found.scores[row]),
                        category_name=str(found.categories[row]),
                        shift_amount=shift,
                        full_shape=shape[0] if shape else None,
                    )
                    for row in kept
                    if (found.boxes[row, 2:] > np.maximum(found.boxes[row, :2], 0)).all()
                ]
            ]

    model = Wrapped(model=adapter, confidence_threshold=0.3)

    def predict() -> None:
        for sample in choose_samples(data, images, 0):
            get_sliced_prediction(
                str(sample.path),
                model,
                slice_height=max(1, sample.height // 2),
                slice_width=max(1, sample.width // 2),
                overlap_height_ratio=0.0,
                overlap_width_ratio=0.0,
                verbose=0,
            )

    seconds, _ = timed(predict)
    return seconds, len(sent)


# In processes of their own


def cached_run(folder: Path) -> None:
    """Run against a cache; print what it took."""
    begun = time.perf_counter()
    from pytest_cropdet.gate.runner import events
    from pytest_cropdet.inference.cache import Cache

    imported = time.perf_counter()
    detector = open_detector("SSD MobileNet v1 (TFLite)")
    run = finish(events(detector, open_data(), settings(None, CACHED_CROPS), cache=Cache(folder)))
    heavy = [name for name in ("tensorflow", "ai_edge_litert") if name in sys.modules]
    told = {
        "imports": imported - begun,
        "run": time.perf_counter() - imported,
        "processor": time.process_time(),
        "images_sent": detector.images_sent,
        "crops": run.crops,
        "heavy": heavy,
    }
    print(json.dumps(told))


def memory(name: str) -> None:
    """Print the largest memory of a process that imported us, loaded a detector, and ran; in MB. Linux only."""
    from pytest_cropdet.gate.runner import events

    def peak() -> float:  # not ru_maxrss, which starts with the parent's peak
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

    before = peak()
    detector = open_detector(name)
    detector.load()
    loaded = peak()
    finish(events(detector, open_data(), settings(40)))
    print(json.dumps({"package": before, "loaded": loaded, "after a run": peak()}))


def in_a_process(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# The tables


def compare(names: list[str], images: int, repeats: int) -> None:
    from pytest_cropdet.detectors.cores import available_cores

    data, cores = open_data(), available_cores()
    print("| detector | | pictures | bare | one worker | ratio | goal | all cores | ratio | goal | calls at once |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    beside = []
    busy = []
    for name in names:
        detector = open_detector(name)
        found, result = compare_parts(detector, data, images, repeats)
        detector.workers = None
        at_once = detector.calls_at_once()
        for part in PARTS:
            ways = {way: found[part][way] for way in ("bare", "one", "all")}
            clock = {way: statistics.median(each[0] for each in seconds) for way, seconds in ways.items()}
            ratio = {way: median_of_pairs(ways[way], ways["bare"]) for way in ("one", "all")}
            goals = DETECTORS[name][1], 1 / (0.9 * at_once) if at_once > 1 else ratio["one"]
            print(
                f"| {name} | {part} | {found[part]['pictures']} | {clock['bare']:.2f} s | {clock['one']:.2f} s | "
                f"{ratio['one']:.3f} | {goals[0]:.2f} | {clock['all']:.2f} s | {ratio['all']:.3f} | {goals[1]:.2f} | "
                f"{at_once} |",
                flush=True,
            )
            busy.append((name, part, *(statistics.median(each[1] / each[0] for each in ways[way]) for way in ways)))
        pictures = result.images + result.crops
        seconds, resampling, sent = by_hand(detector, data, images)
        for way, what in (("one", "a gate of pytest-cropdet, one worker"), ("all", "a gate of pytest-cropdet")):
            whole = statistics.median(each[0] for each in found["gate"][way])
            beside.append((name, what, pictures / whole, f"{whole:.1f} s"))
        beside.append((name, "by hand, pycocotools", sent / seconds, f"{seconds + resampling:.0f} s"))
        sliced = sahi(detector, data, images)
        if sliced is not None:
            beside.append((name, "SAHI, 2 x 2 slices", sliced[1] / sliced[0], "gives none"))
    print(f"\nSeconds are medians, ratios medians of pairs with the bare calls of the same turn; {cores} cores\n")
    print("| processor time / clock | | bare | one worker | all cores |")
    print("|---|---|---|---|---|")
    for name, part, *shares in busy:
        print(f"| {name} | {part} | {' | '.join(f'{share:.2f}' for share in shares)} |")
    print(f"\n{images} images, {CROPS}; {repeats} repetitions in turn\n")
    print("| detector | | pictures a second | a verdict after |")
    print("|---|---|---|---|")
    for name, what, speed, verdict in beside:
        print(f"| {name} | {what} | {speed:.1f} | {verdict} |")
    if not any("SAHI" in what for _, what, _, _ in beside):
        print("\nsahi not installed: pip install sahi")


def median_of_pairs(ones: list[Seconds], others: list[Seconds]) -> float:
    return statistics.median(one[0] / other[0] for one, other in zip(ones, others, strict=True))


def repeat_cached() -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_a_process("--cached-run", folder)
        told = in_a_process("--cached-run", folder)
    print(
        f"\nRepeated, all of {told['crops']} crops in the cache, in a fresh process: {told['run']:.2f} s, after "
        f"{told['imports']:.2f} s of imports ({told['processor']:.2f} s of the processor in all); "
        f"{told['images_sent']} images sent; "
        f"imported of TensorFlow and LiteRT: {', '.join(told['heavy']) or 'neither'} (target: 3 s)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60, help="images of the data set (60)")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions of runs and bare calls in turn (5)")
    parser.add_argument("--only", choices=["CenterNet", "SSD", "cached", "memory"], help="one part")
    parser.add_argument("--cached-run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cached_run:
        cached_run(given.cached_run)
        return
    if given.memory_of:
        memory(given.memory_of)
        return
    names = [name for name in DETECTORS if given.only is None or name.startswith(given.only)]
    if names:
        compare(names, given.images, given.repeats)
    if given.only in (None, "cached"):
        repeat_cached()
    if given.only in (None, "memory"):
        print("\n| memory of a process | imported | detector loaded | after a run |\n|---|---|---|---|")
        for name in DETECTORS:
            told = in_a_process("--memory-of", name)
            print(f"| {name} | {' | '.join(f'{told[each]:.0f} MB' for each in told)} |")


if __name__ == "__main__":
    main()
