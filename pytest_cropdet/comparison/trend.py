"""The drop of a gate over time: from which commit on it is clearly larger.

Two lines of a history have bounds of their own and no match tables. The rule is that the bounds do not overlap: the
drop of a later line is clearly larger where its lower bound lies above the upper bound of an earlier line of
the same series (same plan, seed, metric, level, rules, images, objects and windows). With one-sided bounds of 95 % and
independent errors that happens by chance for 1 of 100 pairs of equal drops; on the same images errors are alike, and it
happens less often. So the rule is careful: a small change that the paired bounds of a baseline show may escape it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from pytest_cropdet.comparison.history_file import HistoryLine
from pytest_cropdet.evaluation import bounds_text, digits
from pytest_cropdet.terms import one_line

__all__ = ["LargerDrop", "Trend", "find_trends"]

_CHANGES = {
    "metric": "other metric",
    "plan": "other windows",
    "seed": "other seed",
    "level": "other level of the bounds",
    "rules": "other rules or categories",
    "data": "other data",
}


@dataclass(frozen=True)
class LargerDrop:
    """A part of a trend in which the drop is clearly larger than in an earlier line.

    ``first``: the place of its first line among those of the trend; ``than``: of the earlier line; ``until``: of the
    line that ended it, where the drop is no longer larger or something else was measured, ``None`` where none did.
    """

    first: int
    than: int
    until: int | None = None


@dataclass(frozen=True)
class Trend:
    """The lines of a gate in the order of time, one for each commit.

    ``breaks``: places from which on something else was measured, and what changed: drops on both sides of a break are
    not compared. ``larger``: where the drop is clearly larger than before. ``repeats``: how many lines were
    replaced by a later one of the same commit.
    """

    gate: str
    lines: Sequence[HistoryLine]
    breaks: Mapping[int, str]
    larger: Sequence[LargerDrop]
    repeats: int = 0

    @property
    def is_larger_now(self) -> bool:
        """Whether the drop of the newest line is clearly larger than one before it."""
        return bool(self.larger) and self.larger[-1].until is None

    @property
    def text(self) -> str:
        """What the trend says, in a sentence or two."""
        newest = self.lines[-1]
        if self.larger:
            return self._larger_text(self.larger[-1])
        start = max(self.breaks, default=0)
        compared = len(self.lines) - start
        now = f"the newest drop is {_drop(newest)} at {one_line(newest.called)}"
        if compared == 1:
            return f"{now}; there is nothing before it to compare it with"
        return f"{now}; no drop is clearly larger than one before it in {compared} measurements"

    def _larger_text(self, part: LargerDrop) -> str:
        first, than = self.lines[part.first], self.lines[part.than]
        text = (
            f"the drop is clearly larger from {one_line(first.called)} on: {_drop(first)}, up from "
            f"{_drop(than)} at {one_line(than.called)}"
        )
        newest = len(self.lines) - 1
        if part.until is None and part.first < newest:
            return f"{text}; the newest is {_drop(self.lines[newest])} at {one_line(self.lines[newest].called)}"
        if part.until is None:
            return text
        after = one_line(self.lines[part.until].called)
        why = self.breaks.get(part.until)
        return f"{text}; no longer from {after} on" if why is None else f"{text}; not compared from {after} on: {why}"


def find_trends(lines: Sequence[HistoryLine]) -> list[Trend]:
    """Return the trend of each gate, by the order in which gates appear in the file."""
    by_gate: dict[str, list[HistoryLine]] = {}
    for each in lines:
        by_gate.setdefault(each.gate, []).append(each)
    return [_trend(gate, members) for gate, members in by_gate.items()]


def _trend(gate: str, members: Sequence[HistoryLine]) -> Trend:
    last: dict[Any, HistoryLine] = {}
    for each in members:
        commit = each.content.get("commit")
        fingerprint = each.content["detector"].get("fingerprint")
        key = (commit, each.time, fingerprint, repr(sorted(each.series().items()))) if commit else each.number
        last[key] = each
    ordered = sorted(last.values(), key=lambda each: (each.time, each.number))
    breaks = {
        place: ", ".join(_changed(before, after))
        for place, (before, after) in enumerate(pairwise(ordered), 1)
        if _changed(before, after)
    }
    return Trend(gate, ordered, breaks, _larger(ordered, breaks), len(members) - len(ordered))


def _changed(before: HistoryLine, after: HistoryLine) -> list[str]:
    one, other = before.series(), after.series()
    return [words for key, words in _CHANGES.items() if one.get(key) != other.get(key)]


def _larger(lines: Sequence[HistoryLine], breaks: Mapping[int, str]) -> list[LargerDrop]:
    """Return the parts in which the lower bound lies above the smallest upper bound before it."""
    found = list[LargerDrop]()
    smallest: tuple[float, int] | None = None  # the smallest upper bound so far, and the place of its line

    def end(place: int) -> None:
        if found and found[-1].until is None:
            found[-1] = replace(found[-1], until=place)

    for place, each in enumerate(lines):
        low, high = each.drop["low"], each.drop["high"]
        if place in breaks:
            smallest = None
            end(place)
        if low is None or high is None:  # it says neither that the drop is larger nor that it is not
            continue
        if smallest is None or low <= smallest[0]:
            end(place)
        elif not found or found[-1].until is not None:
            found.append(LargerDrop(place, smallest[1]))
        smallest = min(smallest or (high, place), (high, place))
    return found


def _drop(line: HistoryLine) -> str:
    drop = line.drop
    return f"{digits(drop['value'])}{bounds_text(drop['low'], drop['high'])}"
