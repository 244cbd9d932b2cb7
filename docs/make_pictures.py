"""Draws docs/images/*.png from the shipped detector and scenes: `python docs/make_pictures.py`."""

from pathlib import Path

from pytest_cropdet import Crop, compare, load_dataset, load_detector
from pytest_cropdet.augment import Augmentation, Context, Cut, Generic, Matched, Position, Scale

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
SAMPLE, CROP, SCORE = "scene_0132.jpg", Crop(41, 0, 197, 147), 0.35


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
        line[0].set_ylabel(name, fontsize=8)
    axes[0][0].set_title("the sample", fontsize=9)
    figure.savefig(Path(__file__).with_name("images") / "augment.png", dpi=60)


def main() -> None:
    """Draw the pictures of README, docs/compare.md and docs/augment.md, and print the comparison's table."""
    draw_augment()
    detector = load_detector(MODELS / "saved_model", labels=MODELS / "labels.txt")
    sample = next(each for each in load_dataset(ROOT / "fixtures" / "scenes") if each.id == SAMPLE)
    comparison = compare(detector, sample.image(), CROP, score=SCORE)
    print(comparison)
    target = Path(__file__).with_name("images") / "compare.png"
    comparison.plot().savefig(target, dpi=90)


if __name__ == "__main__":
    main()
