"""The names of categories: read from a file or an option, and counted as the model counts.

A list of names often begins with a line for "no object" (``background``, ``???``), whether the model counts it or not.
What the model's file proves about the number of its categories decides; without a proof that line is no category.
"""

import json
import re
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_cropdet.data import YAML_ENDINGS, label_map_items, yaml_categories
from pytest_cropdet.errors import DataError, DetectorError
from pytest_cropdet.files import read_file
from pytest_cropdet.geometry import Floats, Ints

__all__ = ["Labels", "Proof", "open_labels", "parse_labels", "read_labels"]

GAPS = ("", "???", "n/a")  # a number without a category, wherever it is
NO_OBJECT = (*GAPS, "background", "no object", "no_object", "no-object", "unlabeled", "unlabelled", "bg")
LARGEST_FILE = 64 << 20  # bytes of a label file that are read
KEYS = ("names", "id2label", "labels", "categories")  # of a JSON or a dict of metadata that contains names
SURE = 0.5  # the score from which a detection is no filling
_NUMBERED = re.compile(r"(\d{1,9})(?:\s*[:,;]\s*|\s+)(\S.*)")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a model's file says of its categories: there are ``categories`` of them, by its own words ``why``.

    ``perhaps``: another number that there may be.
    """

    categories: int
    why: str
    perhaps: int | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """Names as a source gives them: a list, in ``lines``, or with numbers of its own, in ``own``."""

    source: str
    lines: tuple[str, ...] = ()
    own: Mapping[int, str] = field(default_factory=dict)

    def count(self, first: int, proof: Proof | None = None) -> dict[int, str]:
        """Return the names by the model's numbers, of which ``first`` is that of its first category.

        ``DetectorError`` names both numbers where the names cannot be those of the model that ``proof`` speaks of.

        >>> Labels("map.txt", ("background", "cat", "dog")).count(0)
        {0: 'cat', 1: 'dog'}
        >>> Labels("map.txt", ("background", "cat", "dog")).count(0, Proof(3, "it has 3 categories"))
        {0: 'background', 1: 'cat', 2: 'dog'}
        """
        names = self._by_own_number(first, proof) if self.own else self._by_place(first, proof)
        if not names:
            raise DetectorError(f"labels={self.source}: contains no names")
        return names

    def check(self, numbers: Ints, scores: Floats, first: int) -> None:
        """Raise ``DetectorError`` if a sure detection has a number beyond the names; without a proof this shows it."""
        last = max(self.count(first)) if self.own else first + len(self.lines) - 1 - int(is_no_object(self.lines[0]))
        beyond = (numbers > last) & (scores >= SURE)
        if beyond.any():
            number, score = int(numbers[beyond].max()), float(scores[beyond].max())
            raise DetectorError(
                f"labels={self.source}: the model found category number {number} with a score of {score:.2f}, and the "
                f"names are of the numbers {first} to {last}; where it counts from another number than {first}, set "
                "--cropdet-detector first_category=..., else give a file with a line for each of its categories"
            )

    def _by_place(self, first: int, proof: Proof | None) -> dict[int, str]:
        lines = list(self.lines)
        head, tail = is_no_object(lines[0]) if lines else False, bool(lines) and is_no_object(lines[-1])
        readings = [lines[1:]] if head else []
        readings += [lines] if proof is not None or not head else []
        readings += [lines[:-1]] if tail and proof is not None else []
        for names in readings:
            if proof is None or len(names) in (proof.categories, proof.perhaps):
                return {first + place: name for place, name in enumerate(names) if name.casefold() not in GAPS}
        with_head = f", the first is {lines[0]!r}" if head else ""
        raise self._misfit(f"{len(lines)} names{with_head}", proof)

    def _by_own_number(self, first: int, proof: Proof | None) -> dict[int, str]:
        names = {number: name for number, name in self.own.items() if name.casefold() not in GAPS}
        if first == 0 in self.own and proof is not None and max(self.own) == proof.categories - 1:
            return names  # the file gives every number of the model, that of "no object" too
        names = {number: name for number, name in names.items() if number or not is_no_object(name)}
        if 0 in names and first > 0:
            raise DetectorError(
                f"labels={self.source}: it gives the number 0 to {names[0]!r}, and the detector counts from {first}; "
                "set --cropdet-detector first_category=0, or count from 1 in the file"
            )
        if first == 0 and 0 not in names and 1 in names:  # label maps count from 1, whatever the model does
            names = {number - 1: name for number, name in names.items()}
        if proof is not None and names and max(names) >= first + (proof.perhaps or proof.categories):
            raise self._misfit(f"numbers up to {max(self.own)}", proof)
        return names

    def _misfit(self, has: str, proof: Proof | None) -> DetectorError:
        categories, why = (0, "") if proof is None else (proof.categories, proof.why)
        return DetectorError(
            f"labels={self.source}: it has {has}, and the model has {categories} categories ({why}), so names and "
            f"numbers do not fit; give a file with {categories} names, one a line in the order of the model, and ??? "
            "for each category without a name"
        )


def is_no_object(name: str) -> bool:
    """Return whether a name stands for "no object".

    >>> is_no_object("__background__"), is_no_object("N/A"), is_no_object("cat")
    (True, True, False)
    """
    return name.casefold().strip("_ ") in NO_OBJECT


def read_labels(source: str, first_category: int, proof: Proof | None = None) -> dict[int, str]:
    """Return category names by the detector's own numbers, from a file or a list with commas.

    Lines of ``???`` or ``N/A`` (and empty lines in a file) are gaps; a first line that means "no object" counts only
    where ``proof`` says so. A ``DetectorError`` names a file that cannot be used.

    >>> read_labels("person,car", 1)
    {1: 'person', 2: 'car'}
    """
    return open_labels(source).count(first_category, proof)


def open_labels(source: str) -> Labels:
    """Return the names in a file, or in a text with commas, before they are counted."""
    path = Path(source)
    looks_like_a_file = "," not in source and ("/" in source or path.suffix != "")
    try:
        exists = path.exists()
    except (OSError, ValueError):  # a list of names is too long for the name of a file
        exists = False
    if not exists and looks_like_a_file:
        raise DetectorError(f"labels={source}: no such file")
    if not exists or (path.is_dir() and not looks_like_a_file):
        return Labels(source, tuple(name.strip() for name in source.split(",")))
    if path.suffix.lower() in YAML_ENDINGS:
        return _yaml_labels(path, source)
    data = read_file(path, "the label file", DetectorError)
    if len(data) > LARGEST_FILE:
        raise DetectorError(f"labels={source}: {len(data):,} bytes are no list of names")
    try:
        return parse_labels(data.decode("utf-8-sig"), source, path.suffix.lower())
    except UnicodeDecodeError as error:
        raise DetectorError(f"labels={source}: cannot be read: {error}") from error


def parse_labels(text: str, source: str, suffix: str = ".txt") -> Labels:
    """Return the names in a text of the kind that ``suffix`` says: ``.pbtxt``, ``.json``, else one a line.

    Lines that all begin with a number of their own (``0  cat``, ``0: cat``, ``0,cat``), in rising order from 0 or 1,
    are counted by it. A dict of metadata in place of lines gives its ``names``.
    """
    if suffix == ".pbtxt":
        return Labels(source, own=dict(_label_map(text)))
    if suffix == ".json":
        return _json_labels(text, source)
    if text.lstrip().startswith("{"):
        named = _in_metadata(text)
        if named is None:
            raise DetectorError(f"labels={source}: it is a description without names of categories")
        return Labels(source, own=named)
    lines = _lines(text)
    return _numbered(lines, source) or Labels(source, lines)


def _yaml_labels(path: Path, source: str) -> Labels:
    """Return the names in the ``data.yaml`` of a YOLO, from the first category on: its numbers are places in a list."""
    try:
        names = yaml_categories(path)
    except DataError as error:
        raise DetectorError(f"labels={source}: {error}") from error
    if sorted(names) == list(range(len(names))):
        return Labels(source, tuple(names[number] for number in sorted(names)))
    return Labels(source, own=names)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.rstrip().splitlines())


def _numbered(lines: Sequence[str], source: str) -> Labels | None:
    found = [_NUMBERED.fullmatch(line) for line in lines if line]
    pairs = [(int(match[1]), match[2].strip()) for match in found if match is not None]
    numbers = [number for number, _ in pairs]
    agree = len(pairs) == len(found) > 0 and numbers[0] in (0, 1) and numbers == sorted(set(numbers))
    return Labels(source, own=dict(pairs)) if agree else None


def _label_map(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and name of each item of a label map that has both, the display name where it has one."""
    for pairs in label_map_items(text, strict=False):
        item = dict(reversed(pairs))  # the first of each key
        name = item.get("display_name") or item.get("name")
        if name and item.get("id", "").isdecimal():
            yield int(item["id"][:9]), name


def _json_labels(text: str, source: str) -> Labels:
    try:
        content = json.loads(text)
        if isinstance(content, dict):
            content = next((content[key] for key in KEYS if isinstance(content.get(key), list | dict)), content)
        if isinstance(content, list) and all(isinstance(name, str) for name in content):
            return Labels(source, tuple(name.strip() for name in content))
        if isinstance(content, list):  # as a COCO data set lists its categories
            return Labels(source, own={int(entry["id"]): str(entry["name"]) for entry in content})
        return Labels(source, own={int(key): str(name) for key, name in content.items()})
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise DetectorError(f"labels={source}: neither a list of names nor a mapping of id to name: {error}") from error


def _in_metadata(text: str) -> Mapping[int, str] | None:
    """Return the names in a dict of metadata, as exporters write it beside a model; ``None`` if it has none."""
    try:
        content: Any = literal_eval(text.strip())
        named: Any = next((content[key] for key in KEYS if content.get(key)), None)
        pairs = enumerate(named) if isinstance(named, list | tuple) else named.items()
        return {int(number): str(name) for number, name in pairs} or None
    except (AttributeError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        return None
