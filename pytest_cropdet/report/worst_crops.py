"""Crops that changed something, with their pictures and boxes: made where the run is, shown by the page."""

from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.causes import (
    FATES,
    Rendering,
    cut_objects,
    fate_of,
    scores_by_rendering,
)
from pytest_cropdet.evaluation import FOUND_IOU, Detected, covering_detections
from pytest_cropdet.gate import Run
from pytest_cropdet.geometry import Bools, iou
from pytest_cropdet.report.crop_pictures import PictureSize, embedded_pictures, write_pictures
from pytest_cropdet.report.crop_rows import crop_order, crop_rows
from pytest_cropdet.report.example_crops import choose_examples
from pytest_cropdet.terms import CHAIN, STEPS

__all__ = ["MOST_CROPS", "MOST_EXAMPLE_CROPS", "MOST_OF_A_PASS", "worst_crop_pictures"]

MOST_CROPS = 24  # crops with pictures that lost most
MOST_OF_A_PASS = 6
MOST_EXAMPLE_CROPS = 48  # crops with pictures beside them, one for each cause, category, label change, size and bin
MOST_BOXES = 60  # detections shown of each rendering, the strongest
LOWEST = 0.05  # score of a detection that is shown


def worst_crop_pictures(run: Run, beside: Path | None = None, token: str = "") -> dict[str, Any]:
    """Return the crops that lost most as built-in values, pictures as base64 JPEG; boxes are in pixels of the crop.

    The first of ``entries`` is ``Run.worst``. ``losing``: how many crops lost an object. ``examples``: further crops
    with pictures, and of what each is an example. ``rows``: every crop that lost or gained an object, without pictures
    (:func:`~pytest_cropdet.report.crop_rows.crop_rows`). ``beside``: a folder for the pictures of all of them, with
    ``token`` in the name of its subfolder; ``files`` says where they are. A picture that cannot be read leaves its
    entry without pictures. ``OSError`` if ``beside`` cannot be written.
    """
    order, changed = crop_order(run)
    most = MOST_OF_A_PASS if run.verdict in ("pass", "none") else MOST_CROPS
    worst = [place for place in order.places[:most].tolist() if order.lost[place]]
    examples = choose_examples(run, order, changed, worst, MOST_EXAMPLE_CROPS)
    shown = _Shown(run)
    rows = crop_rows(run, order, changed)

    def entry(place: int, sides: tuple[int, int]) -> dict[str, Any]:
        sample, crop = run.objects.index.samples[run.objects.index.unit[place]], run.objects.index.crops[place]
        return {
            "place": place,
            "image": sample.id,
            "size": [sample.width, sample.height],
            "crop": [crop.left, crop.top, crop.width, crop.height],
            "lost": int(order.lost[place]),
            "gained": int(order.gained[place]),
            "found": int(order.found[place]),
            "objects": shown.objects(place),
            "boxes": {name: shown.boxes(place, name) for name in ("reference", "crop")},
            "renderings": shown.renderings(place),
            "kept": shown.kept_boxes(place),
            "pictures": embedded_pictures(sample.image, crop, sides, shown.fill),
        }

    found = {
        "score": run.hidden.score,
        "losing": order.losing,
        "agreement": run.agreement,
        "fates": {name: int((shown.fate == number).sum()) for number, name in enumerate(FATES)},
        "entries": [entry(place, PictureSize.WORST) for place in worst],
        "examples": [
            {**entry(place, PictureSize.EXAMPLE), "example_of": words}
            for place, words in sorted(examples.items(), key=lambda pair: -len(pair[1]))
        ],
        "rows": rows,
    }
    if beside is not None:
        found["files"] = write_pictures(beside, run, rows["place"], rows["file"], token)
    return found


class _Shown:
    """What is shown of a run's crops: objects with their scores in every rendering, and boxes."""

    def __init__(self, run: Run) -> None:
        self.run, self.causes = run, run.explanation.causes
        self.fate, _ = fate_of(run.scored)
        self.scores = scores_by_rendering(run.scored, self.causes)
        self.step = np.full(len(self.fate), -1)
        if self.causes is not None:
            self.step = np.maximum(self.causes.fates.lost_at, self.causes.fates.gained_at)
        point = run.scored.point
        self.now = covering_detections(run.objects, run.scored.detected["crop"], point.lost, run.hidden.score)
        image = run.objects.truth.image
        self._starts = np.searchsorted(image, np.arange(len(run.objects.index) + 1))

    @property
    def fill(self) -> str | None:
        """The fill of the renderings, ``None`` where there are none."""
        return None if self.causes is None else self.causes.chain.fill

    def _rows(self, place: int) -> range:
        return range(int(self._starts[place]), int(self._starts[place + 1]))

    def objects(self, place: int) -> list[dict[str, Any]]:
        """Return the objects of a crop; ``scores`` by rendering, of the detection that matches each."""
        objects, names, shown = self.run.objects, self.run.scored.names, []
        for row in self._rows(place):
            category, other = int(objects.truth.category[row]), int(self.now[row])
            became = int(self.run.scored.detected["crop"].category[other]) if other >= 0 else None
            shown.append(
                {
                    "id": int(objects.annotation[row]),
                    "category": names.get(category, str(category)),
                    "box": _rounded(objects.truth.boxes[row]),
                    "visibility": round(float(objects.visibility[row]), 3),
                    "fate": FATES[self.fate[row]] if self.fate[row] >= 0 else None,
                    "whole": _score(self.scores["whole"][row]),
                    "crop": _score(self.scores["crop"][row]),
                    "became": None if became is None else names.get(became, str(became)),
                    "became_score": None
                    if became is None
                    else round(float(self.run.scored.detected["crop"].score[other]), 4),
                    "step": STEPS[self.step[row]] if self.step[row] >= 0 else None,
                    "scores": {name: _score(each[row]) for name, each in self.scores.items()},
                }
            )
        return shown

    def boxes(self, place: int, rendering: str) -> list[dict[str, Any]]:
        """Return the strongest detections of a crop; ``lost``: whether one lies on a lost object, at IoU 0.5."""
        table, names = self.run.scored.detected[rendering], self.run.scored.names
        lost: Bools = self.run.scored.point.lost
        missing = self.run.objects.truth.boxes[[row for row in self._rows(place) if lost[row]]].reshape(-1, 4)
        return [
            {
                "category": names.get(int(table.category[row]), str(int(table.category[row]))),
                "score": round(float(table.score[row]), 4),
                "box": _rounded(table.boxes[row]),
                "lost": bool((iou(table.boxes[[row]], missing) >= FOUND_IOU).any()),
            }
            for row in _strongest(table, place, min(LOWEST, self.run.hidden.score))
        ]

    def renderings(self, place: int) -> dict[str, list[list[Any]]]:
        """Return, by rendering, what is found in it from the operating point on: category, score, box in the crop."""
        names, found = self.run.scored.names, dict[str, list[list[Any]]]()
        ends = {"whole": self.run.scored.detected["reference"], "crop": self.run.scored.detected["crop"]}
        tables = ends if self.causes is None else {name: self.causes.detected[name] for name in CHAIN}
        for name, table in tables.items():
            found[name] = [
                [
                    names.get(int(table.category[row]), str(int(table.category[row]))),
                    round(float(table.score[row]), 2),
                    *np.rint(table.boxes[row]).astype(int).tolist(),
                ]
                for row in _strongest(table, place, self.run.hidden.score)
            ]
        return found

    def kept_boxes(self, place: int) -> list[list[float]]:
        """Return what ``context`` shows beside the window: boxes of the objects it cuts, in pixels of the image."""
        if self.causes is None:
            return []
        objects, rows = self.run.objects, self._rows(place)
        sample, crop = objects.index.samples[objects.index.unit[place]], objects.index.crops[place]
        own = slice(rows.start, rows.stop)
        cut = cut_objects(sample.truth, crop, objects.annotation[own], self.run.scored.counted[own])
        return [
            _rounded(box) for box in Rendering.of("context", self.fill or "mean", crop, sample.truth.boxes[cut]).boxes
        ]


def _strongest(table: Detected, place: int, lowest: float) -> list[int]:
    start, stop = np.searchsorted(table.image, [place, place + 1])
    rows = np.arange(start, stop)
    rows = rows[table.score[rows] >= lowest]
    return list(rows[np.argsort(-table.score[rows], kind="stable")][:MOST_BOXES].tolist())


def _score(score: float) -> float | None:
    return round(float(score), 4) if score >= 0 else None


def _rounded(box: Any) -> list[float]:
    return [round(float(edge), 1) for edge in box]
