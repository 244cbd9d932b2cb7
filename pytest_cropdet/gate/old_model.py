"""The old model of a comparison: run on the crops of the new one, or read from a file; and what changed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from pytest_cropdet.causes import Explainer, Explanation
from pytest_cropdet.comparison import Against, MatchRecord, common_images, compare_runs
from pytest_cropdet.detectors import as_handle
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.gate.match_records import hash_of_file, match_record
from pytest_cropdet.gate.measurements import Measurements
from pytest_cropdet.gate.scorer import GateScorer
from pytest_cropdet.inference import Advanced, BatchKeys, Cache, Meter, Spent, Started, on_cluster
from pytest_cropdet.settings import RunSettings

__all__ = ["OldModel", "PairedImages", "old_model_name", "old_on_cluster", "refuse_without_old"]


PairedImages = Literal["all", "common", "any"]


def old_model_name(record: MatchRecord) -> str:
    """Return what messages call an old model: the last two parts of a path, or its name."""
    return f"the old model {'/'.join(record.name.replace(chr(92), '/').split('/')[-2:])}"


def old_on_cluster(old: Any, client: Any) -> Any:
    """Return an old model whose batches run on the cluster of a client; a record, or an earlier run, as it is."""
    return old if old is None or isinstance(old, Measurements | MatchRecord) else on_cluster(as_handle(old), client)


def refuse_without_old(settings: RunSettings, against: Any) -> None:
    """Raise ``SpecError`` for a limit on changes without an old model, and for one that looks would cut short."""
    if settings.limits_changes and against is None:
        raise SpecError(
            "max_worse and max_drop_worse limit what changed from an old model; name it: --cropdet-against=MODEL or "
            "--cropdet-baseline=FILE"
        )
    if against is not None and settings.looks != "off":
        raise SpecError(
            f"looks={settings.looks} stops one model early, but two models are compared on all images; remove "
            "--cropdet-looks, or the old model"
        )


class OldModel:
    """An old detector on the crops of a new one's run, or what an earlier run of it, or a file, says of it there.

    ``pair``: with a record of other images "all" refuses it, "common" pairs those that both have, and "any" does so and
    goes on without a comparison where nothing can be paired.
    """

    def __init__(
        self, old: Any, name: str, new: GateScorer, cache: Cache | None, spent: Spent, pair: PairedImages = "all"
    ) -> None:
        self._record = (
            match_record(old) if isinstance(old, Measurements) else old if isinstance(old, MatchRecord) else None
        )
        self._name, self._spent, self._settings, self._pair = name, spent, new.settings, pair
        self._file_hash = cache.file_hash if cache is not None else hash_of_file
        self._measured: Measurements | None = None
        if self._record is not None:
            return
        handle = as_handle(old)
        self._keys = BatchKeys.of(cache, handle)
        if self._keys is not None and not self._keys.recall_profile(handle):
            self._keys.keep_profile(handle)
        try:
            self._scorer = GateScorer(handle, new.dataset, new.samples, new.settings, new.plan)
        except DetectorError as error:
            if type(error) is DetectorError and handle.name not in str(error):  # such as names that cannot be paired
                raise DetectorError(f"the old model {handle.name}: {error}") from error
            raise
        self._meter = Meter(handle, self._keys, "old", len(new.samples) + len(new.plan), spent)

    def detect(self) -> Iterator[Started | Advanced]:
        """Run the old detector on the same crops, where it is not a record."""
        if self._record is not None:
            return
        scorer, meter = self._scorer, self._meter
        yield meter.start(len(scorer.samples), len(scorer.plan))
        yield from meter.detect(scorer.samples, scorer.plan.windows)
        scorer.check_first(scorer.samples, meter)
        self._measured = scorer.score(scorer.samples, meter, self._settings.level)
        self._record = match_record(self._measured)

    def compare(self, new: Measurements) -> Against | None:
        """Return what changed from the old model to the new one; ``None`` where nothing can be paired, and may be."""
        if self._record is None:
            raise RuntimeError("the old model was not run")
        of_file = self._measured is None and any(picture for _, picture in self._record.digests)
        ours, theirs = match_record(new, self._file_hash if of_file else None), self._record
        name, note = self._name or old_model_name(theirs), None
        shared = () if self._pair == "all" else common_images(ours, theirs)
        if shared and len(shared) < max(len(ours.images), len(theirs.images)):
            counts = f"{len(ours.images)} here, {len(theirs.images)} there"
            note = f"compared on the {len(shared)} images that both have: {counts}"
            ours, theirs = ours.of_images(shared), theirs.of_images(shared)
        try:
            return replace(compare_runs(ours, theirs, new.settings, name), note=note)
        except SpecError:
            if self._pair == "any":
                return None
            raise

    def explanation(self, watch: Callable[[Iterator[Any]], Any]) -> Explanation | None:
        """Return the explanation of the old model's drop, ``None`` for a record, which has no detector."""
        if self._measured is None:
            return None
        scorer = self._scorer
        explainer = Explainer(
            scorer.handle,
            self._keys,
            [scorer.samples],
            scorer.plan.windows,
            scorer.pairing,
            self._settings,
            self._spent,
        )
        return Explanation(partial(explainer.causes, self._measured.scored), watch)
