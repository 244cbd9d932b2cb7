"""The pytest plugin: options, marker, fixtures, collection of the suite, and the way of results. A switchboard.

Everything that works is imported when it is needed; a project that does not use the plugin pays for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_cropdet.detectors.handle import DetectorHandle
    from pytest_cropdet.protocols import Dataset
    from pytest_cropdet.session import Cropdet

SUITE = Path(__file__).parent / "suite"
SUITE_MODULE = "pytest_cropdet.suite"
RECORD = "cropdet.gate"

current_item = pytest.StashKey[pytest.Item]()
runs_of_item = pytest.StashKey[list[Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    from pytest_cropdet.options import OPTIONS, ini_type

    group = parser.getgroup("cropdet", "crop robustness of object detectors (pytest-cropdet)")
    types = {"int": int, "float": float}
    for each in OPTIONS:
        shared = {"dest": f"cropdet_{each.name}", "metavar": each.metavar, "help": each.help, "default": None}
        flag = f"--cropdet-{each.name.replace('_', '-')}"
        if each.kind == "lines":
            group.addoption(flag, action="append", **shared)
        else:
            group.addoption(flag, type=types.get(each.kind, str), choices=each.choices or None, **shared)
        parser.addini(f"cropdet_{each.name}", each.help, type=ini_type(each), default=None)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "cropdet(**options): options of pytest-cropdet for this test, such as max_drop=0.03 or crops='tile'"
    )
    if hasattr(config, "workerinput"):
        return
    config.pluginmanager.register(Ledger(config), "cropdet-ledger")
    if _in_use(config):
        from pytest_cropdet.errors import CropdetError
        from pytest_cropdet.session import check_options, resolve_command_line

        try:
            resolve_command_line(config)
            check_options(config)
        except CropdetError as error:
            raise pytest.UsageError(str(error)) from error


def _in_use(config: pytest.Config) -> bool:
    """Whether any option was set, on the command line or in the ini file."""
    from pytest_cropdet.options import OPTIONS

    names = [f"cropdet_{each.name}" for each in OPTIONS]
    return any(config.getoption(name) is not None or config.getini(name) not in (None, [], "") for name in names)


class SuiteModule(pytest.Module):
    """A module of the ready-made suite: same tests and node ids under any configuration and place of installation."""

    def _getobj(self) -> Any:
        from importlib import import_module

        return import_module(f"{SUITE_MODULE}.{self.path.stem}")

    def istestfunction(self, obj: object, name: str) -> bool:
        return name.startswith("test_") and callable(obj)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Generator[None, Any, Any]:
    collected = yield
    if file_path.suffix == ".py" and file_path.parent == SUITE and file_path.name != "__init__.py":
        node_id = f"pytest_cropdet/suite/{file_path.name}"
        return [SuiteModule.from_parent(parent, path=file_path, nodeid=node_id)]
    return collected


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wanted = {"cropdet", "cropdet_detector", "cropdet_dataset", "cropdet_crops"} & set(metafunc.fixturenames)
    if wanted:
        from pytest_cropdet.session import parameters_for

        for name, values, ids, indirect in parameters_for(metafunc.config, metafunc.definition, metafunc.fixturenames):
            scope = "session" if indirect else None
            metafunc.parametrize(name, values, ids=ids, indirect=indirect, scope=scope)  # type: ignore[arg-type]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput") and not config.getoption("collectonly"):
        for fixture in ("cropdet_detector", "cropdet_dataset"):
            if any(_uses_ours(item, fixture) for item in items):
                from pytest_cropdet.session import missing

                text = missing(config, fixture)
                if text is not None:
                    raise pytest.UsageError(text)


def _uses_ours(item: pytest.Item, fixture: str) -> bool:
    info = getattr(item, "_fixtureinfo", None)
    definitions = getattr(info, "name2fixturedefs", {}).get(fixture, ())
    return bool(definitions) and definitions[-1].func.__module__ == __name__


@pytest.fixture(scope="session")
def cropdet_detector(request: pytest.FixtureRequest) -> DetectorHandle:
    """The detector named by --cropdet-model: called with RGB images, it answers Detections."""
    from pytest_cropdet.session import open_detector, or_fail

    return or_fail(open_detector, request.config, getattr(request, "param", None))


@pytest.fixture(scope="session")
def cropdet_dataset(request: pytest.FixtureRequest) -> Dataset:
    """The data set named by --cropdet-data: a sequence of samples, no pixel read before it is asked for."""
    from pytest_cropdet.session import open_dataset, or_fail

    return or_fail(open_dataset, request.config, getattr(request, "param", None))


@pytest.fixture(scope="session")
def cropdet(request: pytest.FixtureRequest, cropdet_detector: DetectorHandle, cropdet_dataset: Dataset) -> Cropdet:
    """The configured detector on the configured data set: cropdet.run("random:keep=0.5") returns what crops cost."""
    from pytest_cropdet.session import Cropdet

    return Cropdet(request.config, cropdet_detector, cropdet_dataset)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    item.config.stash[current_item] = item
    try:
        return (yield)
    finally:
        del item.config.stash[current_item]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    runs = item.stash.get(runs_of_item, [])
    if runs:
        from pytest_cropdet.report.properties import properties

        item.user_properties = [pair for pair in item.user_properties if not pair[0].startswith("cropdet.")]
        item.user_properties.extend(properties(runs, item.nodeid))
    report = yield
    if call.excinfo is not None and report.failed and _is_ours(call.excinfo.value):
        from_suite = getattr(item, "function", None).__module__.startswith(SUITE_MODULE)
        shown = call.excinfo.getrepr(style="value") if from_suite else report.longrepr
        if getattr(shown, "reprcrash", None) is not None:
            shown.reprcrash.message = str(call.excinfo.value)
        report.longrepr = shown
    return report


def _is_ours(error: BaseException) -> bool:
    """Whether an exception is one whose text says it all."""
    return any(base.__module__.startswith("pytest_cropdet.") for base in type(error).__mro__)


class Ledger:
    """On the controller: takes the results of gates off the reports, wherever they ran, and writes them down."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.records: dict[tuple[str, int], dict[str, Any]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = [value for name, value in report.user_properties if name == RECORD]
        report.user_properties = [pair for pair in report.user_properties if pair[0] != RECORD]
        for place, text in enumerate(found):
            self.records[report.nodeid, place] = json.loads(str(text))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if self.records or _in_use(self.config):
            from pytest_cropdet.session import write_results

            write_results(self.config, list(self.records.values()))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.records:
            from pytest_cropdet.report.terminal import summary

            summary(terminalreporter, list(self.records.values()))
