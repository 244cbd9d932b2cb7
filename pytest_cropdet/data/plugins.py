"""Data sets of plug-ins: entry points whose function returns a data set, or a list of samples."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pytest_cropdet.data.dataset import Dataset
from pytest_cropdet.data.samples import Sample
from pytest_cropdet.errors import DataError

__all__ = ["DATASET_ENTRY_POINTS", "dataset_plugin", "open_plugin"]

DATASET_ENTRY_POINTS = "pytest_cropdet.datasets"


class Samples:
    """A data set of samples in a list."""

    def __init__(self, name: str, samples: list[Sample], categories: Mapping[int, str]) -> None:
        self.name, self.categories = name, dict(categories)
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int, /) -> Sample:
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)


def dataset_plugin(name: str) -> EntryPoint | None:
    """Return the entry point of a data set, ``None`` if no installed package has one of that name."""
    found = [each for each in entry_points(group=DATASET_ENTRY_POINTS) if each.name == name]
    values = sorted({each.value for each in found})
    if len(values) > 1:
        raise DataError(f"several plug-ins have a data set {name!r}: {', '.join(values)}; uninstall all but one")
    return found[0] if found else None


def open_plugin(entry: EntryPoint) -> Dataset:
    """Return the data set that the function of an entry point makes; ``DataError`` names the plug-in.

    The function takes no arguments. Names of the categories of a list of samples are its attribute ``categories``.
    """
    what = f"the data set {entry.name!r} of the plug-in {entry.value}"
    try:
        function = entry.load()
    except Exception as error:
        raise DataError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise DataError(f"{what} is not a function that returns a data set but {type(function).__name__}")
    try:
        made = function()
        return made if isinstance(made, Dataset) else _of_samples(entry.name, what, made, function)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{what} failed: {type(error).__name__}: {error}") from error


def _of_samples(name: str, what: str, made: Any, function: Any) -> Samples:
    """Return a list of samples as a data set."""
    samples = list(made) if isinstance(made, Iterable) and not isinstance(made, str | Mapping) else None
    if samples is None or not all(isinstance(each, Sample) for each in samples):
        kinds = sorted({type(each).__name__ for each in samples}) if samples else [type(made).__name__]
        raise DataError(
            f"{what} returned {', '.join(kinds)}; it must return a Dataset (with name, categories, len, indexing and "
            "iteration over Sample) or a list of Sample"
        )
    ids = [each.id for each in samples]
    twice = next((each for each in ids if ids.count(each) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise DataError(f"{what} has two samples with the id {twice!r}")
    used = sorted({int(key) for each in samples for key in each.truth.categories})
    names = getattr(function, "categories", None)
    if names is None:
        raise DataError(
            f"{what} returned samples without names of their categories ({', '.join(map(str, used[:5])) or 'none'}); "
            "give the function an attribute `categories` = {id: 'name', ...}, or return a Dataset"
        )
    unnamed = [key for key in used if key not in names]
    if unnamed:
        raise DataError(f"{what} has objects of category {unnamed[0]}, for which its `categories` have no name")
    return Samples(name, samples, names)
