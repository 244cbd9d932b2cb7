"""Draws docs/images/*.png and sliced.jpg from the shipped models and scenes: `python docs/make_pictures.py`."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import numpy.typing as npt

from pytest_cropdet import (
    Crop,
    Dataset,
    Detections,
    Detector,
    Sample,
    Sliced,
    compare,
    draw_anchors,
    find_worst_crop,
    load_dataset,
    load_detector,
    read_anchors,
    run,
)
from pytest_cropdet.augment import Augmentation, Context, Cut, Generic, Matched, Position, Scale
from pytest_cropdet.commands import main as command
from pytest_cropdet.comparison import compare_sliced
from pytest_cropdet.geometry import areas, iou
from pytest_cropdet.search.dataset_search import search

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
IMAGES = Path(__file__).with_name("images")
SAMPLE, CROP, SCORE = "scene_0190.jpg", Crop(1, 22, 229, 171), 0.4
ANCHOR_SAMPLE, ANCHOR_CROP, ANCHOR_BOX = "scene_0216.jpg", Crop(19, 52, 48, 36), (21.0, 48.0, 63.0, 96.0)
INPUT_SIZE = (320, 240)
SEARCHED = "scene_0001.jpg"
SNIPPET_CROP = Crop(60, 16, 200, 150)
INSPECT_WIDTH = 720
SMALL = [cv2.IMWRITE_PNG_COMPRESSION, 9]


RECIPES = {
    "Context()": Context(),
    "Cut()": Cut(visible=(0.3, 0.9)),
    "Position()": Position(),
    "Scale()": Scale(),
    'Matched("random:keep=0.3-0.9")': Matched("random:keep=0.3-0.9"),
}


def draw_augment() -> None:
    """Draw the picture of docs/augment.md: one scene, three samples of each recipe, with its boxes."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    sample = next(each for each in load_dataset(ROOT / "fixtures" / "scenes") if each.id == SAMPLE)
    rows = {name: Augmentation((recipe,), width=320, height=240) for name, recipe in RECIPES.items()}
    rows["Generic()"] = Generic()
    figure = Figure(figsize=(10.6, 2.05 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 4)
    for line, (name, augmentation) in zip(axes, rows.items(), strict=True):
        whole = Augmentation((Position(leave=1.0),))
        for number, place in enumerate(line):
            make = whole if number == 0 else augmentation
            shown = make(sample.image(), sample.truth, index=number + 7)
            place.imshow(shown.image)
            for (x0, y0, x1, y1), ignored in zip(shown.boxes, shown.ignored, strict=True):
                colour = "orange" if ignored else "lime"
                edge = Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, color=colour, linewidth=1.5)
                place.add_patch(edge)
            place.set_xticks([])
            place.set_yticks([])
        line[0].set_ylabel(name.replace('("', '\n("'), fontsize=9)
    axes[0][0].set_title("the sample", fontsize=9)
    figure.savefig(IMAGES / "augment.png", dpi=60)


def draw_anchor_picture() -> None:
    """Draw the picture of docs/anchors.md."""
    sample = next(each for each in load_dataset(ROOT / "fixtures" / "scenes") if each.id == ANCHOR_SAMPLE)
    anchors = read_anchors(MODELS / "ssd_anchors.json")
    figure = draw_anchors(sample.image(), ANCHOR_CROP, ANCHOR_BOX, anchors, INPUT_SIZE)
    figure.savefig(IMAGES / "anchors.png", dpi=90)


def draw_compare() -> None:
    """Draw the picture of README and docs/compare.md, and print its table."""
    detector = load_detector(MODELS / "saved_model", labels=MODELS / "labels.txt")
    sample = next(each for each in load_dataset(ROOT / "fixtures" / "scenes") if each.id == SAMPLE)
    comparison = compare(detector, sample.image(), CROP, score=SCORE)
    print(comparison)
    comparison.plot().savefig(IMAGES / "compare.png", dpi=90)


def draw_causes() -> None:
    """Draw the pictures of docs/causes.md, of the gate on `fixtures/scenes`, and print its table of labels."""
    detector = load_detector(MODELS / "saved_model", labels=MODELS / "labels.txt")
    gate = run(detector, load_dataset(ROOT / "fixtures" / "scenes"), crops="random:keep=0.3-0.9,per_image=2")
    gate.plot.steps().savefig(IMAGES / "steps.png", dpi=90)
    gate.plot.where().savefig(IMAGES / "where.png", dpi=110)
    gate.plot.shift().savefig(IMAGES / "shift.png", dpi=110)
    without_context = gate.objects.truth.image[gate.causes.fates.lost_at == 0]
    gate.plot.renderings(int(np.bincount(without_context).argmax())).savefig(IMAGES / "renderings.png", dpi=90)
    for change in gate.labels.flipped:
        print(change)


def draw_search() -> None:
    """Draw the picture of docs/worst_crop.md, and print what the search says of twelve scenes."""
    detector = load_detector(MODELS / "saved_model", labels=MODELS / "labels.txt")
    data = load_dataset(ROOT / "fixtures" / "scenes")
    for sample in list(data)[:12]:
        worst = find_worst_crop(detector, sample, categories=data.categories)
        if worst is not None:
            print(f"{worst}; {worst.cut}; {worst.calls} calls")
        if worst is not None and sample.id == SEARCHED:
            worst.plot().savefig(IMAGES / "search.png", dpi=90)
    tell_searches("shipped SSD", detector, data, seeds=1)
    if "CROPDET_ASSETS" in os.environ:
        assets = Path(os.environ["CROPDET_ASSETS"])
        photographs = load_dataset(assets / "data" / "coco-open-dev")
        tell_searches("CenterNet", load_detector(assets / "models" / "centernet_coco" / "saved_model"), photographs, 3)


def draw_inspect() -> None:
    """Draw the picture of docs/inspect.md, smaller than the command writes it."""
    with TemporaryDirectory() as folder:
        model, data = str(MODELS / "ssd_nms.tflite"), str(ROOT / "fixtures" / "scenes")
        command(["inspect", model, "--data", data, "-o", folder])
        sheet = cv2.imread(str(Path(folder) / "ssd_nms-detections.png"))
    size = (INSPECT_WIDTH, round(sheet.shape[0] * INSPECT_WIDTH / sheet.shape[1]))
    cv2.imwrite(str(IMAGES / "inspect.png"), cv2.resize(sheet, size, interpolation=cv2.INTER_AREA), SMALL)


def draw_sliced() -> None:
    """Draw the scene that slicing changes most, with tiles, one pass, all tiles' detections, and the merge."""
    detector = load_detector(MODELS / "ssd_crops_nms.tflite", labels=str(MODELS / "labels.txt"), range="0..255")
    tiles = Sliced(detector, size=160, overlap=0.2)
    drawn, _ = compare_sliced(tiles, load_dataset(ROOT / "fixtures" / "scenes"), replicates=100).picture()
    cv2.imwrite(str(IMAGES / "sliced.jpg"), drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])


def draw_snippets() -> None:
    """Draw the picture of docs/forum_snippets.md, and print its numbers."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    data = load_dataset(ROOT / "fixtures" / "scenes")
    sample = next(each for each in data if each.id == SAMPLE)
    image, boxes, window = sample.image(), sample.truth.boxes, SNIPPET_CROP
    pixels = image[window.top : window.bottom, window.left : window.right]
    detector = load_detector(MODELS / "saved_model", labels=MODELS / "labels.txt")
    (in_crop,) = detector([np.ascontiguousarray(pixels)])
    found = in_crop.boxes[in_crop.scores >= 0.5]
    half_moved = boxes - [window.left, window.top, 0, 0]
    shown = areas(window.into(boxes)) > 0
    turn = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), 15, 1.0)
    turned = cv2.warpAffine(image, turn, (image.shape[1], image.shape[0]))
    views = [
        ("boxes of the crop, drawn as boxes of the image", image, found, window.out_of(found)),
        ("boxes minus the window's corner", pixels, half_moved[shown], window.into(boxes[shown])),
        ("rotated by 15 degrees", turned, boxes, _turned_boxes(sample, turn)),
    ]
    figure = Figure(figsize=(11.4, 3.1), layout="constrained")
    for place, (title, shown_pixels, wrong, right) in zip(figure.subplots(1, 3), views, strict=True):
        place.imshow(shown_pixels)
        for colour, style, drawn in (("red", "--", wrong), ("lime", "-", right)):
            for x0, y0, x1, y1 in drawn:
                edge = (x0 - 0.5, y0 - 0.5)
                place.add_patch(
                    Rectangle(edge, x1 - x0, y1 - y0, fill=False, color=colour, linestyle=style, linewidth=1.6)
                )
        place.set_title(title, fontsize=9)
        place.set(xticks=[], yticks=[])
    figure.savefig(IMAGES / "forum_snippets.png", dpi=75)
    print("compared without mapping:", np.diag(iou(found, window.out_of(found))).round(2))
    print("one corner moved:", np.diag(iou(half_moved[shown], window.into(boxes[shown]))).mean().round(2))
    first = list(data)[:60]
    kept = np.concatenate([np.diag(iou(each.truth.boxes, _turned_boxes(each, turn))) for each in first])
    print(f"rotated: mean IoU {kept.mean():.2f}; {(kept < 0.5).mean():.0%} below 0.5")
    for name, step in (("RGB", 1), ("BGR", -1)):
        hits = sum(_hits(detector([np.ascontiguousarray(each.image()[..., ::step])])[0], each) for each in first)
        print(f"{name}: {hits} of {sum(len(each.truth.boxes) for each in first)} objects found")


def _turned_boxes(sample: Sample, turn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the boxes of a sample's objects after a turn of the image, by their masks; 0 where nothing is left."""
    found = np.zeros((len(sample.truth.boxes), 4))
    for row, mask in enumerate(sample.truth.masks):
        moved = cv2.warpAffine(mask.decode().astype(np.uint8), turn, (sample.width, sample.height))
        ys, xs = np.nonzero(moved)
        if len(xs):
            found[row] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    return found


def _hits(found: Detections, sample: Sample) -> int:
    """Return how many objects a detection of their category overlaps by half, with a score of 0.5 or more."""
    sure = found.scores >= 0.5
    same = sample.truth.categories[:, None] == found.categories[sure][None]
    return int(((iou(sample.truth.boxes, found.boxes[sure]) >= 0.5) & same).any(axis=1).sum())


def tell_searches(name: str, detector: Detector, data: Dataset, seeds: int) -> None:
    """Print the rows of docs/worst_crop.md: what the search of a data set finds, by seed."""
    for seed in range(seeds):
        *_, found = search(detector, data, seed=seed)
        print(f"{name}, seed {seed}: {found.images} images, {found.calls} calls: {found.worst}; {found.worst.cut}")


def main() -> None:
    """Draw every picture, or those that are named: `python docs/make_pictures.py causes`."""
    drawn = {
        "augment": draw_augment,
        "anchors": draw_anchor_picture,
        "compare": draw_compare,
        "causes": draw_causes,
        "search": draw_search,
        "inspect": draw_inspect,
        "sliced": draw_sliced,
        "snippets": draw_snippets,
    }
    for name in sys.argv[1:] or drawn:
        drawn[name]()


if __name__ == "__main__":
    main()
