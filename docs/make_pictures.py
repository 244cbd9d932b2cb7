"""Draws docs/images/compare.png from the shipped detector: `python docs/make_pictures.py`."""

from pathlib import Path

from pytest_cropdet import Crop, compare, load_dataset, load_detector

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
SAMPLE, CROP, SCORE = "scene_0132.jpg", Crop(41, 0, 197, 147), 0.35


def main() -> None:
    """Draw the picture of README and docs/compare.md, and print its table."""
    detector = load_detector(MODELS / "saved_model", labels=MODELS / "labels.txt")
    sample = next(each for each in load_dataset(ROOT / "fixtures" / "scenes") if each.id == SAMPLE)
    comparison = compare(detector, sample.image(), CROP, score=SCORE)
    print(comparison)
    target = Path(__file__).with_name("images") / "compare.png"
    comparison.plot().savefig(target, dpi=90)


if __name__ == "__main__":
    main()
