"""Blood cells: train a small SSD from scratch, gate it, train it with crops, gate it again.

    CROPDET_ASSETS=... python examples/bccd/bccd.py                       # about 20 minutes on two cores
    CROPDET_ASSETS=... python examples/bccd/bccd.py --write docs/bccd.md  # and put the table there
    CROPDET_ASSETS=... python examples/bccd/bccd.py --steps 40 --gate-images 12   # does it run at all?

The data are the BCCD blood cells (640x480 microscope pictures with white cells, red cells and platelets; MIT licence)
in ``$CROPDET_ASSETS/data/bccd-dev``. A third of the pictures, drawn by a seed, is gated and never trained on. Network,
loss and crops are those of ``fixtures/``; both trainings differ in the crops alone.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pytest_cropdet import Run, load_dataset, load_detector
from pytest_cropdet.crops.plan import choose_samples
from pytest_cropdet.data.samples import Sample
from pytest_cropdet.gate.runner import run
from pytest_cropdet.terms import PHRASES

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "fixtures"))  # scripts, no package

import export_ssd  # noqa: E402
import ssd  # noqa: E402
import train_ssd  # noqa: E402

GATE = "random:keep=0.3-0.9,per_image=2"
ARMS = ("plain", "crop")
MOST = 300  # boxes an image: some pictures hold 30 cells
BEGIN, END = "<!-- numbers -->", "<!-- end of numbers -->"


@dataclass(frozen=True)
class Part:
    """Some of a data set's samples, as a data set."""

    name: str
    categories: dict[int, str]
    samples: list[Sample]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def __iter__(self):
        return iter(self.samples)


def split(folder: Path, gate_images: int, seed: int) -> tuple[Part, Part]:
    """Return the samples to train on and those to gate on."""
    data = load_dataset(folder)
    gated = choose_samples(data, gate_images, seed)
    ids = {sample.id for sample in gated}
    names = dict(data.categories)
    return Part("to train on", names, [each for each in data if each.id not in ids]), Part("gated", names, gated)


def arrays(part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images at the network's size, boxes in its pixels and categories, padded to the most of any image."""
    most = max(len(sample.truth) for sample in part)
    images = np.zeros((len(part), ssd.HEIGHT, ssd.WIDTH, 3), np.uint8)
    boxes = np.zeros((len(part), most, 4), np.float32)
    categories = np.zeros((len(part), most), np.int32)
    for row, sample in enumerate(part):
        images[row] = cv2.resize(sample.image(), (ssd.WIDTH, ssd.HEIGHT), interpolation=cv2.INTER_AREA)
        scale = np.array([ssd.WIDTH / sample.width, ssd.HEIGHT / sample.height] * 2)
        boxes[row, : len(sample.truth)] = sample.truth.boxes * scale
        categories[row, : len(sample.truth)] = np.where(sample.truth.crowd, -1, sample.truth.categories)
    return images, boxes, categories


def trained(arm: str, samples: tuple[np.ndarray, np.ndarray, np.ndarray], names: dict[int, str], given) -> Path:
    """Train one arm, export it and return the folder of its SavedModel."""
    folder = given.output / arm
    print(f"training {arm}: {given.steps} steps of {given.batch} of {len(samples[0])} images", flush=True)
    model = train_ssd.train(
        folder / "ssd.weights.npz",
        steps=given.steps,
        batch=given.batch,
        seed=given.seed,
        augment=train_ssd.ARMS[arm],
        samples=samples,
        categories=len(names),
    )
    export_ssd.export_saved_models(export_ssd.frozen(model), folder, most=MOST)
    return folder / "saved_model"


def gate(model: Path, gated: Part, given) -> Run:
    """Gate one detector, and say why it drops and what may help."""
    labels = ",".join(gated.categories[key] for key in sorted(gated.categories))
    detector = load_detector(f"saved_model:{model}", labels=labels)
    result = run(
        detector,
        gated,
        crops=GATE,
        max_drop=0.05,
        seed=given.seed,
        explain="always",
        try_mitigations=True,
        min_images=min(50, len(gated)),
    )
    print(result.explain(result.judge()[0]))
    print(result.advice, flush=True)
    return result


def shown(measure) -> str:
    """Return a number with its bounds, or that it is undefined."""
    value = "undefined" if measure.value is None else f"{measure.value:.3f}"
    return value if measure.low is None else f"{value} [{measure.low:.3f}, {measure.high:.3f}]"


def table(runs: dict[str, Run], given) -> str:
    """Return the results as Markdown."""
    first = next(iter(runs.values()))
    rows = [
        ("mAP in whole images -> crops", lambda each: f"{each.ap['reference'] or 0:.3f} -> {each.ap['crop'] or 0:.3f}"),
        ("drop", lambda each: shown(each.drop)),
        *(
            (f"- {phrase}", lambda each, name=name: shown(next(step for step in each.steps if step.name == name)))
            for name, phrase in PHRASES.items()
        ),
        ("verdict at 0.05", lambda each: each.judge()[0].outcome),
        ("costliest step", lambda each: each.advice.step or "none that can be told from 0"),
    ]
    lines = [f"| | {' | '.join(runs)} |", f"|---|{'---|' * len(runs)}"]
    lines += [f"| {title} | {' | '.join(map(tell, runs.values()))} |" for title, tell in rows]
    told = (
        f"{given.steps} steps of {given.batch} images, seed {given.seed}; {first.crops} crops of {first.images} gated "
        f"images, {first.scored_objects} objects; one-sided 95 % bounds."
    )
    return "\n".join([told, "", *lines])


def write(page: Path, text: str) -> None:
    """Put the table between the two marks of a page."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train an SSD on blood cells with and without crops, and gate both.")
    assets = os.environ.get("CROPDET_ASSETS")
    parser.add_argument("--data", type=Path, default=assets and Path(assets) / "data" / "bccd-dev")
    parser.add_argument("--output", type=Path, default=ROOT / ".cropdet" / "bccd")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gate-images", type=int, default=97)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page, between its marks")
    given = parser.parse_args()
    if given.data is None or not given.data.is_dir():
        parser.error("no data: set CROPDET_ASSETS, or name the folder of the BCCD images with --data")
    training, gated = split(given.data, given.gate_images, given.seed)
    samples = arrays(training)
    runs = {arm: gate(trained(arm, samples, gated.categories, given), gated, given) for arm in ARMS}
    text = table(runs, given)
    print(text)
    if given.write is not None:
        write(given.write, text)


if __name__ == "__main__":
    main()
