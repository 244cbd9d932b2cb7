"""What options alone show to be wrong, told before anything runs: of the session's, and of a test's marker."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet.crops import parse_spec, refuse_without_truth
from pytest_cropdet.data import dataset_plugin, inside_archive
from pytest_cropdet.detectors import Description, load_detector
from pytest_cropdet.errors import SpecError
from pytest_cropdet.files import is_url
from pytest_cropdet.inference import check_address
from pytest_cropdet.plugin.configuration import FIXTURES, WITHOUT_TRUTH, choices, given, marked, setting
from pytest_cropdet.plugin.option_values import limit_owner, parse_description, read, words
from pytest_cropdet.plugin.options import OPTIONS, option
from pytest_cropdet.settings import BY_CATEGORY
from pytest_cropdet.terms import DETECTOR_KINDS, SERVED_KINDS, did_you_mean

__all__ = ["check_marker", "check_options"]

_FACTORY = re.compile(r"[\w.]+:\w+")
_IS_THERE = {"file": Path.is_file, "folder": Path.is_dir, "file or folder": Path.exists} | {
    "folder or archive": lambda path: path.is_dir() or (path.is_file() and inside_archive(str(path)) is not None),
}


def check_options(config: pytest.Config) -> None:
    """Check what options alone can show: syntax, ranges, paths. ``CropdetError`` says what to mend."""
    _check_values(config)
    for model in (*choices(config, "model"), *choices(config, "against")):
        described = Description.of(**dict(model.said))
        labels = str(described.labels or "")
        if "," not in labels and ("/" in labels or Path(labels).suffix) and not is_url(labels):  # else it is names
            _check_there("--cropdet-detector labels=", labels, "file")
        kind = model.spec.partition(":")[0]
        if not _FACTORY.fullmatch(model.spec) or kind in {*DETECTOR_KINDS, *SERVED_KINDS, "sliced"}:
            load_detector(model.spec)
    for each in choices(config, "data"):
        is_pattern = any(letter in each.spec for letter in "*?[")  # what it fits, loading finds
        if not is_pattern and (Path(each.spec).exists() or dataset_plugin(each.spec) is None):
            _check_there("--cropdet-data ", each.spec, "file or folder")
    if not choices(config, "model"):
        parse_description(setting(config, "detector"), "", ())
    if setting(config, "benchmark_families"):
        from pytest_cropdet.benchmark import check_families

        check_families(list(words(setting(config, "benchmark_families"))))
    _check_places(config)
    if setting(config, "cluster"):
        check_address(setting(config, "cluster"))
    if any(setting(config, name) is not None for name in ("history", "history_time", "history_commit")):
        from pytest_cropdet.plugin.history import check_history

        check_history(config)


def check_marker(config: pytest.Config, item: pytest.Item) -> None:
    """Check what a test's marker says; ``CropdetError`` says what to mend."""
    _check_values(config, item)
    for name, of_categories in BY_CATEGORY.items():
        for category, limit in marked(item).get(of_categories, {}).items():
            option(name).check(limit, of=f" {category}=")
    _check_there("the marker's plan=", setting(config, "plan", item), "file")
    for what in (*FIXTURES.values(), "against"):
        choices(config, what, item)


def _check_values(config: pytest.Config, item: pytest.Item | None = None) -> None:
    for each in OPTIONS:
        value = given(config, each, item)
        if value is not None:
            read(each, value)
    models = [each.name for each in choices(config, "model", item)]
    for name in BY_CATEGORY:
        values = given(config, option(name), item)
        for value in values if isinstance(values, (list, tuple)) else ():
            owner, _ = limit_owner(str(value), models)
            if owner is not None and owner not in models:
                there = f"there are {', '.join(models)}" if models else "none is configured"
                raise SpecError(
                    f"cropdet_{name} {str(value)!r}: no model is called {owner!r}; {there}{did_you_mean(owner, models)}"
                )
    without_truth = any(each.said[:1] == WITHOUT_TRUTH for each in choices(config, "data", item))
    for spec in setting(config, "crops", item):
        if not isinstance(spec, str):
            continue
        parse_spec(spec)
        if without_truth:
            refuse_without_truth(spec)


def _check_places(config: pytest.Config) -> None:
    """Check the paths of what is read, and of where results are to go."""
    for each in OPTIONS:
        value = setting(config, each.name)
        if each.reads:
            _check_there(f"{each.flag} ", value, each.reads)
        if each.writes == "file" and value is not None and Path(value).is_dir():
            raise SpecError(f"{each.flag} {value} is a folder; name a file")
        if each.writes == "folder" and value and value != "off" and Path(value).is_file():
            raise SpecError(f"{each.flag} {value} is a file; name a folder")
    objects = setting(config, "objects")
    if objects is not None and Path(objects).suffix not in (".csv", ".parquet"):
        raise SpecError(f"--cropdet-objects {objects}: must end in .csv or .parquet")
    if objects is not None and Path(objects).suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise SpecError(f"--cropdet-objects {objects} needs pyarrow: pip install pyarrow, or name a .csv")


def _check_there(said: str, path: Any, what: str) -> None:
    if is_url(path) or (what == "file or folder" and path is not None and inside_archive(str(path)) is not None):
        return  # what is there, loading finds
    if path is not None and not _IS_THERE[what](Path(path)):
        raise SpecError(f"{said}{path}: no such {what}")
