"""Which conventions of a model are still open: all of them at once, not one after another.

An adapter names the first convention that it needs and that is not known. Here the load goes on with the first value
that may be, to find the next; nothing that was tried so is ever used, for what is open is an error in the end.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pytest_cropdet.detectors.description import Description, OpenConventionError
from pytest_cropdet.errors import DetectorError

__all__ = ["OpenConvention", "OpenConventionsError", "load_described", "read_refusal", "write_refusal"]

T = TypeVar("T")

SECONDS_OF_LOADS = 60.0  # for which further open conventions are looked for
MOST_LOADS = 40
USUAL_VALUES: Mapping[str, tuple[str, ...]] = {"nms_iou": ("0.5",)}  # to go on with, where any number may be
HINT = "To measure which values are right: pytest-cropdet inspect MODEL --data=ANNOTATED_DATA"
PROPOSED = re.compile(r"--cropdet-detector ([a-z_]+)=(\S+)")  # as every refusal writes the line that fixes it
PLACEHOLDER = re.compile(r"\b(FILE|NAME|VALUE|N|package\.module:\w+)\b")


@dataclass(frozen=True, slots=True)
class OpenConvention:
    """A convention that is open: its key, why it matters, and the values to choose from, none where any text may be."""

    key: str
    why: str
    choices: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What to set, with the values to choose from."""
        return f"--cropdet-detector={self.key}={'|'.join(self.choices) or 'VALUE'}"

    @property
    def values(self) -> tuple[str, ...]:
        """The values that can be tried: none where a name or a file is needed."""
        found = tuple(each for each in self.choices if not PLACEHOLDER.search(each) and each != "none")
        if self.key == "activation":
            return self.choices
        return found or USUAL_VALUES.get(self.key, ())

    @property
    def is_proposed(self) -> bool:
        """Whether the model's own names propose the one value there is."""
        return len(self.values) == 1 and self.values == self.choices


class OpenConventionsError(DetectorError):
    """A model cannot be read before its ``open`` conventions are set.

    ``complete``: values of all of them with which it loads, for trying out; ``None`` where a file or a name is missing.
    """

    def __init__(self, text: str, found: tuple[OpenConvention, ...], complete: Mapping[str, Any] | None) -> None:
        super().__init__(text)
        self.open = found
        self.complete = complete

    @property
    def without_hint(self) -> str:
        """The text without the line that says how to measure: for where it was measured."""
        return "\n".join(line for line in str(self).splitlines() if line != HINT)


def load_described(load: Callable[[Description], T], given: Description) -> T:
    """Return ``load(given)``; where conventions are open, the error names all of them."""
    try:
        return load(given)
    except DetectorError as error:
        if _open_of(error, given) is None:
            raise
        survey = _Survey(load)
        survey.follow(given, error)
        raise OpenConventionsError(_text(error, survey), tuple(survey.found.values()), survey.complete) from error


class _Survey:
    """The open conventions that are found by loading again and again."""

    def __init__(self, load: Callable[[Description], Any]) -> None:
        self._load = load
        self._end = time.monotonic() + SECONDS_OF_LOADS
        self._loads = 0
        self.found: dict[str, OpenConvention] = {}
        self.complete: Mapping[str, Any] | None = None

    def follow(self, known: Description, error: Exception) -> bool:
        """Note what ``error`` says is open, and go on with each value of it until the model loads."""
        opened = _open_of(error, known)
        if opened is None:
            return False
        self.found.setdefault(opened.key, opened)
        for value in opened.values:
            if self._loads >= MOST_LOADS or time.monotonic() > self._end:
                return False
            self._loads += 1
            more = known
            try:
                more = replace(known, **Description.of(**{opened.key: value}).known())
                self._load(more)
            except Exception as next_error:  # a value that does not fit may fail in any way
                if more is not known and self.follow(more, next_error):
                    return True
                continue
            self.complete = more.known()
            return True
        return False


def _open_of(error: BaseException | None, known: Description) -> OpenConvention | None:
    """Return the convention that an error says is open; ``None`` for any other error."""
    if error is None:
        return None
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, OpenConventionError):
            return OpenConvention(behind.key, _reason(str(behind)), behind.choices)
        behind = behind.__cause__
    proposed = PROPOSED.search(str(error)) if isinstance(error, DetectorError) else None
    if proposed is None or getattr(known, proposed[1], "none such") is not None:
        return None
    return OpenConvention(proposed[1], _reason(str(error)), tuple(proposed[2].rstrip("),.;").split("|")))


def _reason(text: str) -> str:
    reason = re.split(r"[;.]? *(?:if these [^;]*, )?\(?(?:say|set) --cropdet-detector", text)[0]
    return re.sub(r"^\S*[/\\]\S*: ", "", reason)  # the path of the model, which comes first


def _text(error: Exception, survey: _Survey) -> str:
    more = [f"  {each.key}: {each.why}\n    {each.line}" for each in list(survey.found.values())[1:]]
    lines = [str(error), *(["Also open:"] if more else []), *more]
    if more and survey.complete is None:
        lines.append("  (others may follow: the model cannot be read before these are set)")
    if any(len(each.values) > 1 for each in survey.found.values()):
        lines.append(HINT)
    return "\n".join(lines)


def write_refusal(error: Exception) -> object:
    """Return an error as built-in values, for another process."""
    if not isinstance(error, OpenConventionsError):
        return str(error)
    found = [[each.key, each.why, list(each.choices)] for each in error.open]
    return {"text": str(error), "open": found, "complete": error.complete}


def read_refusal(value: Any) -> DetectorError:
    """Return the error that :func:`write_refusal` wrote."""
    if isinstance(value, str):
        return DetectorError(value)
    found = tuple(OpenConvention(key, why, tuple(choices)) for key, why, choices in value["open"])
    return OpenConventionsError(value["text"], found, value["complete"])
