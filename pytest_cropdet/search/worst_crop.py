"""A window that loses an object: which one, by how much, the smallest cut in words, and as a test to paste."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cropdet.geometry import Crop
from pytest_cropdet.search.comparison import Comparison
from pytest_cropdet.search.loss_rules import LossRules
from pytest_cropdet.terms import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ObjectLost", "WorstCrop", "cut_in_words"]


class ObjectLost(AssertionError):  # noqa: N818  (not an error: the search did its work)
    """A window loses an object that is found with confidence in the whole image. ``worst`` holds it in numbers."""

    def __init__(self, text: str, worst: "WorstCrop") -> None:
        super().__init__(text)
        self.worst = worst


@dataclass(frozen=True)
class WorstCrop:
    """The window of a sample in which an object is lost, or scores lowest where none is.

    ``width``, ``height``: of the image, in pixels. ``category``, ``box``: of the object, ``x0 y0 x1 y1`` in its pixels.
    ``score_whole``, ``score_crop``: its scores; 0 where nothing of its category covers it. ``visibility``: the
    share of it in the window. ``windows``: how many were looked at, the whole image among them, for ``calls`` calls of
    the detector. ``comparison``: what was found in image and crop.
    """

    sample: str
    width: int
    height: int
    crop: Crop
    category: str
    box: tuple[float, float, float, float]
    score_whole: float
    score_crop: float
    visibility: float
    lost: bool
    shrunk: bool
    rules: LossRules
    windows: int
    calls: int
    comparison: Comparison = field(repr=False, compare=False)

    @property
    def cut(self) -> str:
        """What the window leaves out, in words."""
        return cut_in_words(self.crop, self.width, self.height)

    @property
    def case(self) -> str:
        """Sample and window, as code."""
        plain = self.sample.isprintable() and not set(self.sample) & {'"', "\\"}
        name = f'"{self.sample}"' if plain else repr(self.sample)
        return f"({name}, {self.crop!r})"

    @property
    def test(self) -> str:
        """A test that tries this window first, as code to paste."""
        return (
            "from hypothesis import example, given, settings\n"
            "from pytest_cropdet import Crop, crops_of\n\n\n"
            "@settings(deadline=None)\n"
            "@given(case=crops_of(min_side=64))\n"
            f"@example(case={self.case})\n"
            "def test_no_crop_loses_an_object(cropdet, case):\n"
            "    cropdet.check_crop(*case)\n"
        )

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Return a figure: the image with the window on the left, the crop on the right, what was found in both."""
        return self.comparison.plot(ax)

    def check(
        self, picture: str | Path | None = None, again: str | None = None, *, spent: tuple[int, int] | None = None
    ) -> None:
        """Raise :class:`ObjectLost` if an object is lost; ``picture``: where it lies, ``again``: what to run.

        ``spent``: windows and calls of a whole search, where it took more than this image.
        """
        __tracebackhide__ = True
        if self.lost:
            raise ObjectLost(self.explain(picture, again, spent=spent), self)

    def explain(
        self, picture: str | Path | None = None, again: str | None = None, *, spent: tuple[int, int] | None = None
    ) -> str:
        """Return all that is to be said of a window that loses an object, with the test to paste."""
        windows, calls = spent or (self.windows, self.calls)
        x0, y0, x1, y1 = (round(edge) for edge in self.box)
        enough = "is enough" if self.shrunk else "did it"
        lines = [
            str(self),
            f"  {self.cut} {enough}; {self.visibility:.0%} of the object is visible, its box is {x0} {y0} {x1} {y1}",
            f"  {self.rules}",
            f"  {windows} windows, {calls} detector calls",
        ]
        lines += [f"  picture: {picture}"] if picture else []
        lines += [f"  again: {again}"] if again else []
        code = "".join(f"    {line}".rstrip() + "\n" for line in self.test.splitlines())
        return "\n".join([*lines, "  to keep it as a test:", "", code])

    def __str__(self) -> str:
        what = "lost" if self.lost else "kept"
        scores = f"{self.score_whole:.2f} in the whole image, {self.score_crop:.2f} in {self.crop!r}"
        return one_line(f"{self.category} {what}: {scores} of {self.sample}")


def cut_in_words(crop: Crop, width: int, height: int) -> str:
    """Return what a window of an image of ``width`` by ``height`` pixels leaves out.

    >>> cut_in_words(Crop(37, 0, 603, 460), 640, 480)
    'cutting 37 px off the left and 20 px off the bottom'
    """
    margins = {"left": crop.left, "top": crop.top, "right": width - crop.right, "bottom": height - crop.bottom}
    parts = [f"{pixels} px off the {side}" for side, pixels in margins.items() if pixels]
    if not parts:
        return "cutting nothing"
    *first, last = parts
    return "cutting " + (f"{', '.join(first)} and {last}" if first else last)
