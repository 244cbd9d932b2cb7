"""The rates by which ``--cropdet-dry-run`` says what a run costs, for pytest_cropdet/gate/costs.py.

    python benchmarks/costs.py             # measures the rates, and prints them as they are in the module
    python benchmarks/costs.py --small     # fewer images, a quick look
    python benchmarks/costs.py --images 10000000 --crops 4 --ms 5 --calls 8   # measures nothing: what that costs

Rates are seconds of one core, of everything but the detector: reading and decoding (JPEG files of two sizes, drawn
here), resizing to 320 x 320, keeping the answers, and what the gate does with 100 detections in each whole image and
crop, once with few resamples and once with many. Times are processor times of this process, the least of several turns.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from scoring import CATEGORIES, CROPS_AN_IMAGE, SPEC, Material, made_up

from pytest_cropdet.data import Detections
from pytest_cropdet.detectors import as_handle
from pytest_cropdet.detectors.resize import fit
from pytest_cropdet.gate import Cost
from pytest_cropdet.gate.scorer import GateScorer
from pytest_cropdet.inference import Cache, Picture
from pytest_cropdet.settings import RunSettings

SIZES = ((640, 480), (1920, 1080))
INPUT = 320
BATCH = 8
FEW, MANY = 100, 1000  # resamples


def least(work: Callable[[], Any], turns: int) -> float:
    """Return the least processor seconds of several turns."""
    found = []
    for _ in range(turns):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def picture(width: int, height: int, number: int) -> Any:
    """Return a picture with the detail of a photograph: noise at all scales."""
    rng = np.random.default_rng(number)
    total = np.zeros((height, width, 3), np.float32)
    for size in (4, 16, 64, 256):
        grain = rng.normal(0, 24, (size, size, 3)).astype(np.float32)
        total += cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total + 128 + rng.normal(0, 5, total.shape), 0, 255).astype(np.uint8)


def decoding(folder: Path, count: int, turns: int) -> tuple[float, float]:
    """Return seconds an image and seconds a megapixel of reading and decoding JPEG files."""
    from pytest_cropdet.data.images import read_image

    seconds, sizes = [], []
    for width, height in SIZES:
        files = [folder / f"{width}_{number}.jpg" for number in range(count)]
        for number, file in enumerate(files):
            cv2.imwrite(str(file), picture(width, height, number), [cv2.IMWRITE_JPEG_QUALITY, 90])
        seconds.append(least(lambda files=files: [read_image(file) for file in files], turns) / count)
        sizes.append(width * height / 1e6)
    slope = (seconds[1] - seconds[0]) / (sizes[1] - sizes[0])
    return max(0.0, seconds[0] - slope * sizes[0]), slope


def preparing(count: int, turns: int) -> float:
    """Return seconds a picture of resizing to the input's size."""
    image = picture(400, 300, 0)
    return least(lambda: [fit(image, "stretch", INPUT, INPUT, np.uint8) for _ in range(count)], turns) / count


def keeping(folder: Path, count: int, turns: int) -> float:
    """Return seconds a picture of keeping its answer."""
    rng = np.random.default_rng(0)
    corner = rng.random((100, 2)) * 300
    found = Detections(np.concatenate([corner, corner + 20], axis=1), rng.random(100), rng.integers(1, 81, 100))
    cache, batch = Cache(folder / "kept"), [found] * BATCH
    numbers = iter(range(10**9))
    return least(lambda: [cache.put(f"key {next(numbers)}", batch) for _ in range(count)], turns) / (count * BATCH)


def scoring(material: Material, turns: int) -> tuple[float, float]:
    """Return seconds a crop of all that a gate does but resample, and seconds a crop of 1,000 resamples."""
    index = material.index
    names = {key: f"category {key}" for key in range(1, CATEGORIES + 1)}
    samples = list(index.samples)
    found = {Picture(sample.id, -1, None): each for sample, each in zip(samples, material.whole, strict=True)}
    places = zip(index.unit, index.rank, index.crops, material.crops, strict=True)
    found |= {Picture(samples[unit].id, int(rank), crop): each for unit, rank, crop, each in places}
    whole = {sample.id: each for sample, each in zip(samples, material.whole, strict=True)}
    meter: Any = SimpleNamespace(found=found, whole_images=lambda: whole)

    class Data(list):  # type: ignore[type-arg]
        name, categories = "made up", names

    detector = as_handle(lambda images: [Detections.empty() for _ in images])
    seconds = {}
    for replicates in (FEW, MANY):
        settings = RunSettings(SPEC, seed=1, replicates=replicates, max_crops=10**8)

        def score(settings: RunSettings = settings) -> Any:
            scorer = GateScorer(detector, Data(samples), samples, settings, None)
            return scorer.score(samples, meter, settings.level)

        seconds[replicates] = least(score, turns) / len(index)
    resampling = (seconds[MANY] - seconds[FEW]) * 1000 / (MANY - FEW)
    return seconds[FEW] - resampling * FEW / 1000, resampling


def measure(small: bool) -> None:
    """Print the rates."""
    turns, count = (1, 10) if small else (3, 40)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        an_image, a_megapixel = decoding(folder, count, turns)
        prepared, kept = preparing(10 * count, turns), keeping(folder, count, turns)
    scored, resampled = scoring(made_up(400 if small else 8000, 100, masks=False), turns)
    print(f'MEASURED = "{date.today().isoformat()}, benchmarks/costs.py, one core ({platform.machine()})"')
    print("RATES = Rates(")
    for name, value in {
        "read": an_image,
        "decode": a_megapixel,
        "prepare": prepared,
        "keep": kept,
        "score": scored,
        "resample": resampled,
    }.items():
        print(f"    {name}={value:.2g},")
    print(")")
    print(f"(NumPy {np.__version__}, OpenCV {cv2.__version__}, {CROPS_AN_IMAGE} crops an image)")


def main() -> None:
    """Measure, or work out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--images", type=int, help="work out the cost of so many images")
    parser.add_argument("--crops", type=int, default=1, help="crops an image")
    parser.add_argument("--megapixels", type=float, default=0.3, help="of an image")
    parser.add_argument("--ms", type=float, help="milliseconds a detector call takes for each image")
    parser.add_argument("--calls", type=int, default=1, help="calls at once")
    parser.add_argument("--distance", type=float, default=0.02, help="of the true drop from the limit")
    parser.add_argument("--price", type=float, help="of a machine's hour")
    asked = parser.parse_args()
    if asked.images is None:
        measure(asked.small)
        return
    cost = Cost(
        images=asked.images,
        crops=asked.images * asked.crops,
        megapixels=asked.megapixels,
        call_seconds=None if asked.ms is None else asked.ms / 1000,
        calls_at_once=asked.calls,
        distance=asked.distance,
        price=asked.price,
    )
    print("\n".join(cost.lines()))


if __name__ == "__main__":
    main()
