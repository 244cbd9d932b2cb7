"""Whether the data set has the categories that options name: known before a detector is loaded."""

import pytest

from pytest_cropdet.data import Dataset, as_dataset, select_categories, with_names
from pytest_cropdet.plugin.configuration import settings_for

__all__ = ["categories_first", "check_categories"]


def categories_first(request: pytest.FixtureRequest) -> None:
    """Open the data set before a detector, where options name categories: one that is missing needs no model."""
    settings = settings_for(request.config)
    named = settings.categories or settings.limited_categories
    if named and "cropdet_dataset" in request.fixturenames:
        request.getfixturevalue("cropdet_dataset")


def check_categories(config: pytest.Config, dataset: Dataset) -> None:
    """Check the session's categories, and those with a limit of their own; ``SpecError`` names one that is missing."""
    settings = settings_for(config)
    wanted = (*settings.categories, *settings.limited_categories)
    if wanted and getattr(dataset, "has_truth", True):
        select_categories(wanted, with_names(as_dataset(dataset), settings.alias, settings.group).categories)
