"""Between pytest's configuration and the runner: look options up, open what they name, run gates for a test."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pytest_cropdet.datasets import load_dataset
from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle, as_handle
from pytest_cropdet.errors import CropdetError, SpecError
from pytest_cropdet.options import (
    OPTIONS,
    Named,
    as_mapping,
    named_specs,
    option,
    parse_description,
    parse_limits,
    resolve_paths,
)
from pytest_cropdet.plan import parse_spec
from pytest_cropdet.plugin import current_item, runs_of_item
from pytest_cropdet.protocols import Dataset
from pytest_cropdet.report.json import write_json
from pytest_cropdet.report.progress import Progress
from pytest_cropdet.results import Run
from pytest_cropdet.runner import Finished, events
from pytest_cropdet.settings import RunSettings

T = TypeVar("T")


def setting(config: pytest.Config, name: str, item: pytest.Item | None = None) -> Any:
    """Return an option's value: the item's marker, else the command line, else the ini file, else the default."""
    each = option(name)
    marker = None if item is None else item.get_closest_marker("cropdet")
    given = {} if marker is None else as_mapping(marker.kwargs)
    if name in given:
        value = given[name]
        return [value] if each.kind == "lines" and isinstance(value, (str, int, float)) else value
    value = config.getoption(f"cropdet_{name}")
    if value is not None:
        return value
    value = config.getini(f"cropdet_{name}")
    if value not in (None, [], ""):
        base = config.inipath.parent if config.inipath is not None else config.invocation_params.dir
        return resolve_paths(name, value, base)
    return each.default


def resolve_command_line(config: pytest.Config) -> None:
    """Make the command line's paths absolute, so that workers see the same files."""
    for each in OPTIONS:
        name = f"cropdet_{each.name}"
        value = config.getoption(name)
        setattr(config.option, name, resolve_paths(each.name, value, config.invocation_params.dir))


def check_options(config: pytest.Config) -> None:
    """Check what options alone can show: syntax, ranges, paths. ``CropdetError`` says what to mend."""
    settings_for(config)
    for spec in setting(config, "crops"):
        parse_spec(spec)
    models, sets = named(config, "model"), named(config, "data")
    for each in models:
        Description.of(**description_of(config, each.name))
        load_detector(each.spec) if Path(each.spec).exists() or ":" not in each.spec else None
    for each in sets:
        if not Path(each.spec).exists():
            raise SpecError(f"--cropdet-data {each.spec}: no such file or folder")
    images = setting(config, "images")
    if images is not None and not Path(images).is_dir():
        raise SpecError(f"--cropdet-images {images}: no such folder")
    if images is not None and not sets:
        raise SpecError("--cropdet-images names the pictures of a data set; give it with --cropdet-data PATH")
    target = setting(config, "json")
    if target is not None and Path(target).is_dir():
        raise SpecError(f"--cropdet-json {target} is a folder; name a file")


def named(config: pytest.Config, what: str) -> list[Named]:
    """Return the configured models or data sets with their names."""
    return named_specs(setting(config, what), what)


def description_of(config: pytest.Config, model: str) -> dict[str, str]:
    """Return what ``--cropdet-detector`` says of a model."""
    models = [each.name for each in named(config, "model")]
    return parse_description(setting(config, "detector"), model, models)


def settings_for(config: pytest.Config, item: pytest.Item | None = None, **changes: Any) -> RunSettings:
    """Return the settings of a run: ``changes``, over the item's marker, over the command line, over the ini file."""
    mean, single = parse_limits(setting(config, "max_drop", item))
    names = [name.strip() for value in setting(config, "categories", item) for name in str(value).split(",")]
    values = {
        "crops": setting(config, "crops", item)[0],
        "max_drop": parse_limits(option("max_drop").default)[0] if mean is None else mean,
        "by_category": single,
        "categories": tuple(name for name in names if name),
    }
    for each in OPTIONS:
        if each.name in RunSettings.__dataclass_fields__ and each.name not in values:
            values[each.name] = setting(config, each.name, item)
    marker = None if item is None else item.get_closest_marker("cropdet")
    values["by_category"] = {**single, **({} if marker is None else marker.kwargs.get("by_category", {}))}
    return RunSettings(**{**values, **changes})


def parameters_for(
    config: pytest.Config, item: pytest.Item, fixtures: Sequence[str]
) -> list[tuple[str, list[Any], list[str], bool]]:
    """Return what a test is parametrised over: models and data sets where there are several, and the crops."""
    found: list[tuple[str, list[Any], list[str], bool]] = []
    for fixture, what in (("cropdet_detector", "model"), ("cropdet_dataset", "data")):
        choices = named(config, what)
        if fixture in fixtures and len(choices) > 1:
            names = [each.name for each in choices]
            found.append((fixture, names, names, True))
    if "cropdet_crops" in fixtures:
        specs = list(setting(config, "crops", item))
        found.append(("cropdet_crops", specs, _spec_ids(specs), False))
    return found


def _spec_ids(specs: Sequence[str]) -> list[str]:
    families = ["+".join(part.partition(":")[0].strip() for part in spec.split("+")) for spec in specs]
    return [spec if families.count(family) > 1 else family for spec, family in zip(specs, families, strict=True)]


def missing(config: pytest.Config, fixture: str) -> str | None:
    """Return what to tell a user who configured no model or no data set, ``None`` if there is one."""
    what, thing = ("model", "detector") if fixture == "cropdet_detector" else ("data", "data set")
    if named(config, what):
        return None
    return (
        f"no {thing}: give --cropdet-{what} PATH (or cropdet_{what} in the ini file), or define a session fixture "
        f"{fixture}. In the root conftest.py it reaches `--pyargs pytest_cropdet.suite`; one in tests/conftest.py does "
        "not: there write `from pytest_cropdet.suite import *` in a test file beside it."
    )


def or_fail(function: Callable[..., T], *args: Any) -> T:
    """Return what ``function`` returns; an error of ours becomes one failure with its sentence and no traceback."""
    try:
        return function(*args)
    except CropdetError as error:
        pytest.fail(str(error), pytrace=False)


def _chosen(config: pytest.Config, what: str, name: str | None) -> Named:
    choices = named(config, what)
    for each in choices:
        if name in (None, each.name):
            return each
    fixture = "cropdet_detector" if what == "model" else "cropdet_dataset"
    raise SpecError(missing(config, fixture) or f"no {what} is called {name}")


def open_detector(config: pytest.Config, name: str | None) -> DetectorHandle:
    """Return the configured detector of that name, loaded."""
    chosen = _chosen(config, "model", name)
    detector = load_detector(chosen.spec, **description_of(config, chosen.name))
    detector.load()
    return detector


def open_dataset(config: pytest.Config, name: str | None) -> Dataset:
    """Return the configured data set of that name."""
    return load_dataset(_chosen(config, "data", name).spec, setting(config, "images"))


class Cropdet:
    """A detector on a data set, as the fixture ``cropdet`` hands it to a test."""

    def __init__(self, config: pytest.Config, detector: Any, dataset: Dataset) -> None:
        self._config = config
        self.detector = as_handle(detector)
        self.dataset = dataset

    def run(self, crops: str | None = None, **changes: Any) -> Run:
        """Return what crops cost: ``cropdet.run("random:keep=0.3-0.9,per_image=4", max_drop=0.05)``.

        ``crops``: a spec of windows, the configured one if not given. ``changes``: any field of ``RunSettings``, over
        the marker, the command line and the ini file; ``max_drop`` and ``by_category`` state limits beforehand.
        Compare the result to gate it: ``assert run.drop <= 0.05``.
        """
        item = self._config.stash.get(current_item, None)
        try:
            settings = settings_for(self._config, item, **({} if crops is None else {"crops": crops}), **changes)
            found = self._finish(settings)
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
            raise SpecError(f"cropdet.run: {error}") from error
        run = found.named(self._name(settings, item))
        if item is not None:
            item.stash.setdefault(runs_of_item, []).append(run)
        return run

    def gate(self, crops: str | None = None, **changes: Any) -> Run:
        """Run, and fail unless every stated limit holds (``--cropdet-max-drop``, 0.05 unless set otherwise)."""
        __tracebackhide__ = True
        run = self.run(crops, **changes)
        run.check()
        return run

    def _finish(self, settings: RunSettings) -> Run:
        with Progress.on(self._config) as progress:
            for event in events(self.detector, self.dataset, settings):
                if isinstance(event, Finished):
                    return event.run
                progress.show(event)
        raise RuntimeError("the run ended without a result")

    def _name(self, settings: RunSettings, item: pytest.Item | None) -> str:
        parameters: Mapping[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        parts = [str(parameters[key]) for key in ("cropdet_detector", "cropdet_dataset") if key in parameters]
        specs = list(setting(self._config, "crops", item))
        ids = dict(zip(specs, _spec_ids(specs), strict=True))
        return "-".join([*parts, ids.get(settings.crops, _spec_ids([settings.crops])[0])])

    def __repr__(self) -> str:
        return f"Cropdet({self.detector.name!r} on {self.dataset.name!r})"


def write_results(config: pytest.Config, records: list[dict[str, Any]]) -> None:
    """Write the JSON if it was asked for; a place that cannot be written costs a warning, not the run."""
    target = setting(config, "json")
    if target is None:
        return
    try:
        write_json(Path(target), records)
    except OSError as error:
        warnings.warn(pytest.PytestWarning(f"--cropdet-json {target} could not be written: {error}"), stacklevel=1)
