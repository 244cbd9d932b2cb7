"""What a page consists of: sections of text, facts, charts, tables and pictures. The templates decide nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_cropdet.figures import Svg, bounded_text, number_text

__all__ = [
    "Block",
    "Chart",
    "Facts",
    "InlinePicture",
    "Section",
    "Table",
    "TableCell",
    "Text",
    "bounded_cell",
    "cell",
    "number_cell",
    "sentence",
]

LONG_TABLE = 15  # rows from which on a table is folded
WORDY = 40  # letters from which on a cell gets room, lest it be a tower on a narrow screen


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell: what it shows, and by what its column is sorted (``None``: at the end, whichever way).

    ``dot``: the verdict whose sign stands before the words; ``svg``: what is drawn in their place; ``filter``: of the
    table of crops, which the cell leads to.
    """

    text: str
    key: float | str | None
    number: bool = False
    dot: str = ""
    svg: Svg | None = None
    filter: str = ""

    def showing(self, crops: str) -> "TableCell":
        """Return the cell as a link to the crops that it counts, a filter of the table of crops; not of nothing."""
        return self if self.key in (None, 0, 0.0) else replace(self, filter=crops)

    @property
    def kind(self) -> str:
        """Its class on the page."""
        return "n" if self.number else "wordy" if len(self.text) > WORDY else "plain"


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be sorted; ``fold`` hides it behind its caption until it is asked for, ``open`` never does."""

    caption: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[TableCell]]
    fold: bool = False
    open: bool = False
    kind: str = "table"

    @property
    def folded(self) -> bool:
        """Whether it is shown only when asked for."""
        return not self.open and (self.fold or len(self.rows) > LONG_TABLE)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, its caption, and the colours in it: ``(class, words)``; ``filters`` of the table of crops by class."""

    svg: Svg
    caption: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    kind: str = "chart"


@dataclass(frozen=True, slots=True)
class Text:
    """Words: a paragraph, with a ``head`` if it has one; ``code`` is shown as typed, ``warn`` stands out."""

    words: str
    code: bool = False
    warn: bool = False
    head: str = ""
    kind: str = "text"

    @property
    def is_long(self) -> bool:
        """Whether it is code of several lines, each of which stays one."""
        return "\n" in self.words


@dataclass(frozen=True, slots=True)
class Facts:
    """Short values side by side: ``(words, value)``."""

    items: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class InlinePicture:
    """A picture as a data URI, what it shows in words, and its caption."""

    source: str
    alt: str
    caption: str
    kind: str = "picture"


Block = Table | Chart | Text | Facts | InlinePicture


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an article: an id, a title, one sentence on how to read it, and its blocks."""

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]
    small: bool = False  # charts stand side by side where there is room


def sentence(words: str) -> str:
    """Return words with a capital at the beginning and a full stop at the end."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def cell(content: object) -> TableCell:
    """Return a cell of words, or of a whole number."""
    if isinstance(content, bool) or content is None:
        return TableCell({True: "yes", False: "no", None: "-"}[content], str(content))
    if isinstance(content, int):
        return TableCell(f"{content:,}", float(content), number=True)
    return TableCell(str(content), str(content).casefold())


def number_cell(content: float | None) -> TableCell:
    """Return a cell of a number with three digits."""
    return TableCell("-" if content is None else number_text(content), content, number=True)


def bounded_cell(each: dict[str, float | None]) -> TableCell:
    """Return a cell of ``value``, ``low`` and ``high``."""
    content = each["value"]
    return TableCell("-" if content is None else bounded_text(content, each["low"], each["high"]), content, number=True)
