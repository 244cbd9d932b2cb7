"""The formats beside COCO JSON for mutate_data.py: sound sets of each, and one mistake or several put into a file."""

import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from pytest_cropdet import Mask, dataset_from_records, load_dataset
from pytest_cropdet.data import GroundTruth, Sample
from pytest_cropdet.errors import CropdetError
from tests.data import writers

NAMES = {1: "cat", 2: "dog", 3: "bird"}
WIDTH, HEIGHT = 60, 40
WORDS = (
    *(
        "",
        "0",
        "-1",
        "1",
        "0.5",
        "1e400",
        "-1e308",
        "nan",
        "inf",
        "9" * 30,
        "x",
        "\ud7ff",
        "a\0b",
        "..",
        "../x",
        "/etc/passwd",
        "%2e%2e/x",
        "0.PNG",
        "0.jpg",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        ":",
        "- ",
        "&a",
        "*a",
        "!!python/name:os.system",
        "!x",
        "<<",
        "'",
        '"',
        ",",
        ";",
        "\t",
        "\n",
        "#",
        "%",
    ),
    *(
        "<",
        ">",
        "</object>",
        "<object>",
        "&x;",
        "&#0;",
        "<!ENTITY x 'y'>",
        "<!DOCTYPE a [",
        "<![CDATA[",
        "item {",
        "id: 1",
    ),
)
SETS = (*(name for name in writers.FORMATS if name != "coco"), "gzip", "polygons")
TOKENS = re.compile(rb"[\w.+-]+|\s+|[^\w\s]")


def samples() -> list[Sample]:
    """Four images with three objects each, with masks."""
    dice, found = np.random.default_rng(0), []
    for number in range(4):
        pixels = dice.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        boxes = np.array([[4.0 * row, 3.0 * row, 4.0 * row + 12, 3.0 * row + 10] for row in range(1, 4)])
        masks = []
        for left, top, right, bottom in boxes.astype(int):
            shape = np.zeros((HEIGHT, WIDTH), np.uint8)
            shape[top:bottom, left:right] = 1
            masks.append(Mask.encode(shape))
        truth = GroundTruth(boxes, [1, 2, 3], ignored=[False, False, number == 0], masks=tuple(masks))
        found.append(Sample(f"{number}.png", WIDTH, HEIGHT, truth, lambda pixels=pixels: pixels))
    return found


def named(names: set[str], read: Callable[[], object]) -> None:
    """Read; an error of ours that names no file is a mistake of its own.

    ``names``: of the files of the set. A table may name a file elsewhere, too, by its whole path.
    """
    try:
        read()
    except CropdetError as error:
        elsewhere = re.findall(r"(?<!\S)/[^\s:,;]+", str(error))
        if not any(name in str(error) for name in names) and not any(Path(each).exists() for each in elsewhere):
            raise AssertionError(f"names none of {', '.join(sorted(names))}: {error}") from error
        raise


class Mutants:
    """Sets of every format in folders of their own; each call changes one of their files and reads the set."""

    def __init__(self, folder: Path, mutated: Callable[[bytes, random.Random], bytes]) -> None:
        self.mutated, self.samples = mutated, samples()
        self.sets: list[tuple[str, Path, list[Path]]] = []
        for name, write in writers.FORMATS.items():
            if name != "coco":
                place = folder / name.replace(" ", "_")
                place.mkdir()
                path = write(place, self.samples, NAMES)
                self.sets.append((name, path, self._files(place)))
        place = folder / "zipped"
        place.mkdir()
        self.sets.append(("gzip", writers.tfrecord(place, self.samples, NAMES, zipped=True), self._files(place)))
        place = folder / "polygons"
        place.mkdir()
        path = writers.yolo(place, self.samples, NAMES)
        for file in (place / "labels" / "val").iterdir():
            file.write_text("1 0.1 0.1 0.5 0.1 0.4 0.6\n2 0.2 0.2 0.3 0.2 0.3 0.3 0.2 0.4 0.1 0.3\n")
        self.sets.append(("polygons", path, self._files(place)))
        for _, path, _ in self.sets:
            self.read(path)

    def _files(self, place: Path) -> list[Path]:
        files = sorted(each for each in place.rglob("*") if each.is_file())
        texts = [each for each in files if each.suffix != ".png"]
        return [*texts, *texts, *files]  # images seldom

    def read(self, path: Path) -> None:
        """Open a set in every way, and decode its images."""
        load_dataset(path, errors="clip")
        for sample in load_dataset(path):
            sample.image()

    def one(self, reader: str, dice: random.Random) -> tuple[str, Callable[[], None], Callable[[], None]]:
        """Change a file of a set; return what was done, what reads the set, and what puts the file back."""
        name, path, files = next(each for each in self.sets if each[0] == reader)
        file = dice.choice(files)
        sound = file.read_bytes()
        if name == "tfrecord" and file.suffix == ".tfrecord" and dice.random() < 0.8:
            changed = self._record(dice)
        elif dice.random() < 0.6:
            changed = self._words(sound, dice)
        else:
            changed = self.mutated(sound, dice) if sound else b"\0"
        file.write_bytes(changed)
        what = f"{name}, {file.name}: {changed.hex()[:4000]}"
        names = {path.name, *(each.name for each in files)}
        return what, lambda: named(names, lambda: self.read(path)), lambda: file.write_bytes(sound)

    def _words(self, sound: bytes, dice: random.Random) -> bytes:
        """Put something odd in the place of words, or take some out, or repeat some."""
        tokens = TOKENS.findall(sound[: 1 << 16])
        for _ in range(dice.choice((1, 1, 2, 4))):
            if not tokens:
                break
            place = dice.randrange(len(tokens))
            how = dice.random()
            if how < 0.6:
                tokens[place] = dice.choice(WORDS).encode("utf-8", "surrogatepass")
            elif how < 0.8:
                del tokens[place : place + dice.choice((1, 1, 5))]
            else:
                tokens[place:place] = tokens[place : place + dice.choice((1, 5, 20))] * dice.choice((1, 3, 50))
        return b"".join(tokens)

    def _record(self, dice: random.Random) -> bytes:
        """Change the content of a record and give it the right checksum."""
        contents = [writers.example_of(sample, NAMES) for sample in self.samples]
        row = dice.randrange(len(contents))
        contents[row] = self.mutated(contents[row], dice)
        return b"".join(map(writers.record, contents))

    def records(
        self, dice: random.Random, change: Callable[[object, random.Random], object]
    ) -> tuple[str, Callable[[], None]]:
        """Return odd records and what reads them."""
        objects = {"bbox": [[1, 2, 10, 8], [4, 4, 9, 9]], "label": [0, 1], "is_crowd": [0, 1], "area": [80.0, 81.0]}
        sound = {"image": self.samples[0].image(), "id": 7, "objects": objects}
        changed = {**sound, "objects": change(objects, dice)} if dice.random() < 0.7 else change(sound, dice)

        def read() -> None:
            data = dataset_from_records([sound, changed], boxes="xywh", units="pixels", categories=["a", "b"])
            for sample in data:
                sample.image()

        shown = {key: each for key, each in changed.items() if key != "image"} if isinstance(changed, dict) else changed
        return f"records {shown!r}"[:4000], read
