"""What the options say, looked up in one place: of the marker, else the command line, else the ini file.

Nothing heavy is imported here: every session asks whether any option is in use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet.errors import SpecError
from pytest_cropdet.plugin.option_values import (
    Named,
    as_mapping,
    check_type,
    named_specs,
    parse_description,
    parse_limits,
    read,
    resolve_paths,
)
from pytest_cropdet.plugin.options import OF_RUNS, OPTIONS, Option, ini_type, option
from pytest_cropdet.plugin.rootdir_check import base_folder
from pytest_cropdet.settings import BY_CATEGORY, RunSettings

__all__ = [
    "FIXTURES",
    "WITHOUT_TRUTH",
    "Chosen",
    "choices",
    "default_limit",
    "folder_of",
    "given",
    "in_use",
    "marked",
    "missing",
    "parameters_for",
    "resolve_command_line",
    "setting",
    "settings_for",
    "spec_ids",
    "spec_of",
]

FIXTURES = {"cropdet_detector": "model", "cropdet_dataset": "data"}
WITHOUT_TRUTH = (("truth", "none"),)  # said of a folder of pictures: crops are held against the whole images


@dataclass(frozen=True, slots=True)
class Chosen:
    """A configured model or data set with what the options say of it: its description, or the folder of its images."""

    name: str
    spec: str
    said: tuple[tuple[str, Any], ...] = ()


def setting(config: pytest.Config, name: str, item: pytest.Item | None = None) -> Any:
    """Return an option's value: of the item's marker, else of the command line, else of the ini file, else its default.

    Paths in a marker are relative to the test's file, in the ini file to that file.
    """
    each = option(name)
    value = given(config, each, item)
    return each.default if value is None else value


def given(config: pytest.Config, each: Option, item: pytest.Item | None) -> Any:
    """Return what the user stated for an option, ``None`` where nothing."""
    said = marked(item)
    if item is not None and each.name in said:
        return resolve_paths(each.name, check_type(each, said[each.name]), item.path.parent)
    value = config.getoption(f"cropdet_{each.name}")
    if value is not None:
        return value
    value = _from_ini(config, each)
    if value is None:
        return None
    base = config.inipath.parent if config.inipath is not None else config.invocation_params.dir
    return resolve_paths(each.name, value, base)


def _from_ini(config: pytest.Config, each: Option) -> Any:
    """Return what the ini file says of an option, ``None`` if nothing; a value of another type is a usage error."""
    try:
        value = config.getini(f"cropdet_{each.name}")
    except (TypeError, ValueError, pytest.UsageError) as error:
        wanted = f"cropdet_{each.name} in {config.inipath} must be of type {ini_type(each)}"
        raise pytest.UsageError(f"{wanted}: {error}") from error
    return None if value in ("", []) else value


def in_use(config: pytest.Config) -> bool:
    """Whether any option was set, on the command line or in the ini file."""
    return any(
        config.getoption(f"cropdet_{each.name}") is not None or _from_ini(config, each) is not None for each in OPTIONS
    )


def default_limit() -> float | None:
    """Return the largest drop that a gate allows where no limit on the mean was stated."""
    return parse_limits(option("max_drop").default)[0]


def folder_of(config: pytest.Config) -> Path:
    """Return the folder of everything that is kept; it is made when something is stored."""
    folder = setting(config, "dir")
    return base_folder(config) / ".cropdet" if folder is None else Path(folder)


def marked(item: pytest.Item | None) -> dict[str, Any]:
    """Return what an item's marker says, by option."""
    marker = None if item is None else item.get_closest_marker("cropdet")
    return {} if marker is None else as_mapping(marker.kwargs, marker.args)


def resolve_command_line(config: pytest.Config) -> None:
    """Make the command line's paths absolute, so that they mean the same whatever folder a test changes to."""
    for each in OPTIONS:
        name = f"cropdet_{each.name}"
        value = config.getoption(name)
        setattr(config.option, name, resolve_paths(each.name, value, config.invocation_params.dir))


def choices(config: pytest.Config, what: str, item: pytest.Item | None = None) -> list[Chosen]:
    """Return the configured models (``what`` = "model"), old models ("against") or data sets ("data").

    With each comes what is said of it.
    """
    found = named_specs(setting(config, what, item), what)
    if what == "data":
        images = setting(config, "images", item)
        if images is not None and not found:
            strict = (("strict", True),) if setting(config, "strict_data", item) else ()
            return [Chosen(Path(images).name, str(images), (*WITHOUT_TRUTH, *strict))]
        said = [] if images is None else [("images", images)]
        if setting(config, "data_labels", item) is not None:
            said.append(("labels", setting(config, "data_labels", item)))
        if setting(config, "data_errors", item) != option("data_errors").default:
            said.append(("errors", setting(config, "data_errors", item)))
        if setting(config, "strict_data", item):
            said.append(("strict", True))
        return [Chosen(each.name, each.spec, tuple(said)) for each in found]
    if what == "against" and len(found) > 1:
        raise SpecError(f"--cropdet-against takes one old model, not {len(found)}: {', '.join(_names(found))}")
    other = "against" if what == "model" else "model"
    names = [*_names(found), *_names(named_specs(setting(config, other, item), other))]
    said = setting(config, "detector", item)
    described = [tuple(parse_description(said, each.name, names).items()) for each in found]
    return [Chosen(each.name, each.spec, more) for each, more in zip(found, described, strict=True)]


def _names(found: Sequence[Named]) -> list[str]:
    return [each.name for each in found]


def _model_of(config: pytest.Config, item: pytest.Item | None) -> str | None:
    """Return the name of the model that a test runs, ``None`` where none is configured for it."""
    chosen = getattr(getattr(item, "callspec", None), "params", {}).get("cropdet_detector")
    if not isinstance(chosen, Chosen):
        found = choices(config, "model", item)
        chosen = found[0] if len(found) == 1 else None
    return None if chosen is None else chosen.name


def settings_for(config: pytest.Config, item: pytest.Item | None = None, gate: str = "", **changes: Any) -> RunSettings:
    """Return the settings of a run: ``changes``, over the item's marker, over the command line, over the ini file.

    ``max_drop`` is ``None`` where nobody stated it: :func:`default_limit` is a gate's, not that of every run. ``gate``:
    its name, by which some options may say something of one gate alone.
    """
    values = {each.name: read(each, setting(config, each.name, item)) for each in OF_RUNS}
    models = [each.name for each in choices(config, "model", item)]
    for name, of_categories in BY_CATEGORY.items():
        mean, single = parse_limits(given(config, option(name), item) or (), name, _model_of(config, item), models)
        values |= {name: mean, of_categories: {**single, **marked(item).get(of_categories, {})}}
    of_all, single = values["undecided"]
    values |= {
        "undecided": single.get(gate, of_all or "fail"),
        "crops": spec_of(values["crops"][0]),
        "categories": tuple(filter(None, values["categories"])),
    }
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
