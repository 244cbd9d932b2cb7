"""A data set under aliases and groups: the same images, with categories that are counted as one under one id."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_cropdet.data.category_names import CategoryNames, is_spelt_like
from pytest_cropdet.data.coco import Annotations
from pytest_cropdet.data.dataset import Dataset
from pytest_cropdet.data.samples import Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.settings import name_lists

__all__ = ["RenamedDataset", "rename_annotations", "with_names"]


def with_names(dataset: Dataset, alias: Sequence[str] = (), group: Sequence[str] = ()) -> Dataset:
    """Return a data set with these aliases and groups: itself where there are none.

    A group's categories are one in the truth, under the lowest of their ids and the group's name. Images, their order
    and what else the data set has stay as they are.
    """
    if not alias and not group:
        return dataset
    if isinstance(dataset, RenamedDataset):
        if dataset.given == (tuple(alias), tuple(group)):
            return dataset
        dataset = dataset.original
    if not getattr(dataset, "has_truth", True):
        raise SpecError(
            f"cropdet_{'group' if group else 'alias'} needs annotations: the data set {dataset.name} has none, and its "
            "objects have the detector's own categories"
        )
    return RenamedDataset(dataset, alias, group)


class RenamedDataset:
    """A data set whose categories have aliases and groups."""

    def __init__(self, original: Dataset, alias: Sequence[str], group: Sequence[str]) -> None:
        self.original = original
        self.given = (tuple(alias), tuple(group))
        self._names = CategoryNames.of(original.categories, alias, group)

    @property
    def name(self) -> str:
        return self.original.name

    @property
    def categories(self) -> CategoryNames:
        return self._names

    def __len__(self) -> int:
        return len(self.original)

    def __getitem__(self, index: int, /) -> Sample:
        return self._renamed(self.original[index])

    def __iter__(self) -> Iterator[Sample]:
        return map(self._renamed, self.original)

    def __getattr__(self, name: str) -> Any:
        if name == "original":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.original, name)

    def _renamed(self, sample: Sample) -> Sample:
        truth, ids = sample.truth, self._names.ids
        now = np.array([ids.get(key, key) for key in truth.categories.tolist()], dtype=np.int64)
        renamed: dict[str, Any] = (
            {} if np.array_equal(now, truth.categories) else {"truth": replace(truth, categories=now)}
        )
        if sample.checked is not None and ids:
            renamed["checked"] = self._checked(sample.checked)
        return replace(sample, **renamed) if renamed else sample

    def _checked(self, checked: frozenset[int]) -> frozenset[int]:
        """Return the categories that are checked: a group is, where all of its members are."""
        ids = self._names.ids
        return frozenset(
            new for new in set(ids.values()) if all(old in checked for old, its in ids.items() if its == new)
        )


def rename_annotations(annotations: Annotations, group: Sequence[str]) -> Annotations:
    """Return annotations in which the names of a group are the group's."""
    lists = name_lists("cropdet_group", group)
    shown = {
        name: next((head for head, others in lists.items() if any(is_spelt_like(name, each) for each in others)), name)
        for name in set(annotations.names)
    }
    return replace(annotations, names=tuple(shown[each] for each in annotations.names))
