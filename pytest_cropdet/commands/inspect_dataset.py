"""What ``inspect --data`` prints without a model: what a data set contains, what is odd, what a gate could tell."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pytest_cropdet.commands.command import AMISS, OK, Write
from pytest_cropdet.commands.pictures import picture_folder, truth_tile, write_sheet
from pytest_cropdet.data import Dataset, Sample, warnings_of
from pytest_cropdet.errors import DataError
from pytest_cropdet.evaluation import COCO_AREA_RANGES, COCO_SIZES, MIN_IMAGES_PER_CATEGORY, size_classes
from pytest_cropdet.gate import dry_run
from pytest_cropdet.invariants import choose_spread
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.terms import one_line

__all__ = ["inspect_dataset"]

DATA_IMAGES_DRAWN, SHEET_COLUMNS, DATA_CELL = 12, 4, (400, 300)
CATEGORIES_LISTED = 40  # categories


def inspect_dataset(data: Dataset, folder: str | None, write: Write) -> int:
    """Print what a data set contains, write a sheet of its images, and return the exit code."""
    samples = sorted(data, key=lambda each: each.id)
    for line in _size_lines(data, samples):
        write(line)
    if not getattr(data, "has_truth", True) or not any(len(each.truth) for each in samples):
        write("No annotated objects: a gate can compare crops with whole images only (agreement)")
    else:
        for line in (*_category_lines(data, samples), "", *_gate_lines(data)):
            write(line)
    odd, path = "", None
    try:
        path = _draw(data, samples, folder)
    except DataError as error:
        odd = str(error)
    found = [f"  {one_line(each['text'])}" for each in warnings_of(data)]
    if odd:
        found.append(f"  an image cannot be read: {odd}")
    write("")
    for line in ("What is odd:", *found) if found else ("Nothing odd was found.",):
        write(line)
    if path is not None:
        write(f"Picture: {path}")
    return AMISS if found else OK


def _size_lines(data: Dataset, samples: list[Sample]) -> Iterator[str]:
    crowds = sum(int(each.truth.crowd.sum()) for each in samples)
    ignored = sum(int((each.truth.ignored & ~each.truth.crowd).sum()) for each in samples)
    objects = sum(int(each.truth.counted.sum()) for each in samples)
    empty = sum(not each.truth.counted.any() for each in samples)
    masks = sum(mask is not None for each in samples for mask in each.truth.masks)
    yield f"Data: {data.name}"
    yield f"  images: {len(samples):,}{f', {empty:,} of them without objects' if empty else ''}"
    if samples:
        sizes = sorted({(each.width, each.height) for each in samples}, key=lambda size: size[0] * size[1])
        (low, high) = (f"{wide} x {tall}" for wide, tall in (sizes[0], sizes[-1]))
        yield f"  sizes: {low if len(sizes) == 1 else f'{low} to {high}'} px"
    per_image = f", {objects / len(samples):.1f} an image" if samples else ""
    beside = [f"{count:,} {what}" for count, what in ((crowds, "crowds"), (ignored, "ignored objects")) if count]
    more = f"; beside them {' and '.join(beside)}, which are never scored" if beside else ""
    yield f"  objects: {objects:,}{per_image}{more}"
    yield f"  masks: {f'{masks:,} objects have one' if masks else 'none'}"
    area = np.concatenate([np.zeros(0), *(each.truth.areas[each.truth.counted] for each in samples)])
    if not len(area):
        return
    counts = np.bincount(size_classes(area), minlength=len(COCO_SIZES))
    borders = {
        "small": f"up to {COCO_AREA_RANGES['small'][1] ** 0.5:.0f}^2 px",
        "medium": f"up to {COCO_AREA_RANGES['medium'][1] ** 0.5:.0f}^2 px",
        "large": "above",
    }
    shares = [
        f"{name} ({borders[name]}) {int(count):,} = {count / len(area):.0%}"
        for name, count in zip(COCO_SIZES, counts, strict=True)
    ]
    yield f"  object sizes, COCO's: {', '.join(shares)}"


def _category_lines(data: Dataset, samples: list[Sample]) -> Iterator[str]:
    objects: dict[int, int] = {}
    images: dict[int, int] = {}
    for sample in samples:
        keys, counts = np.unique(sample.truth.categories[sample.truth.counted], return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            objects[key] = objects.get(key, 0) + count
            images[key] = images.get(key, 0) + 1
    order = sorted(data.categories, key=lambda key: (-objects.get(key, 0), key))
    few = [key for key in order if 0 < images.get(key, 0) < MIN_IMAGES_PER_CATEGORY]
    none = [key for key in order if not objects.get(key)]
    yield ""
    many = len(order) - len(few) - len(none)
    yield f"Categories: {len(order)}, {many} of them in {MIN_IMAGES_PER_CATEGORY} or more images"
    shown = [key for key in order if objects.get(key)][:CATEGORIES_LISTED]
    width = max((len(one_line(data.categories[key])) for key in shown), default=4)
    yield f"  {'id':>5}  {'name'.ljust(width)}  {'objects':>8}  {'images':>7}"
    for key in shown:
        note = f"   in fewer than {MIN_IMAGES_PER_CATEGORY} images: not part of the mean" if key in few else ""
        name = one_line(data.categories[key]).ljust(width)
        yield f"  {key:>5}  {name}  {objects[key]:>8,}  {images[key]:>7,}{note}"
    rest = len(order) - len(none) - len(shown)
    if rest:
        yield f"  and {rest} more"
    if none:
        names = ", ".join(one_line(data.categories[key]) for key in none[:8])
        yield f"  without objects: {names}{f' and {len(none) - 8} more' if len(none) > 8 else ''}"


def _gate_lines(data: Dataset) -> Iterator[str]:
    yield "A gate on it, with the default crops:"
    for line in dry_run(data, RunSettings()).lines():
        yield f"  {line}"


def _draw(data: Dataset, samples: list[Sample], folder: str | None) -> Path | None:
    chosen = choose_spread(data, DATA_IMAGES_DRAWN)
    chosen = chosen or samples[:DATA_IMAGES_DRAWN]
    if not chosen:
        return None
    tiles = [truth_tile(sample, data.categories) for sample in chosen]
    path = picture_folder(folder) / f"{_stem(data.name)}-data.png"
    return write_sheet(
        path, tiles, SHEET_COLUMNS, DATA_CELL, f"{Path(data.name).name}: {len(tiles)} of {len(samples):,} images"
    )


def _stem(name: str) -> str:
    path = Path(name)
    parts = [path.parent.name, path.stem] if path.stem in ("instances", "annotations", "data") else [path.stem]
    plain = ("".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in part) for part in parts)
    return "-".join(part for part in plain if part)
