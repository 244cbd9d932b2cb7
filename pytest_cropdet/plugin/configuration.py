"""What the options say, looked up in one place: of the marker, else the command line, else the ini file."""

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet.crops import parse_spec, refuse_without_truth
from pytest_cropdet.detectors import Description, load_detector
from pytest_cropdet.errors import SpecError
from pytest_cropdet.plugin.ini import from_ini
from pytest_cropdet.plugin.options import (
    OPTIONS,
    Option,
    as_mapping,
    check_value,
    named_specs,
    option,
    parse_checks,
    parse_description,
    parse_limits,
    resolve_paths,
)
from pytest_cropdet.plugin.rootdir_check import base_folder
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.terms import DETECTOR_KINDS

__all__ = [
    "WITHOUT_TRUTH",
    "Chosen",
    "check_marker",
    "check_options",
    "choices",
    "default_limit",
    "folder_of",
    "missing",
    "parameters_for",
    "setting",
    "settings_for",
    "spec_of",
]

FIXTURES = {"cropdet_detector": "model", "cropdet_dataset": "data"}
WITHOUT_TRUTH = (("truth", "none"),)  # said of a folder of pictures: crops are held against the whole images
_FACTORY = re.compile(r"[\w.]+:\w+")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A configured model or data set with what the options say of it: its description, or the folder of its images."""

    name: str
    spec: str
    said: tuple[tuple[str, str], ...] = ()


def setting(config: pytest.Config, name: str, item: pytest.Item | None = None) -> Any:
    """Return an option's value: of the item's marker, else of the command line, else of the ini file, else its default.

    Paths in a marker are relative to the test's file, in the ini file to that file.
    """
    each = option(name)
    value = _given(config, each, item)
    return each.default if value is None else value


def _given(config: pytest.Config, each: Option, item: pytest.Item | None) -> Any:
    """Return what the user stated for an option, ``None`` where nothing."""
    marked = _marker(item)
    if item is not None and each.name in marked:
        return resolve_paths(each.name, check_value(each, marked[each.name]), item.path.parent)
    value = config.getoption(f"cropdet_{each.name}")
    if value is not None:
        return value
    value = from_ini(config, each)
    if value is None:
        return None
    base = config.inipath.parent if config.inipath is not None else config.invocation_params.dir
    return resolve_paths(each.name, value, base)


def default_limit() -> float | None:
    """Return the largest drop that a gate allows where no limit on the mean was stated."""
    return parse_limits(option("max_drop").default)[0]


def folder_of(config: pytest.Config) -> Path:
    """Return the folder of everything that is kept; it is made when something is stored."""
    given = setting(config, "dir")
    return base_folder(config) / ".cropdet" if given is None else Path(given)


def _marker(item: pytest.Item | None) -> dict[str, Any]:
    marker = None if item is None else item.get_closest_marker("cropdet")
    return {} if marker is None else as_mapping(marker.kwargs, marker.args)


def resolve_command_line(config: pytest.Config) -> None:
    """Make the command line's paths absolute, so that they mean the same whatever folder a test changes to."""
    for each in OPTIONS:
        name = f"cropdet_{each.name}"
        value = config.getoption(name)
        setattr(config.option, name, resolve_paths(each.name, value, config.invocation_params.dir))


def check_options(config: pytest.Config) -> None:
    """Check what options alone can show: syntax, ranges, paths. ``CropdetError`` says what to mend."""
    settings_for(config)
    _check_crops(config)
    parse_checks(setting(config, "checks"))
    _check_examples(config)
    for model in choices(config, "model"):
        Description.of(**dict(model.said))
        if not _FACTORY.fullmatch(model.spec) or model.spec.partition(":")[0] in DETECTOR_KINDS:
            load_detector(model.spec)
    for each in choices(config, "data"):
        if not Path(each.spec).exists():
            raise SpecError(f"--cropdet-data {each.spec}: no such file or folder")
    if not choices(config, "model"):
        parse_description(setting(config, "detector"), "", ())
    images = setting(config, "images")
    if images is not None and not Path(images).is_dir():
        raise SpecError(f"--cropdet-images {images}: no such folder")
    trained = setting(config, "train_data")
    if trained is not None and not Path(trained).exists():
        raise SpecError(f"--cropdet-train-data {trained}: no such file or folder")
    _check_data_errors(config)
    mode = setting(config, "benchmark")
    if mode is not None and mode not in option("benchmark").choices:
        raise SpecError(f"cropdet_benchmark must be one of {', '.join(option('benchmark').choices)}, not {mode!r}")
    plan = setting(config, "plan")
    if plan is not None and not Path(plan).is_file():
        raise SpecError(f"--cropdet-plan {plan}: no such file")
    target = setting(config, "json")
    if target is not None and Path(target).is_dir():
        raise SpecError(f"--cropdet-json {target} is a folder; name a file")
    _check_places(config)


def _check_places(config: pytest.Config) -> None:
    """Check where reports are to go."""
    objects = setting(config, "objects")
    if objects is not None and Path(objects).suffix not in (".csv", ".parquet"):
        raise SpecError(f"--cropdet-objects {objects}: must end in .csv or .parquet")
    if objects is not None and Path(objects).suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise SpecError(f"--cropdet-objects {objects} needs pyarrow: pip install pyarrow, or name a .csv")
    for name in ("report", "detections"):
        folder = setting(config, name)
        if folder and folder != "off" and Path(folder).is_file():
            raise SpecError(f"--cropdet-{name} {folder} is a file; name a folder")


def check_marker(config: pytest.Config, item: pytest.Item) -> None:
    """Check what a test's marker says; ``CropdetError`` says what to mend."""
    settings_for(config, item)
    _check_crops(config, item)
    plan = setting(config, "plan", item)
    if plan is not None and not Path(plan).is_file():
        raise SpecError(f"the marker's plan={plan}: no such file")
    _check_examples(config, item)
    _check_data_errors(config, item)
    for what in FIXTURES.values():
        choices(config, what, item)


def _check_data_errors(config: pytest.Config, item: pytest.Item | None = None) -> None:
    allowed, given = option("data_errors").choices, setting(config, "data_errors", item)
    if given not in allowed:
        raise SpecError(f"cropdet_data_errors must be one of {', '.join(allowed)}, not {given!r}")


def _check_examples(config: pytest.Config, item: pytest.Item | None = None) -> None:
    examples = setting(config, "examples", item)
    if examples < 1:
        raise SpecError(f"cropdet_examples must be 1 or more, not {examples}")


def _check_crops(config: pytest.Config, item: pytest.Item | None = None) -> None:
    without_truth = any(each.said == WITHOUT_TRUTH for each in choices(config, "data", item))
    for spec in setting(config, "crops", item):
        if not isinstance(spec, str):
            continue
        parse_spec(spec)
        if without_truth:
            refuse_without_truth(spec)


def choices(config: pytest.Config, what: str, item: pytest.Item | None = None) -> list[Chosen]:
    """Return the configured models (``what`` = "model") or data sets ("data"), with what is said of each."""
    found = named_specs(setting(config, what, item), what)
    if what == "data":
        images = setting(config, "images", item)
        if images is not None and not found:
            return [Chosen(Path(images).name, str(images), WITHOUT_TRUTH)]
        said = [] if images is None else [("images", images)]
        if setting(config, "data_errors", item) != option("data_errors").default:
            said.append(("errors", setting(config, "data_errors", item)))
        return [Chosen(each.name, each.spec, tuple(said)) for each in found]
    said, names = setting(config, "detector", item), [each.name for each in found]
    described = [tuple(parse_description(said, name, names).items()) for name in names]
    return [Chosen(each.name, each.spec, more) for each, more in zip(found, described, strict=True)]


def settings_for(config: pytest.Config, item: pytest.Item | None = None, **changes: Any) -> RunSettings:
    """Return the settings of a run: ``changes``, over the item's marker, over the command line, over the ini file.

    ``max_drop`` is ``None`` where nobody stated it: :func:`default_limit` is a gate's, not that of every run.
    """
    mean, single = parse_limits(_given(config, option("max_drop"), item) or ())
    names = [name.strip() for value in setting(config, "categories", item) for name in str(value).split(",")]
    values = {
        "crops": spec_of(setting(config, "crops", item)[0]),
        "max_drop": mean,
        "by_category": {**single, **_marker(item).get("by_category", {})},
        "categories": tuple(name for name in names if name),
        "fill": tuple(fill.strip() for value in setting(config, "fill", item) for fill in str(value).split(",")),
    }
    for each in OPTIONS:
        if each.name in RunSettings.__dataclass_fields__ and each.name not in values:
            values[each.name] = setting(config, each.name, item)
    return RunSettings(**{**values, **changes})


def parameters_for(
    config: pytest.Config, item: pytest.Item, fixtures: Sequence[str]
) -> list[tuple[str, list[Any], list[Any], bool]]:
    """Return what a test is parametrised over: models and data sets where there are several, and the crops.

    ``fixtures``: those the test uses, without the user's own detector or data set. A marker that says something wrong
    is left to the test's set-up, where it is one failure.
    """
    try:
        return _parameters(config, item, fixtures)
    except SpecError:
        return _parameters(config, None, fixtures)


def _parameters(
    config: pytest.Config, item: pytest.Item | None, fixtures: Sequence[str]
) -> list[tuple[str, list[Any], list[Any], bool]]:
    found: list[tuple[str, list[Any], list[Any], bool]] = []
    for fixture, what in FIXTURES.items():
        chosen = choices(config, what, item)
        if fixture in fixtures and len(chosen) > 1:
            found.append((fixture, chosen, [each.name for each in chosen], True))
        elif fixture in fixtures and chosen and chosen != choices(config, what):
            found.append((fixture, chosen, [pytest.HIDDEN_PARAM], True))
    if "cropdet_crops" in fixtures:
        specs = list(setting(config, "crops", item))
        found.append(("cropdet_crops", specs, spec_ids(specs), False))
    return found


def spec_of(crops: Any) -> str:
    """Return the spec of windows: itself, or what a strategy that draws them calls itself."""
    return str(getattr(crops, "spec", crops))


def spec_ids(specs: Sequence[Any]) -> list[str]:
    """Return a short id for each spec of windows: its families, the whole spec where that is not enough.

    >>> spec_ids(["random:keep=0.5", "tile"])
    ['random', 'tile']
    """
    texts = [spec_of(spec) for spec in specs]
    families = ["+".join(part.partition(":")[0].strip() for part in text.split("+")) for text in texts]
    families = [getattr(spec, "name", family) for spec, family in zip(specs, families, strict=True)]
    return [text if families.count(family) > 1 else family for text, family in zip(texts, families, strict=True)]


def missing(config: pytest.Config, fixture: str, item: pytest.Item | None = None) -> str | None:
    """Return what to tell a user who configured no model or no data set, ``None`` if there is one."""
    what = FIXTURES[fixture]
    if what == "model" and setting(config, "dry_run"):
        return None  # a dry run needs no detector
    try:
        if choices(config, what, item):
            return None
    except SpecError:
        return None  # a wrong marker, which the test's set-up names
    return (
        f"no {'detector' if what == 'model' else 'data set'}: give --cropdet-{what}=PATH (or cropdet_{what} in the ini "
        f"file), or define a session fixture {fixture}. In the root conftest.py it reaches `--pyargs "
        "pytest_cropdet.suite`; one in tests/conftest.py does not: there write `from pytest_cropdet.suite import *` in "
        "a test file beside it."
    )
