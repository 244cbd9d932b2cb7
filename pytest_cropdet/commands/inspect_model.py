"""What ``inspect MODEL`` prints: how the model is read, what was measured, what to set, and a picture."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pytest_cropdet.commands.command import AMISS, OK, UsageMistake, Write
from pytest_cropdet.commands.pictures import found_tile, picture_folder, write_sheet
from pytest_cropdet.data import Dataset, Detections, Sample, read_image, reconcile, warnings_of
from pytest_cropdet.detectors import Description, DetectorHandle, facts_of, load_detector, origins
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.evaluation import best_f1_score, digits, whole_image_ap
from pytest_cropdet.invariants import Candidate, Examination, advice_lines, examine, hint_lines, measured_lines
from pytest_cropdet.terms import DETECTOR_KINDS, SERVED_KINDS, fold, one_line

__all__ = ["inspect_model"]

CHEAP_SECONDS = 60.0  # of detector time, up to which AP is measured on all images
IMAGES_DRAWN, FOUND_CELL = 4, (640, 480)
LONGEST_VALUE = 32  # letters
MOST_DETECTIONS = 20  # detections in an image
USUAL_SCORE = 0.3  # from which detections are drawn where no truth says better
NAMES = 8  # of categories that are listed


def inspect_model(arguments: argparse.Namespace, given: Mapping[str, str], data: Dataset | None, write: Write) -> int:
    """Print what is known of a model, and return the exit code."""
    try:
        name = load_detector(arguments.model, **given).name
    except DetectorError as error:
        raise UsageMistake(str(error)) from error
    if data is not None:
        _note(f"measuring on images of {data.name} ...")
    found = examine(arguments.model, given, data, arguments.seconds)
    for line in (*_model_lines(name, arguments.model, found), ""):
        write(line)
    if data is not None:
        for line in (*_data_lines(data), *measured_lines(found), ""):
            write(line)
    pictures = list[Path]()
    shown = _best(found)
    if shown is not None and data is not None:
        for line in (*_ap_lines(found, shown, data), ""):
            write(line)
        pictures.append(_draw_measured(arguments.output, name, found, shown))
    if arguments.image is not None and found.detector is not None:
        if found.undecided:
            write("The image is read with values that are still open, so boxes and scores may be wrong.")
        pictures.append(_draw_image(arguments, name, found, data, write))
    pictures_said = [f"Picture: {path}" for path in pictures]
    advice = _conclusion(found, data)
    for line in (*pictures_said, *([""] if pictures else []), *advice):
        write(line)
    return OK if _is_well(found) else AMISS


def _note(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _is_well(found: Examination) -> bool:
    if found.refusal or found.detector is None or found.undecided:
        return False
    return not advice_lines(found)


def _model_lines(name: str, said: str, found: Examination) -> Iterator[str]:
    kind = name.partition(":")[0]
    yield f"Model: {name}"
    if kind in SERVED_KINDS:
        yield f"  kind: {kind} ({SERVED_KINDS[kind]})"
    elif kind not in DETECTOR_KINDS:
        yield "  kind: a function of your own: RGB images in, boxes x0 y0 x1 y1 in pixels of the image out"
    else:
        why = "as you said" if said.startswith(f"{kind}:") else "recognised by its name and contents"
        yield f"  kind: {kind} ({DETECTOR_KINDS[kind]}; {why})"
    facts = facts_of(name, found.given)
    if facts.signature:
        yield f"  signature: {facts.signature}"
    for word, tensors in (("input", facts.inputs), ("output", facts.outputs)):
        for each in tensors:
            more = f"  ({each.more})" if each.more else ""
            yield f"  {word}: {each.name}  {each.dtype} {each.shape}{more}"
    if facts.metadata:
        yield f"  metadata: {one_line(facts.metadata)}"
    if found.detector is not None:
        yield f"  categories: {_categories(found)}"
    if found.refusal and not found.opened:
        yield ""
        yield from found.refusal.splitlines()
    if kind in DETECTOR_KINDS or kind in SERVED_KINDS:
        yield from _convention_lines(kind, found)


def _categories(found: Examination) -> str:
    if found.detector is None or found.detector.categories is None:
        return "no names known (--cropdet-detector=labels=FILE gives them)"
    names = found.detector.categories
    shown = ", ".join(f"{key} {name}" for key, name in list(names.items())[:NAMES])
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    source = "" if not found.labels else " (the data set's, tried because the model has none)"
    return f"{len(names)}: {one_line(shown)}{more}{source}"


def _convention_lines(kind: str, found: Examination) -> Iterator[str]:
    given = dict(found.given)
    base = found.detector
    if base is None and not found.opened:
        return
    description = Description.of(**given) if base is None else base.description
    was = _declared(found)
    rows = origins(replace(description, **Description.of(**was).known()), given, found.opened, kind)
    rows = [row for row in rows if row.key != "labels" or row.key in given or row.is_open]
    if not rows:
        return
    yield ""
    yield "Conventions:"
    key_width, width = max(len(row.key) for row in rows), max(len(_cut(row.value)) for row in rows)
    for row in rows:
        source = f"{row.source} (measured to be wrong, see below)" if row.key in was else row.source
        start = f"  {row.key.ljust(key_width)}  {_cut(row.value).ljust(width)}  "
        if row.is_open:
            yield f"{start}open"
            yield from fold(row.source.removeprefix("open: "), 76, " " * 6, " " * 6)
        else:
            yield f"{start}{source}"


def _cut(value: str) -> str:
    if len(value) > LONGEST_VALUE and ("/" in value or "\\" in value) and "," not in value:
        value = f".../{Path(value).name}"
    return value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 3]}..."


def _declared(found: Examination) -> dict[str, str]:
    """Return the values that were measured to be wrong."""
    was: dict[str, str] = {}
    for each in found.measured.wrong if found.measured else ():
        words = zip(each.keys, each.value_of(each.declared), each.value_of(each.best), strict=True)
        was |= {key: before for key, before, after in words if before != after}
    return was


def _data_lines(data: Dataset) -> Iterator[str]:
    yield f"Data: {data.name}: {len(data)} images, {len(data.categories)} categories"
    for each in warnings_of(data):
        yield f"  warning: {one_line(each['text'])}"


def _best(found: Examination) -> Candidate | None:
    if found.measured is not None:
        return None if found.measured.best.refused else found.measured.best
    return None if found.function is None else found.function.shown


def _ap_lines(found: Examination, shown: Candidate, data: Dataset) -> Iterator[str]:
    detector = found.detector
    if detector is None:
        return
    settled = "" if not found.undecided else ", with the best values so far"
    if found.measured is not None and not found.measured.finds:
        return
    count = len(shown.images)
    chosen = whole_image_ap(shown.images.samples, shown.translated, data.categories)
    yield (
        f"AP of whole images, by COCO's rules{settled}: mAP {_number(chosen.mAP)}, AP50 {_number(chosen.AP50)} on "
        f"these {count} images"
    )
    if found.measured is not None and found.measured.wrong and not found.measured.declared.refused:
        before = found.measured.declared
        was = whole_image_ap(before.images.samples, before.translated, data.categories)
        yield f"  as it was declared: mAP {_number(was.mAP)}, AP50 {_number(was.AP50)}"
    each = detector.seconds / max(1, detector.images_sent) if detector.images_sent else _time(detector, shown)
    if each * len(data) > CHEAP_SECONDS or len(data) == count:
        return
    _note(f"running the detector on all {len(data)} images ...")
    samples = list(data)
    every = _detect(detector, samples, data.categories)
    ap = whole_image_ap(samples, every, data.categories)
    yield (
        f"  mAP {_number(ap.mAP)}, AP50 {_number(ap.AP50)} on all {len(data)} images: compare it with the number that "
        "you know from training"
    )


def _time(detector: DetectorHandle, shown: Candidate) -> float:
    """Return the seconds that one image takes."""
    images = shown.images.first(2)
    detector([images.pixels(images.samples[0])])
    before = detector.seconds
    detector([images.pixels(images.samples[-1])])
    return detector.seconds - before


def _detect(detector: DetectorHandle, samples: Sequence[Sample], names: Mapping[int, str]) -> list[Detections]:
    categories = reconcile(detector.categories, names, ())
    return [categories.translate(detector([sample.image()])[0]) for sample in samples]


def _number(value: float) -> str:
    return digits(None if np.isnan(value) else value)


def _draw_measured(folder: str | None, name: str, found: Examination, shown: Candidate) -> Path:
    images = shown.images
    # of the half with fewer objects, in which one sees more
    order = sorted(range(len(images)), key=lambda place: (len(images.samples[place].truth), place))
    half = sorted(order[: max(IMAGES_DRAWN, len(order) // 2)])
    places = sorted({half[len(half) * place // IMAGES_DRAWN] for place in range(IMAGES_DRAWN)})
    least = best_f1_score(images.samples, shown.translated, sorted(images.names))
    tiles = [
        found_tile(
            images.pixels(images.samples[place]),
            images.samples[place],
            shown.translated[place],
            images.names,
            least,
            images.samples[place].id,
        )
        for place in places
    ]
    values = ", ".join(f"{key}={value}" for key, value in found.decided.items() if key != "labels")
    title = f"{_stem(name)}{f' with {values}' if values else ''}: detections from score {least:.2f} (best F1 here)"
    return write_sheet(picture_folder(folder) / f"{_stem(name)}-detections.png", tiles, 2, FOUND_CELL, title)


def _draw_image(
    arguments: argparse.Namespace, name: str, found: Examination, data: Dataset | None, write: Write
) -> Path:
    detector = found.detector
    if detector is None:
        raise DetectorError(found.refusal)
    image = read_image(Path(arguments.image))
    detections = detector([image])[0]
    order = np.argsort(-detections.scores, kind="stable")
    names = dict(detector.categories or {})
    if not names and data is not None:
        names = dict(data.categories)
    write(f"{arguments.image}: {len(detections)} detections" + (", the strongest first:" if len(detections) else ""))
    for row in order[:MOST_DETECTIONS]:
        box = " ".join(f"{side:.1f}" for side in detections.boxes[row])
        category = int(detections.categories[row])
        write(f"  {detections.scores[row]:.3f}  {names.get(category, f'id {category}')}  {box}")
    if len(order) > MOST_DETECTIONS:
        write(f"  and {len(order) - MOST_DETECTIONS} more")
    strong = int((detections.scores >= USUAL_SCORE).sum())
    least = USUAL_SCORE if strong else float(detections.scores[order[:MOST_DETECTIONS]].min(initial=1.0))
    tile = found_tile(image, None, detections, names, least, Path(arguments.image).name)
    high, wide = image.shape[:2]
    zoom = min(1200 / wide, 900 / high, 3.0)
    cell = (max(480, round(wide * zoom)), max(240, round(high * zoom)))
    title = f"{_stem(name)}: detections from score {least:.2f}"
    path = picture_folder(arguments.output) / f"{_stem(name)}-{Path(arguments.image).stem}.png"
    return write_sheet(path, [tile], 1, cell, title)


def _stem(name: str) -> str:
    """Return a short name of a model for files.

    >>> _stem("saved_model:nets/ssd/saved_model"), _stem("tflite:ssd.tflite"), _stem("mine.nets:make")
    ('ssd-saved_model', 'ssd', 'mine.nets.make')
    """
    kind, _, rest = name.partition(":")
    if kind not in DETECTOR_KINDS:
        return "".join(letter if letter.isalnum() or letter in "._-" else "." for letter in name)
    path = Path(rest)
    general = path.stem in ("saved_model", "model") and path.parent.name
    return f"{path.parent.name}-{path.stem}" if general else path.stem


def _conclusion(found: Examination, data: Dataset | None) -> Iterator[str]:
    advice = advice_lines(found)
    if found.refusal and not found.opened:
        return
    hints = hint_lines(found)
    yield from (*advice, *hints)
    if data is None and any(len(each.values) > 1 for each in found.undecided):
        yield "To measure which values are right, add --data=ANNOTATED_DATA"
    if advice or hints:
        return
    if found.function is not None or found.measured is not None:
        yield "All is well: the conventions fit the annotated objects, and nothing is open."
    elif data is not None:
        yield "Nothing is open. The data has no annotated objects, so nothing can be measured"
    elif not found.undecided:
        yield "Nothing is open. To check the conventions against annotated objects, add --data=PATH"
