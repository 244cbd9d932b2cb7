"""What a page consists of: sections of text, charts and tables. The templates show them, and decide nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cropdet.charts.svg import Svg, number, signed

__all__ = ["Block", "Cell", "Chart", "Section", "Table", "Text", "bounded", "cell", "value"]

LONG = 15  # rows from which on a table is folded


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what it shows, and by what its column is sorted (``None``: at the end, whichever way)."""

    text: str
    key: float | str | None
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be sorted; ``fold`` hides it behind its caption until it is asked for."""

    caption: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    fold: bool = False
    kind: str = "table"

    @property
    def folded(self) -> bool:
        """Whether it is shown only when asked for."""
        return self.fold or len(self.rows) > LONG


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, its caption, and the colours in it: ``(class, words)``."""

    svg: Svg
    caption: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    kind: str = "chart"


@dataclass(frozen=True, slots=True)
class Text:
    """Words: a paragraph; ``code`` is shown as typed, ``warn`` stands out."""

    words: str
    code: bool = False
    warn: bool = False
    kind: str = "text"


Block = Table | Chart | Text


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a gate's page: an id, a title, one sentence on how to read it, and its blocks."""

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]
    small: bool = False  # charts stand side by side where there is room


def cell(content: object) -> Cell:
    """Return a cell of words, or of a whole number."""
    if isinstance(content, bool) or content is None:
        return Cell({True: "yes", False: "no", None: "-"}[content], str(content))
    if isinstance(content, int):
        return Cell(f"{content:,}", float(content), number=True)
    return Cell(str(content), str(content).casefold())


def value(content: float | None) -> Cell:
    """Return a cell of a number with three digits."""
    return Cell("-" if content is None else number(content), content, number=True)


def bounded(each: dict[str, float | None]) -> Cell:
    """Return a cell of ``value``, ``low`` and ``high``."""
    content = each["value"]
    return Cell("-" if content is None else signed(content, each["low"], each["high"]), content, number=True)
