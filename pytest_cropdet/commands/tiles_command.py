"""``pytest-cropdet tiles``: which tile size, overlap and merge, as a table, a picture, and one line of advice."""

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cropdet.commands.command import AMISS, OK, Command, UsageMistake, Write
from pytest_cropdet.commands.model_and_data import add_data_and_conventions, described, given_dataset

if TYPE_CHECKING:
    from pytest_cropdet.comparison import TileSearch
    from pytest_cropdet.detectors import Sliced

__all__ = ["TILES"]

_HEAD = ("", "tiles", "calls", "images", "mAP", "gain", "small", "medium", "large", "doubles", "halves")
_SIZES, _OVERLAPS, _MERGES = "256,320,448,640", "0,0.2,0.4", "nms"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model that sees the tiles, as in --cropdet-model")
    add_data_and_conventions(parser, "an annotated data set", required=True)
    parser.add_argument(
        "--sizes", metavar="LIST", default=_SIZES, help=f"tile sides: pixels, shares, or WIDTHxHEIGHT ({_SIZES})"
    )
    parser.add_argument(
        "--overlaps", metavar="LIST", default=_OVERLAPS, help=f"shares by which tiles overlap ({_OVERLAPS})"
    )
    parser.add_argument("--merges", metavar="LIST", default=_MERGES, help=f"how tiles are merged ({_MERGES})")
    parser.add_argument("--no-whole", action="store_true", help="do not send the whole image beside its tiles")
    parser.add_argument("--sample-images", metavar="N", type=int, help="use N images, chosen by the seed (all)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of samples and resamples (0)")
    parser.add_argument(
        "--cache", metavar="DIR", default=".cropdet", help="where detections are stored, off for nowhere (.cropdet)"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", default=".cropdet/tiles", help="for tiles.png and tiles.json (.cropdet/tiles)"
    )


def _run(arguments: argparse.Namespace, write: Write) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of data sets: inspect shows them
        return _compare(arguments, write)


def _compare(arguments: argparse.Namespace, write: Write) -> int:
    from pytest_cropdet.comparison import search_tiles
    from pytest_cropdet.crops import choose_samples
    from pytest_cropdet.errors import SpecError
    from pytest_cropdet.inference import Cache

    given = described(arguments.detector)
    cells = _cells(arguments, given)
    dataset = given_dataset(arguments.data, arguments.images)
    samples = choose_samples(dataset, arguments.sample_images, arguments.seed)
    cache = None if arguments.cache == "off" else Cache(Path(arguments.cache))
    try:
        found = search_tiles(cells, dataset, samples, cache, arguments.seed, say=_note)
    except SpecError as error:
        raise UsageMistake(str(error)) from error
    for line in _table(found):
        write(line)
    for path in _files(found, Path(arguments.output)):
        write(f"written: {path}")
    write("")
    write(f"advice: {found.advice}")
    low = found.advised[0].gain["all"].low
    return OK if low is not None and low > 0 else AMISS


def _cells(arguments: argparse.Namespace, given: dict[str, str]) -> list["Sliced"]:
    from pytest_cropdet.detectors import Sliced, load_detector
    from pytest_cropdet.errors import DetectorError, SpecError

    try:
        inner = load_detector(arguments.model, **given)
        return [
            Sliced(inner, size=size, overlap=_number(overlap), merge=merge, whole=not arguments.no_whole)
            for size in _listed(arguments.sizes)
            for overlap in _listed(arguments.overlaps)
            for merge in _listed(arguments.merges)
        ]
    except (DetectorError, SpecError) as error:
        raise UsageMistake(str(error)) from error


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageMistake(f"--overlaps: {text!r} is no number") from None


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _table(found: "TileSearch") -> list[str]:
    """Return the cells in lines, the front marked."""
    from pytest_cropdet.evaluation import bounds_text, digits

    front = {cell.gain.name for cell in found.front}
    rows: list[tuple[str, ...]] = [
        ("", "tiles", "calls", "images", "mAP", "gain", "small", "medium", "large", "doubles", "halves")
    ]
    for cell in found.cells:
        gain = cell.gain
        mark = "*" if gain.name in front else ("stopped" if cell.stopped else "")
        total = gain.gain["all"]
        sizes = [digits(gain.gain[size].value) for size in ("small", "medium", "large")]
        numbers = f"{digits(total.value)}{bounds_text(total.low, total.high)}"
        rest = (str(gain.seams.doubles), str(gain.seams.halves))
        rows.append((mark, gain.name, f"{gain.calls:.1f}", str(gain.images), digits(cell.ap), numbers, *sizes, *rest))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [
        *lines,
        "",
        "gain: mAP of tiles minus mAP of one pass over the whole image, with 95% bounds; calls: images sent per image",
        "*: no other tiling has more mAP for as many calls or fewer; stopped: surely worse than the best, measured no "
        "further",
        "",
    ]


def _files(found: "TileSearch", folder: Path) -> list[Path]:
    from pytest_cropdet.files import write_whole

    folder.mkdir(parents=True, exist_ok=True)
    numbers = folder / "tiles.json"
    write_whole(numbers, json.dumps(found.to_dict(), indent=1) + "\n")
    from pytest_cropdet.figures import draw_tiles

    rows = [
        (cell.gain.name, cell.gain.calls, cell.ap, cell.stopped, any(cell is each for each in found.front))
        for cell in found.cells
    ]
    picture = folder / "tiles.png"
    try:
        draw_tiles(rows, found.cells[0].gain.ap["all"][0]).savefig(picture, dpi=120)
    except ImportError:  # no matplotlib
        return [numbers]
    return [picture, numbers]


TILES = Command(
    "tiles",
    "Compare tile sizes, overlaps and merges of sliced inference with one pass over the whole image.",
    _arguments,
    _run,
    "exit codes: 0 slicing surely gains; 1 no tiling surely gains; 2 the command was called wrongly",
)
