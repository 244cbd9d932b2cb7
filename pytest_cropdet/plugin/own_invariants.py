"""Invariants of a user's own: which of them a test sees, and the items that they become."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from pytest_cropdet.plugin.options import INVARIANTS
from pytest_cropdet.terms import OWN_INVARIANT

__all__ = ["SUITE_TEST", "is_invariant", "is_shown_short", "own_items", "parametrize_invariants"]

SUITE_TEST = "test_detector_invariant"  # of the suite's module of invariants
ARGUMENT = "invariant"


def is_invariant(function: object) -> bool:
    """Whether a function is an invariant of a user's own."""
    return isinstance(function, (FunctionType, staticmethod)) and OWN_INVARIANT in vars(_plain(function))


def is_shown_short(function: object) -> bool:
    """Whether a test is one that :func:`own_items` made, whose failure is told by its text alone."""
    return getattr(function, "__name__", "") == SUITE_TEST and is_invariant(getattr(function, "__wrapped__", None))


def parametrize_invariants(metafunc: pytest.Metafunc) -> None:
    """Give the suite's test of invariants the built-in ones, and those of a user's own that it sees."""
    own = _seen_by(metafunc.config, metafunc.definition, metafunc.module)
    metafunc.parametrize(ARGUMENT, [*INVARIANTS, *map(_parameter, own)])


def own_items(collector: pytest.Collector, function: Callable[..., Any], has_suite: bool) -> list[Any]:
    """Return the items of an invariant in a test module; none where the suite's own test is there, and has it.

    ``has_suite``: whether the module has the suite's test of invariants, and they are wanted.
    """
    if not isinstance(collector, pytest.Module):
        raise pytest.Collector.CollectError(f"the invariant {_name(function)!r} is in a class: define it in the module")
    _seen_by(collector.config, collector, collector.obj)
    if has_suite:
        return []
    test = _as_test(function)
    with pytest.MonkeyPatch.context() as patch:  # pytest takes an item's function from its module, by the item's name
        patch.setattr(collector.obj, SUITE_TEST, test, raising=False)
        made = collector.ihook.pytest_pycollect_makeitem(collector=collector, name=SUITE_TEST, obj=test)
    return list(made or ())


def _as_test(function: Callable[..., Any]) -> Callable[..., None]:
    """Return a test that judges one invariant, at the place of its function and with its marks."""

    def test(cropdet: Any, invariant: Any) -> None:
        __tracebackhide__ = True
        cropdet.check_invariant(invariant)

    made: Any = pytest.mark.parametrize(ARGUMENT, [_parameter(function)])(test)
    attributes = {"__name__": SUITE_TEST, "__doc__": function.__doc__, "__module__": function.__module__}
    for name, value in {**attributes, "__wrapped__": function, "__signature__": inspect.signature(test)}.items():
        setattr(made, name, value)
    made.__test__ = True  # collected whatever python_functions says
    return test


def _parameter(function: Callable[..., Any]) -> Any:
    return pytest.param(function, id=_name(function), marks=getattr(function, "pytestmark", []))


def _name(function: Callable[..., Any]) -> str:
    return str(vars(_plain(function))[OWN_INVARIANT].name)


def _plain(function: object) -> object:
    return function.__func__ if isinstance(function, staticmethod) else function


def _seen_by(config: pytest.Config, node: pytest.Item | pytest.Collector, module: Any) -> Sequence[Callable[..., Any]]:
    """Return the invariants that a test sees, as it sees fixtures: of plug-ins, conftests above it, and its module.

    Two of one name are an error of collection.
    """
    found: dict[str, Callable[..., Any]] = {}
    for each in (*_of_plugins(config, node.path), *_of_module(module)):
        name = _name(each)
        if found.setdefault(name, each) is not each:
            places = " and ".join(_place(config, one) for one in (found[name], each))
            raise pytest.Collector.CollectError(
                f"two invariants are called {name!r}: {places}; give one another name, @invariant('NAME', at_most=...)"
            )
    return [*found.values()]


def _of_plugins(config: pytest.Config, path: Path) -> Iterator[Callable[..., Any]]:
    for _, plugin in config.pluginmanager.list_name_plugin():
        file = getattr(plugin, "__file__", None)
        if isinstance(plugin, ModuleType) and (file is None or _reaches(config, Path(file), path)):
            yield from _of_module(plugin)


def _reaches(config: pytest.Config, file: Path, path: Path) -> bool:
    """Whether what ``file`` defines reaches tests in ``path``: a conftest's those below it, at the root all."""
    folder, root = file.parent, config.rootpath
    if file.name != "conftest.py" or folder == root or not folder.is_relative_to(root):
        return True
    return path.is_relative_to(folder)


def _of_module(module: Any) -> Iterator[Callable[..., Any]]:
    return filter(is_invariant, list(vars(module).values()) if isinstance(module, ModuleType) else [])


def _place(config: pytest.Config, function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    path = Path(code.co_filename)
    shown = path.relative_to(config.rootpath) if path.is_relative_to(config.rootpath) else path
    return f"{shown}:{code.co_firstlineno}"
