"""What was odd about images when they were decoded, kept in the cache: a run that decodes nothing warns of it, too."""

from collections.abc import Iterable
from typing import Any

from pytest_cropdet.data import WARNING_KINDS, Dataset, DataWarnings, Sample, warnings_of
from pytest_cropdet.inference.cache import Cache

__all__ = ["data_warnings"]


def data_warnings(dataset: Dataset, samples: Iterable[Sample] = (), cache: Cache | None = None) -> list[dict[str, Any]]:
    """Return the warnings of a data set as built-in values, those of images that a cache spared included.

    ``samples``: the images that were used; what was found when one of them was decoded is kept in ``cache``.
    """
    found = getattr(dataset, "warnings", None)
    if cache is not None and isinstance(found, DataWarnings):
        used = {sample.id for sample in samples}
        for place, sample in enumerate(dataset):
            if sample.id in used:
                _exchange(found, place, sample, cache)
    return warnings_of(dataset)


def _exchange(found: DataWarnings, place: int, sample: Sample, cache: Cache) -> None:
    """Keep what was noted of an image, or note what was kept."""
    where = f"image {sample.id}"
    try:
        content = cache.content_hash(sample)
    except OSError:
        return
    if content is None:
        return
    name = f"image {content}"
    noted = found.noted(where)
    if noted:
        cache.remember(name, noted)
        return
    for each in cache.fact(name) or ():
        kind, detail = each
        if kind in WARNING_KINDS:  # else a later version's
            found.note(place, where, kind, detail)
