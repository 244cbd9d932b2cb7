"""A new detector against an old one on the same crops: what changed, with bounds, and what happened in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from pytest_cropdet.comparison.match_record import MatchRecord
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import SIDES, ByCategory, Measure, Share, Verdict
from pytest_cropdet.settings import RunSettings

__all__ = ["Against", "CategoryChange"]

Change = Literal["same", "worse everywhere", "less robust", "worse on crops", "better", "cannot tell"]
MEANING: Mapping[Change, str] = {
    "same": "both models answer alike on every crop",
    "worse everywhere": "the model got worse everywhere: whole images and crops alike",
    "less robust": "the model got less robust: it lost accuracy on crops, and no loss on whole images can be shown",
    "worse on crops": "the model got worse on crops; the bounds do not show whether also on whole images",
    "better": "the model got better on crops: update the baseline?",
    "cannot tell": "no difference between the two models can be shown on these images",
}


OF_CATEGORIES = ("worse", "drop_worse", "whole_ap", "lost_worse", "newly_missed", "newly_found")


@dataclass(frozen=True, eq=False)
class CategoryChange:
    """One category, new against old; ``before``, ``after``: AP on crops. Measures are as in ``Against``."""

    worse: Measure
    drop_worse: Measure
    whole_ap: Measure
    lost_worse: Share
    newly_missed: Share
    newly_found: Share
    before: float | None
    after: float | None

    @property
    def measures(self) -> dict[str, Measure]:
        """Its measures by name."""
        return {name: getattr(self, name) for name in OF_CATEGORIES}


@dataclass(frozen=True, eq=False, kw_only=True)
class Against:
    """What changed from the old detector to the new one. All AP are of the metric that is gated, 0 to 1.

    ``crop_ap``, ``whole_ap``: AP in crops and in whole images, new - old; goods. ``worse``: by how much AP on crops
    fell; a loss, and what ``--cropdet-max-worse`` limits. ``drop_worse``: drop(new) - drop(old), a loss.
    ``lost_worse``: share of the objects lost by crops, new - old. ``newly_missed``: share of the objects that the old
    one finds in the crop and the new one does not, each at its own operating point; ``newly_found``: the mirror.
    ``ap``: by detector (``new``, ``old``) and rendering. ``note``: what a reader has to know of the comparison.
    """

    new: MatchRecord
    old: MatchRecord
    old_is: str
    level: float
    metric: str
    ap: Mapping[str, Mapping[str, float | None]]
    crop_ap: Measure
    whole_ap: Measure
    worse: Measure
    drop_worse: Measure
    lost_worse: Share
    newly_missed: Share
    newly_found: Share
    by_category: Mapping[str, CategoryChange]
    note: str | None = None
    verdicts: list[Verdict] = field(default_factory=list)

    @cached_property
    def change(self) -> Change:
        """What happened, in one of six words; each but the last is said only where its bounds show it."""
        if self._is_same():
            return "same"
        crops, whole = _sign(self.crop_ap), _sign(self.whole_ap)
        if crops > 0:
            return "better"
        if crops < 0 and _sign(self.drop_worse) > 0 and whole >= 0:
            return "less robust"
        if crops < 0 and whole < 0:
            return "worse everywhere"
        return "worse on crops" if crops < 0 else "cannot tell"

    @property
    def text(self) -> str:
        """What happened, in a sentence."""
        text = MEANING[self.change]
        if self.change == "worse everywhere" and _sign(self.drop_worse) > 0:
            text += ", and on crops even more"
        return text

    @property
    def measure_names(self) -> set[str]:
        """The names of all of its measures."""
        of_categories = (measure for each in self.by_category.values() for measure in each.measures.values())
        own = (self.crop_ap, self.whole_ap, self.worse, self.drop_worse)
        return {each.name for each in (*own, self.lost_worse, self.newly_missed, self.newly_found, *of_categories)}

    def stated(self, settings: RunSettings) -> list[tuple[Measure, float]]:
        """Return every limit of the settings that is on a change, with the measure that it is of."""
        found = [(self.worse, settings.max_worse), (self.drop_worse, settings.max_drop_worse)]
        missing = sorted({*settings.worse_by_category, *settings.drop_worse_by_category} - {*self.by_category})
        if missing:
            raise SpecError(f"a limit is on {', '.join(missing)}, of which no crop shows an object that counts")
        found += [(self.by_category[name].worse, limit) for name, limit in settings.worse_by_category.items()]
        found += [(self.by_category[name].drop_worse, limit) for name, limit in settings.drop_worse_by_category.items()]
        return [(measure, limit) for measure, limit in found if limit is not None]

    def told(self, story: Callable[[Verdict], str], note: Callable[[Verdict], None]) -> "Against":
        """Return the comparison with measures that explain themselves and leave their verdicts somewhere."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        measures: dict[str, Any] = {
            name: each.with_story(story, note) for name, each in own.items() if isinstance(each, Measure)
        }
        by_category = {}
        for name, each in self.by_category.items():
            of_it: dict[str, Any] = {key: one.with_story(story, note) for key, one in each.measures.items()}
            by_category[name] = replace(each, **of_it)
        return replace(self, **measures, by_category=ByCategory(by_category))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        changes = ("crop_ap", "whole_ap", "worse", "drop_worse", "lost_worse", "newly_missed", "newly_found")
        return {
            "old": {
                "name": self.old_is.removeprefix("the old model "),
                "fingerprint": self.old.detector.get("fingerprint"),
            },
            "new": {"fingerprint": self.new.detector.get("fingerprint")},
            "images": len(self.new.images),
            "crops": len(self.new.unit),
            "change": self.change,
            "text": self.text,
            "note": self.note,
            "ap": {name: dict(each) for name, each in self.ap.items()},
            **{name: getattr(self, name).bounds() for name in changes},
            "newly_missed_count": int(self.newly_missed.over.sum()),
            "newly_found_count": int(self.newly_found.over.sum()),
            "categories": [
                {
                    "name": name,
                    "before": each.before,
                    "after": each.after,
                    **{key: measure.bounds() for key, measure in each.measures.items()},
                }
                for name, each in self.by_category.items()
            ],
        }

    def _is_same(self) -> bool:
        """Whether both found the same objects at every threshold, in the same order."""
        if self.newly_missed.over.any() or self.newly_found.over.any():
            return False
        return all(_equal(self.new.matches[side], self.old.matches[side]) for side in SIDES)

    def __repr__(self) -> str:
        return f"<Against {self.old_is}: AP(crop) {self.crop_ap}, {self.change}>"


def _sign(measure: Measure) -> int:
    """Return 1 or -1 where the bounds show the sign of a number, else 0."""
    if measure.low is None or measure.high is None:
        return 0
    return int(measure.low > 0) - int(measure.high < 0)


def _equal(one: Any, other: Any) -> bool:
    names = ("starts", "image", "outside", "contenders", "matched")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
