"""The numbers of a comparison: both detectors in the same resamples.

Both are matched with the same truth in the same windows. In every resample of the source images all four AP (of both
detectors, in whole images and in crops) are computed with the same weights, so the bounds are those of the difference:
what both share, such as hard images, cancels.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.comparison.against import Against, CategoryChange
from pytest_cropdet.comparison.match_record import MatchRecord
from pytest_cropdet.comparison.mismatch import refuse_mismatch
from pytest_cropdet.evaluation import (
    IOU_OF,
    SIDES,
    Doubt,
    Measure,
    Share,
    average_precision,
    bounds_of,
    category_doubts,
    data_doubts,
    draw_units,
    measure_share,
    none_for_nan,
    object_doubts,
    resample,
    subtract,
)
from pytest_cropdet.geometry import Bools, Floats
from pytest_cropdet.settings import RunSettings

__all__ = ["compare_runs"]


def compare_runs(new: MatchRecord, old: MatchRecord, settings: RunSettings, old_is: str = "the old model") -> Against:
    """Return what changed from ``old`` to ``new``, with bounds of ``settings.level``.

    ``SpecError`` names what keeps the two from being paired. ``old_is``: what messages call the old one.
    """
    refuse_mismatch(new, old, old_is)
    if new.images != old.images:
        old = old.of_images(new.images)  # the same ones in another order
    names = new.names
    tables = [each.matches[side] for each in (old, new) for side in SIDES]
    ids = [int(each) for each in tables[0].categories]
    kept = np.isin(ids, list(new.kept))
    apart = [each for each in ids if new.scored.images_of(each)]
    drawn = resample(
        tables,
        new.unit,
        replicates=settings.replicates,
        seed=settings.seed,
        categories=kept,
        apart=apart,
        metrics=[settings.metric],
    )
    precision = [average_precision(table) for table in tables]

    def values(mask: Bools) -> list[float | None]:
        return [none_for_nan(each.mean(threshold=IOU_OF[settings.metric], categories=mask)) for each in precision]

    build = _Measures(new, old, settings, old_is)
    mean, draws = values(kept), drawn.mean(settings.metric)
    doubts = data_doubts(new.scored, np.isin(list(new.chosen), list(new.kept)), new.chosen, settings)
    by_category = {}
    for place, key in enumerate(ids):
        if key in apart:
            own, single = category_doubts(names[key], new.scored.images_of(key)), np.arange(len(ids)) == place
            alone, at, of = drawn.category(key, settings.metric), values(single), f" of {names[key]}"
            by_category[names[key]] = CategoryChange(
                worse=build.worse(at, alone, own, of),
                drop_worse=build.drop_worse(at, alone, own, of),
                whole_ap=build.gain(
                    f"whole_ap{of}", f"AP{of} on whole images changed by", at[2], at[0], alone[2] - alone[0], own
                ),
                before=at[1],
                after=at[3],
                **build.shares(own, place, of),
            )
    return Against(
        new=new,
        old=old,
        old_is=old_is,
        level=settings.level,
        metric=settings.metric,
        ap={"old": dict(zip(SIDES, mean[:2], strict=True)), "new": dict(zip(SIDES, mean[2:], strict=True))},
        crop_ap=build.gain("crop_ap", "AP on crops changed by", mean[3], mean[1], draws[3] - draws[1], doubts),
        whole_ap=build.gain("whole_ap", "AP on whole images changed by", mean[2], mean[0], draws[2] - draws[0], doubts),
        worse=build.worse(mean, draws, doubts),
        drop_worse=build.drop_worse(mean, draws, doubts),
        by_category=by_category,
        **build.shares(object_doubts(new.scored, new.chosen, settings)),
    )


@dataclass(frozen=True)
class _Measures:
    """Makes the measures of a comparison; AP come in the order old whole, old crop, new whole, new crop."""

    new: MatchRecord
    old: MatchRecord
    settings: RunSettings
    old_is: str

    def gain(
        self,
        name: str,
        phrase: str,
        after: float | None,
        before: float | None,
        draws: Floats,
        doubts: tuple[Doubt, ...],
    ) -> Measure:
        low, high = bounds_of(draws, self.settings.level)
        return Measure(
            name, subtract(after, before), low, high, self.settings.level, True, phrase, self.settings.metric,
            (*doubts, *self._capped("AP(crop)" if name == "crop_ap" else "drop")),
            undecided=self.settings.undecided,
        )  # fmt: skip

    def worse(self, values: list[float | None], draws: Floats, doubts: tuple[Doubt, ...], of: str = "") -> Measure:
        """Return AP(crop) of the old detector - that of the new one."""
        return self._loss(
            f"worse{of}",
            f"AP on crops{of} fell by",
            subtract(values[1], values[3]),
            draws[1] - draws[3],
            (*doubts, *self._capped("AP(crop)")),
            (draws[1], values[1], f"AP of {self.old_is}", "the same crops"),
        )

    def drop_worse(self, values: list[float | None], draws: Floats, doubts: tuple[Doubt, ...], of: str = "") -> Measure:
        """Return drop(new) - drop(old)."""
        drops = subtract(values[2], values[3]), subtract(values[0], values[1])
        return self._loss(
            f"drop_worse{of}",
            f"the drop{of} grew by",
            subtract(*drops),
            (draws[2] - draws[3]) - (draws[0] - draws[1]),  # exactly 0 for a model against itself
            (*doubts, *self._capped("drop")),
            (draws[2], values[2], "AP", "the whole image"),
        )

    def _loss(
        self,
        name: str,
        phrase: str,
        value: float | None,
        draws: Floats,
        doubts: tuple[Doubt, ...],
        reference: tuple[Floats, float | None, str, str],
    ) -> Measure:
        low, high = bounds_of(draws, self.settings.level)
        strong, at, strength, seen_in = reference
        return Measure(
            name=name,
            value=value,
            low=low,
            high=high,
            level=self.settings.level,
            phrase=phrase,
            unit=self.settings.metric,
            doubts=doubts,
            undecided=self.settings.undecided,
            spread=self._spread(),
            blind=(bounds_of(strong, self.settings.level)[0], self.settings.min_ap),
            reference=at,
            strength=strength,
            seen_in=seen_in,
        )

    def shares(self, doubts: tuple[Doubt, ...], category: int | None = None, of: str = "") -> dict[str, Any]:
        """Return what happened to objects, each detector at its own operating point.

        ``category``: the place in the tables of the only one that counts.
        """
        new, settings, units = self.new, self.settings, len(self.new.images)
        counted = new.counted
        if category is not None:
            counted = counted & (new.matches["crop"].truth_category == category)
        draws = self._draws

        def per_unit(rows: Bools) -> Floats:
            return np.bincount(new.object_unit[rows], minlength=units).astype(np.float64)

        total = per_unit(counted)
        lost = {side: each.found["reference"] & ~each.found["crop"] & counted for side, each in self._both()}
        seen = {side: each.found["crop"] & counted for side, each in self._both()}

        def share(name: str, over: Floats, phrase: str, good: bool = False) -> Share:
            undecided, level = settings.undecided, settings.level
            return measure_share(f"{name}{of}", over, total, draws, doubts, undecided, phrase, good, level=level)

        more, less = seen["new"] & ~seen["old"], seen["old"] & ~seen["new"]
        alone = f"objects{of} that one model alone finds in crops: the"
        return {
            "lost_worse": share(
                "lost_worse", per_unit(lost["new"]) - per_unit(lost["old"]), f"crops lose, more than before,{of}"
            ),
            "newly_missed": share("newly_missed", per_unit(less), f"{alone} old one"),
            "newly_found": share("newly_found", per_unit(more), f"{alone} new one", good=True),
        }

    @cached_property
    def _draws(self) -> NDArray[Any]:
        return draw_units(len(self.new.images), self.settings.replicates, self.settings.seed)

    def _both(self) -> tuple[tuple[str, MatchRecord], ...]:
        return ("new", self.new), ("old", self.old)

    def _spread(self) -> float | None:
        spreads = [each.spread for _, each in self._both() if each.spread is not None]
        return sum(spreads) if spreads else None

    def _capped(self, measure: str) -> tuple[Doubt, ...]:
        if self.settings.cap == "accept":
            return ()
        texts = [
            f"{self.old_is}: {text}" if side == "old" else text
            for side, each in self._both()
            if (text := each.capped.get(measure)) is not None
        ]
        return (Doubt("cap", f"{'; '.join(texts)}; `cropdet_cap = accept` overrides", only_pass=True),) if texts else ()
