"""Draws docs/images/*.png from the shipped detector and its anchors: `python docs/make_pictures.py`."""

from pathlib import Path

from pytest_cropdet import Crop, compare, draw_anchors, load_dataset, load_detector, read_anchors

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
SAMPLE, CROP, SCORE = "scene_0132.jpg", Crop(41, 0, 197, 147), 0.35
ANCHOR_SAMPLE, ANCHOR_CROP, ANCHOR_BOX = "scene_0216.jpg", Crop(19, 52, 48, 36), (21.0, 48.0, 63.0, 96.0)
INPUT_SIZE = (320, 240)


def main() -> None:
    """Draw every picture."""
    draw_compare()
    draw_anchor_picture()


def draw_anchor_picture() -> None:
    """Draw the picture of docs/anchors.md."""
    sample = next(each for each in load_dataset(ROOT / "fixtures" / "scenes") if each.id == ANCHOR_SAMPLE)
    anchors = read_anchors(MODELS / "ssd_anchors.json")
    figure = draw_anchors(sample.image(), ANCHOR_CROP, ANCHOR_BOX, anchors, INPUT_SIZE)
    figure.savefig(Path(__file__).with_name("images") / "anchors.png", dpi=90)


def draw_compare() -> None:
    """Draw the picture of README and docs/compare.md, and print its table."""
    detector = load_detector(MODELS / "saved_model", labels=MODELS / "labels.txt")
    sample = next(each for each in load_dataset(ROOT / "fixtures" / "scenes") if each.id == SAMPLE)
    comparison = compare(detector, sample.image(), CROP, score=SCORE)
    print(comparison)
    target = Path(__file__).with_name("images") / "compare.png"
    comparison.plot().savefig(target, dpi=90)


if __name__ == "__main__":
    main()
