"""``run.plot``: the figures of a run, as matplotlib figures that belong to nobody's backend."""

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_cropdet.causes import Rendering, cut_objects, detected_in, render
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.evaluation import at_half
from pytest_cropdet.gate.facts import RunFacts
from pytest_cropdet.geometry import Crop
from pytest_cropdet.terms import CHAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pytest_cropdet.figures import RenderingPanel

__all__ = ["Plots"]

FIGURES = (("steps", ""), ("where", ""), ("shift", ""), ("renderings", "crop=0"))


class Plots:
    """The figures of one run; each method returns a ``matplotlib.figure.Figure``: a new one, or that of ``ax``.

    ``ax``: axes of a figure of your own, made by ``plt.subplots`` or ``add_subplot``; the drawing takes their place.
    ``savefig`` of a new figure writes text as text, in PDF and SVG, too. ``run.plot()`` lists the figures.

    ``steps`` and ``renderings`` need the causes, which are sought if they are not known. Without matplotlib every
    method is a ``CropdetError`` that says how to install it.
    """

    def __init__(self, run: RunFacts) -> None:
        self._run = run

    def __call__(self) -> "Plots":
        """Return the figures that there are, which show as a list."""
        return self

    def __repr__(self) -> str:
        """Return a line for each figure: how it is called, and what it shows."""
        lines = [f"run.plot.{name}({argument}): {_first_line(getattr(self, name))}" for name, argument in FIGURES]
        return "\n".join([*lines, "Each takes ax= and returns a matplotlib figure: .savefig('figure.pdf')"])

    def steps(self, ax: "Axes | None" = None) -> "Figure":
        """Return the waterfall from the AP of whole images to that of crops, step by step, with bounds."""
        from pytest_cropdet.figures import draw_steps

        chain, run = self._run.causes.chain, self._run
        told = chain.to_dict()
        metric = "share found" if run.agreement else run.settings.metric
        return draw_steps(told["steps"], told["ap"], metric, told["placebo"], ax)

    def where(self, ax: "Axes | None" = None) -> "Figure":
        """Return the drop by visibility, distances, size and category, and the map of misses in the window."""
        from pytest_cropdet.figures import draw_where

        return draw_where(self._run.where.to_dict(), ax)

    def shift(self, ax: "Axes | None" = None) -> "Figure":
        """Return how sizes, aspects, places and numbers of objects differ between whole images, crops and training."""
        from pytest_cropdet.figures import draw_shift

        return draw_shift(self._run.shift.to_dict(), ax)

    def renderings(self, crop: int = 0, ax: "Axes | None" = None) -> "Figure":
        """Return what the detector saw in each rendering of crop number ``crop`` of the plan, and what it found."""
        from pytest_cropdet.figures import draw_renderings

        run, index = self._run, self._run.objects.index
        if not -len(index) <= crop < len(index):
            raise CropdetError(f"there is no crop {crop}: the run has {len(index)}, from 0")
        place = crop % len(index)
        sample, window = index.samples[index.unit[place]], index.crops[place]
        rows = np.flatnonzero((run.objects.truth.image == place) & run.scored.counted)
        image = sample.image()
        here = run.objects.truth.image == place
        cut = cut_objects(sample.truth, window, run.objects.annotation[here], run.scored.counted[here])
        boxes = sample.truth.boxes[cut]
        seen = {}
        for name in CHAIN:
            pixels = image
            if name == "crop":
                pixels = window.of(image)
            elif name != "whole":
                pixels = render(image, window, Rendering.of(name, run.causes.chain.fill, window, boxes))
            seen[name] = self._seen(name, place, rows, pixels, window)
        return draw_renderings(window, run.objects.truth.boxes[rows], seen, f"{window} of {sample.id}", ax)

    def _seen(self, name: str, place: int, rows: Any, pixels: Any, window: Crop) -> "RenderingPanel":
        from pytest_cropdet.figures import RenderingPanel

        run, causes = self._run, self._run.causes
        detected, matches = causes.detected[name], causes.matches[name]
        shown = np.flatnonzero((detected.image == place) & (detected.score >= run.hidden.score))
        half = at_half(matches)
        right = np.zeros(len(detected), dtype=bool)
        ignored = np.zeros(len(detected), dtype=bool)
        partner = matches.truth_of()[half]
        right[matches.rows] = (partner >= 0) & np.append(run.objects.scored, False)[partner]
        ignored[matches.rows] = matches.ignored()[half]
        shown = shown[~ignored[shown]]
        return RenderingPanel(
            pixels=pixels,
            window=(window.left, window.top) if detected_in(name) == "image" else (0, 0),
            found=causes.found[name][rows],
            boxes=detected.boxes[shown],
            scores=detected.score[shown],
            right=right[shown],
            labels=tuple(run.scored.names.get(int(key), str(key)) for key in detected.category[shown]),
        )


def _first_line(method: object) -> str:
    text = (method.__doc__ or "").strip().splitlines()[0]
    return text.removeprefix("Return ").rstrip(".")
