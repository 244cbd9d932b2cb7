"""Files with mistakes drawn at random: each is read, or refused by an error of ours.

Data sets of every format, images, and what the package writes itself: baselines, saved runs, histories, results, plans.

    python benchmarks/mutate_data.py [--seed N] [--seconds S] [--files N] [--reader NAME ...]

Prints how many of each reader were tried, and each that ended otherwise; exits with 1 if any did. Without ``--reader``
the readers take turns. A crash of native code ends the
process, so whoever wants to go on afterwards runs it as a child.
"""

import argparse
import json
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mutate_formats import SETS, Mutants
from mutate_results import WRITTEN, WrittenMutants

from pytest_cropdet import load_dataset
from pytest_cropdet.data import load_annotations
from pytest_cropdet.data.images import decode_image
from pytest_cropdet.errors import CropdetError

ODD: tuple[Any, ...] = (
    *(None, True, False, "", "0", "1", "x", "1e400", "\ud800", "a\0b", "a\\b", [], {}, [[]], [[[]]], [None]),
    *(0, 1, -1, 0.5, 1e-320, 1e8, -1e8, 1e18, 1e300, -1e300, 2**31, 2**32, 2**63, 2**64, 10**400, -(10**400)),
    *("../1.png", "/etc/hostname", "%2e%2e%2f1.png", "1%2Epng", "1.PNG", "2.jpg", "./1.png", "x\\..\\1.png", "%00"),
    *(float("nan"), float("inf"), {"size": [40, 60], "counts": [0, 2400]}, {"size": [40, 60], "counts": "o"}),
)
ENDINGS = (".png", ".jpg", ".bmp", ".tiff", ".webp", ".gif", ".ppm", ".jp2", ".ras")
READERS = ("coco", *SETS, "records", "images", *WRITTEN)
Tried = dict[str, Counter[str]]
BYTES = (0, 1, 0x7F, 0x80, 0xFF)


def truth() -> dict[str, Any]:
    """A sound COCO JSON of four images, with masks of all kinds."""
    images = [{"id": n, "file_name": f"{n}.png", "width": 60, "height": 40} for n in range(1, 5)]
    annotations = []
    for number in range(1, 13):
        x, y = 3 * number, 2 * number
        masks: tuple[Any, ...] = (
            [[x, y, x + 9, y, x + 9, y + 8, x, y + 8]],
            {"size": [40, 60], "counts": [40 * x + y, 8, 32, 8, 40 * 60 - 40 * x - y - 48]},
            [],
        )
        annotations.append(
            {
                "id": number,
                "image_id": 1 + number % 4,
                "category_id": 1 + number % 2,
                "bbox": [x, y, 9, 8],
                "area": 72,
                "iscrowd": 0,
                "segmentation": masks[number % 3],
            }
        )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }


def change(value: Any, dice: random.Random) -> Any:
    """Put something odd somewhere into a value, or take something out of it."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(list(value))
        if dice.random() < 0.05:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: change(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.9:
        place = dice.randrange(len(value))
        if dice.random() < 0.1:
            return value[:place] + value[place + 1 :]
        if dice.random() < 0.1:
            return [*value, dice.choice(ODD)]
        return [*value[:place], change(value[place], dice), *value[place + 1 :]]
    if isinstance(value, (int, float)) and abs(value) < 1e300 and dice.random() < 0.4:
        return value * dice.choice((-1, 0, 0.5, 2, 10, 1e3, 1e6, 1e9))
    return dice.choice(ODD)


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Cut bytes off, change some, take some out, or put some in."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        place = dice.randrange(len(changed)) if dice.random() < 0.5 else dice.randrange(min(64, len(changed)))
        how = dice.random()
        if how < 0.1:
            del changed[place + 1 :]
        elif how < 0.2:
            del changed[place : place + dice.randrange(1, 9)]
        elif how < 0.3:
            changed[place:place] = bytes(dice.choice(BYTES) for _ in range(dice.randrange(1, 9)))
        else:
            changed[place] = dice.choice(BYTES) if dice.random() < 0.5 else dice.randrange(256)
        if not changed:
            return b""
    return bytes(changed)


def pictures() -> dict[str, bytes]:
    """The same picture in every format that OpenCV writes here; PNG and JPEG of several kinds."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(pixels, (0, 0), 2)
    found = {end: cv2.imencode(end, smooth)[1].tobytes() for end in ENDINGS if cv2.haveImageWriter(f"x{end}")}
    found["16 bits.png"] = cv2.imencode(".png", smooth.astype(np.uint16) * 16)[1].tobytes()
    if hasattr(cv2, "Animation"):  # since 4.11
        frames = cv2.Animation()
        frames.frames, frames.durations = [smooth, pixels], np.array([40, 40])
        for ending in (".gif", ".webp", ".png"):
            written, data = cv2.imencodeanimation(ending, frames)
            if written:
                found[f"frames{ending}"] = data.tobytes()
    found["progressive.jpg"] = cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    return found


def attempt(reader: str, what: str, action: Callable[[], object], tried: Tried, wrong: list[str]) -> None:
    """Do something that may only succeed or raise an error of ours, and count it."""
    begun = time.process_time()  # not of the clock, which others on the machine slow down
    try:
        action()
    except CropdetError:
        tried[reader]["refused"] += 1
    except Exception:
        tried[reader]["neither"] += 1
        wrong.append(f"{what}: {traceback.format_exc(limit=-3)}")
    else:
        tried[reader]["read"] += 1
    if time.process_time() - begun > 5:
        wrong.append(f"{what}: took {time.process_time() - begun:.0f} s")


def read(path: Path) -> None:
    """Open a data set in every way, and decode its images."""
    load_annotations(path)
    load_dataset(path, errors="clip")
    for sample in load_dataset(path):
        sample.image()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--files", type=int, help="of each reader, however long it takes")
    parser.add_argument("--reader", action="append", choices=READERS, help="may be given several times; all if not")
    chosen = parser.parse_args()
    readers = chosen.reader or READERS
    dice, wrong = random.Random(chosen.seed), list[str]()
    tried: Tried = {reader: Counter() for reader in readers}
    warnings.simplefilter("ignore")
    sound, encoded = truth(), pictures()
    end = time.monotonic() + chosen.seconds
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for entry in sound["images"]:
            (folder / entry["file_name"]).write_bytes(encoded[".png"])
        path = folder / "set.json"
        path.write_text(json.dumps(sound))
        read(path)
        (folder / "formats").mkdir()
        mutants = Mutants(folder / "formats", mutated)
        written = WrittenMutants(folder / "written", change, mutated) if {*readers} & {*WRITTEN} else None
        while time.monotonic() < end or chosen.files:
            reader = min(readers, key=lambda each: sum(tried[each].values()))
            if chosen.files and sum(tried[reader].values()) >= chosen.files:
                break
            if reader == "records":
                attempt(reader, *mutants.records(dice, change), tried, wrong)
            elif reader == "coco":
                content = sound
                for _ in range(dice.choice((1, 1, 1, 2, 4))):
                    content = change(content, dice)
                text = json.dumps(content).encode()
                path.write_bytes(mutated(text, dice) if dice.random() < 0.1 else text)
                attempt(reader, f"JSON {json.dumps(content)[:3000]}", lambda: read(path), tried, wrong)
            elif reader == "images":
                name = dice.choice(list(encoded))
                data, size = mutated(encoded[name], dice), dice.choice((None, (60, 40)))
                found: list[tuple[str, str]] = []
                note = lambda kind, detail: found.append((kind, detail))  # noqa: B023, E731
                what = f"{name} {data.hex()[:3000]}"
                attempt(reader, what, lambda: decode_image(data, name, size, note), tried, wrong)  # noqa: B023
            elif written is not None and reader in WRITTEN:
                attempt(reader, *written.one(reader, dice), tried, wrong)
            else:
                what, action, restore = mutants.one(reader, dice)
                attempt(reader, what, action, tried, wrong)
                restore()
    sys.stdout.write("".join(f"{each}\n" for each in wrong[:20]))
    for reader, counts in tried.items():
        sys.stdout.write(f"{reader:14} {sum(counts.values()):7,} tried: {dict(counts)}\n")
    total = sum((Counter(each) for each in tried.values()), Counter[str]())
    neither = total.pop("neither", 0)
    sys.stdout.write(f"{sum(total.values()) + neither} tried: {dict(total)}, {len(wrong)} neither\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
