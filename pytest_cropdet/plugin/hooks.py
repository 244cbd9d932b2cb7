"""The pytest plugin: options, marker, fixtures, and collection of the suite. A switchboard.

Everything that works is imported when it is needed; a project that does not use the plugin pays for nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cropdet.plugin.controller import Ledger
from pytest_cropdet.plugin.own_invariants import (
    SUITE_TEST,
    is_invariant,
    is_shown_short,
    own_items,
    parametrize_invariants,
)
from pytest_cropdet.plugin.stash import current_item, failed_by, kept_runs, setting_up
from pytest_cropdet.plugin.suite_module import SUITE, SuiteModule, has_invariants, suite_part, wanted_checks
from pytest_cropdet.settings import answering
from pytest_cropdet.terms import one_line

if TYPE_CHECKING:
    from pytest_cropdet.data import Dataset
    from pytest_cropdet.detectors import DetectorHandle
    from pytest_cropdet.plugin.fixture import Cropdet

OURS = ("cropdet", "cropdet_detector", "cropdet_dataset", "cropdet_crops")


def pytest_addoption(parser: pytest.Parser) -> None:
    from pytest_cropdet.plugin.option_help import add_options

    add_options(parser)


def pytest_load_initial_conftests(parser: pytest.Parser, args: list[str]) -> None:
    if any(word.startswith("--cropdet") for word in args):
        from pytest_cropdet.plugin.option_help import hint_at_options

        hint_at_options(parser, args)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "cropdet(**options): options of pytest-cropdet for this test, such as max_drop=0.03 or crops='tile'"
    )
    on_worker = hasattr(config, "workerinput")
    if not on_worker:
        config.pluginmanager.register(Ledger(config), "cropdet-ledger")
    from pytest_cropdet.errors import CropdetError
    from pytest_cropdet.plugin.configuration import in_use

    try:
        if in_use(config):
            _check(config, on_worker)
        if not on_worker:
            _check_keys(config)
    except CropdetError as error:
        raise pytest.UsageError(str(error)) from error


def _check_keys(config: pytest.Config) -> None:
    """Check the keys of the ini file that are ours; pytest 9 has them under another name than those before."""
    keys = getattr(config, "_inicfg", None)
    ours = [key for key in (config.inicfg if keys is None else keys) if key.startswith("cropdet_")]
    if ours:
        from pytest_cropdet.plugin.option_help import check_ini_keys

        check_ini_keys(ours, str(config.inipath))


def _check(config: pytest.Config, on_worker: bool) -> None:
    """Check what options alone show, on the controller: a worker cannot end with a usage error."""
    from pytest_cropdet.plugin.configuration import resolve_command_line
    from pytest_cropdet.plugin.rootdir_check import astray

    resolve_command_line(config)
    if not on_worker:
        found = astray(config)
        if found is not None and found.settings:
            raise pytest.UsageError(found.text)
        from pytest_cropdet.plugin.option_check import check_options

        check_options(config)
        if config.getoption("cacheclear", default=False):
            from pytest_cropdet.plugin.resources import clear_cache

            clear_cache(config)


def pytest_report_header(config: pytest.Config) -> list[str] | None:
    from pytest_cropdet.plugin.configuration import setting
    from pytest_cropdet.plugin.rootdir_check import astray

    found = astray(config)
    lines = [] if found is None else [f"cropdet: {one_line(found.text)}"]
    if setting(config, "data") and found is None:
        from pytest_cropdet.plugin.resources import layouts

        lines += [f"cropdet: {one_line(each)}" for each in layouts(config)]
    return lines or None


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Generator[None, Any, Any]:
    collected = yield
    if file_path.suffix != ".py" or file_path.parent != SUITE:
        return collected
    asked_for = any(parent.session.isinitpath(path) for path in (file_path, SUITE, SUITE.parent))
    if not asked_for or file_path.name == "__init__.py":
        return []
    if not parent.session.isinitpath(file_path) and file_path.stem not in wanted_checks(parent.config):
        return []
    return [SuiteModule.from_parent(parent, path=file_path, nodeid=f"pytest_cropdet/suite/{file_path.name}")]


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> list[pytest.Item] | None:
    """Leave out, of ``from pytest_cropdet.suite import *``, what is not wanted; make items of a user's invariants."""
    if is_invariant(obj):
        return own_items(collector, obj, has_invariants(collector))  # type: ignore[arg-type]
    part = suite_part(obj)
    return None if part is None or isinstance(collector, SuiteModule) or part in wanted_checks(collector.config) else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wanted = [name for name in OURS if name in metafunc.fixturenames]
    if wanted:
        from pytest_cropdet.plugin.configuration import parameters_for

        # a detector or data set of the user's own is not the one that the options name
        ours = [name for name in wanted if name == "cropdet_crops" or _uses_ours(metafunc.definition, name)]
        for name, values, ids, indirect in parameters_for(metafunc.config, metafunc.definition, ours):
            scope = "session" if indirect else None
            metafunc.parametrize(name, values, ids=ids, indirect=indirect, scope=scope)  # type: ignore[arg-type]
    if metafunc.function.__name__ == SUITE_TEST and suite_part(metafunc.function) is not None:
        parametrize_invariants(metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only_listed = any(config.getoption(name) for name in ("collectonly", "showfixtures", "show_fixtures_per_test"))
    if hasattr(config, "workerinput") or only_listed:
        return
    for item in items:
        may_skip = any(item.get_closest_marker(name) for name in ("skip", "skipif"))
        for fixture in ("cropdet_detector", "cropdet_dataset"):
            if not may_skip and _uses_ours(item, fixture):
                from pytest_cropdet.plugin.configuration import missing

                text = missing(config, fixture, item)
                if text is not None:
                    raise pytest.UsageError(text)


def pytest_collection_finish(session: pytest.Session) -> None:
    tests = [item.nodeid for item in session.items if _uses_ours(item, "cropdet")]
    ledger = session.config.pluginmanager.get_plugin("cropdet-ledger")
    if isinstance(ledger, Ledger):
        ledger.taken.planned = tests
    elif tests:
        from pytest_cropdet.plugin.reports import expect_tests

        expect_tests(session.config, tests)


def _uses_ours(item: pytest.Item, fixture: str) -> bool:
    """Whether a test uses this fixture as it is defined here, not one of the user's that overrides it."""
    info = getattr(item, "_fixtureinfo", None)
    definitions = getattr(info, "name2fixturedefs", {}).get(fixture, ())
    return bool(definitions) and definitions[-1].func.__module__ == __name__


@pytest.fixture(scope="session")
def cropdet_detector(request: pytest.FixtureRequest) -> DetectorHandle | None:
    """The detector named by --cropdet-model: called with RGB images, it answers Detections."""
    from pytest_cropdet.plugin.category_check import categories_first
    from pytest_cropdet.plugin.resources import open_detector, or_fail

    categories_first(request)
    return or_fail(open_detector, request.config, getattr(request, "param", None))


@pytest.fixture(scope="session")
def cropdet_dataset(request: pytest.FixtureRequest) -> Dataset:
    """The data set named by --cropdet-data: a sequence of samples, no pixel read before it is asked for."""
    from pytest_cropdet.plugin.category_check import check_categories
    from pytest_cropdet.plugin.resources import open_dataset, or_fail

    dataset: Dataset = or_fail(open_dataset, request.config, getattr(request, "param", None))
    or_fail(check_categories, request.config, dataset)
    return dataset


@pytest.fixture(scope="session")
def cropdet(request: pytest.FixtureRequest, cropdet_detector: DetectorHandle, cropdet_dataset: Dataset) -> Cropdet:
    """The configured detector on the configured data set: cropdet.run("random:keep=0.5") returns what crops cost."""
    from pytest_cropdet.plugin.fixture import Cropdet

    return Cropdet(request.config, cropdet_detector, cropdet_dataset)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    with setting_up(request.config, fixturedef):
        return (yield)


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    for each in request.config.stash.get(kept_runs, []):
        each.over |= each.fixture is fixturedef


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    item.config.stash[current_item] = item
    if item.config.stash.get(kept_runs, None):
        from pytest_cropdet.plugin.run_records import start

        start(item.config)
    try:
        with answering(lambda: _dataset_of(item)):
            return (yield)
    finally:
        del item.config.stash[current_item]


def _dataset_of(item: pytest.Item) -> Dataset:
    from pytest_cropdet.plugin.resources import dataset_of

    return dataset_of(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    tried_before = any(name.startswith("cropdet.") for name, _ in item.user_properties)
    if tried_before or item.config.stash.get(kept_runs, None):
        from pytest_cropdet.plugin.run_records import forget

        forget(item.config, item)
    if item.get_closest_marker("cropdet") is not None:
        from pytest_cropdet.plugin.option_check import check_marker
        from pytest_cropdet.plugin.resources import or_fail

        or_fail(check_marker, item.config, item)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Judge, when a test ended well, the limits that it stated and did not compare."""
    __tracebackhide__ = True
    result = yield
    if item.config.stash.get(kept_runs, None):
        from pytest_cropdet.plugin.run_records import judge_stated

        judge_stated(item.config, item)
    return result


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Judge the limits of runs that are made while a test is taken down."""
    __tracebackhide__ = True
    before = len(item.config.stash.get(kept_runs, ()))
    result = yield
    if len(item.config.stash.get(kept_runs, ())) > before:
        from pytest_cropdet.plugin.run_records import judge_stated

        judge_stated(item.config, item, before)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    error = None if call.excinfo is None else call.excinfo.value
    if error is not None and item.config.stash.get(kept_runs, None):
        from pytest_cropdet.plugin.run_records import explain_failure

        explain_failure(item.config, error)
    report = yield
    if call.excinfo is not None and report.failed and _is_ours(call.excinfo.value):
        function = getattr(item, "function", None)
        at_its_end = error is item.stash.get(failed_by, None)
        if suite_part(function) is not None or is_shown_short(function) or at_its_end:
            report.longrepr = call.excinfo.getrepr(style="value", chain=False)
        if at_its_end:  # no line of the test raised it
            from _pytest._code.code import ReprFileLocation

            report.longrepr.reprcrash = ReprFileLocation(str(item.path), (item.location[1] or 0) + 1, "")
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = str(call.excinfo.value)
    if item.config.stash.get(kept_runs, None):
        from pytest_cropdet.plugin.run_records import told_by

        failure: object = report.longreprtext if report.failed else None
        if error is not None and not isinstance(error, pytest.skip.Exception):
            failure = error
        told = told_by(item.config, item, failure)
        names = {name for name, _ in told}
        for each in (item, report):
            each.user_properties = [*(pair for pair in each.user_properties if pair[0] not in names), *told]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(
    report: pytest.TestReport, config: pytest.Config
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Put value and limit of a gate beside its verdict where pytest has no room for them behind the test's id."""
    if (
        report.when != "call"
        or not report.failed
        or not any(key.startswith("cropdet.") for key, _ in report.user_properties)
    ):
        return None
    from pytest_cropdet.report import short_verdict

    found = short_verdict(report, config)
    return None if found is None else ("failed", "F", (f"FAILED {found}", {"red": True}))


def _is_ours(error: BaseException) -> bool:
    """Whether an exception is one whose text says it all."""
    return any(base.__module__.startswith("pytest_cropdet.") for base in type(error).__mro__)
