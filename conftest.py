"""Runs the Python blocks of the documentation as tests, each page in one namespace, and says what `make quick` runs.

README.md and docs/*.md are the pages. With ``--quick`` (`make quick`), tests that are marked ``tensorflow``,
``subprocess`` or ``slow`` do not run, nor do those whose fixtures need that, nor modules that import TensorFlow as a
whole; every other test fails in that mode as soon as it imports TensorFlow or starts a process (a browser, say), and
the failure names the mark to set.
"""

import os
import re
import sys
from collections.abc import Generator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

# every model here is made by the project itself; tests of the probe switch it on (a process each costs seconds)
os.environ.setdefault("CROPDET_PROBE", "off")

# modules that exist for an optional package: without it there is nothing in them to run
NEEDS = {
    "numba": ["pytest_cropdet/evaluation/coco/weighted_ap_numba.py"],
    "tensorflow": [f"pytest_cropdet/augment/{name}.py" for name in ("tf_graph", "tf_generic", "keras_layer")],
}
collect_ignore = [file for package, files in NEEDS.items() if find_spec(package) is None for file in files]


def pytest_report_header() -> str | None:
    return None if SYBIL else "the documentation's blocks are not tested: pip install -e '.[dev]'"


# Gates of who installed this checkout with `pip install -e` come by here, too, and need no Sybil.
SYBIL = find_spec("sybil") is not None
if SYBIL:
    from sybil import Example, Sybil
    from sybil.evaluators.python import PythonEvaluator
    from sybil.parsers.markdown import CodeBlockParser, SkipParser

    class AfterTheBlocksBefore(PythonEvaluator):
        """Runs the earlier blocks first where this process has not: so a block has its names alone or on a worker."""

        def __call__(self, example: Example) -> None:
            done = example.document.__dict__.setdefault("blocks_done", set())
            before = ""
            for block in example.document.examples():
                if block.line >= example.line:
                    break
                is_own = block.region.evaluator is self
                if is_own and block.line not in done and not before.endswith("skip: next"):
                    block.evaluate()
                before = "" if is_own else example.document.text[block.region.start : block.region.end].strip(" <!->")
            done.add(example.line)
            super().__call__(example)

    pytest_collect_file = Sybil(
        parsers=[CodeBlockParser("python", AfterTheBlocksBefore()), SkipParser()],
        patterns=["README.md", "docs/*.md"],
    ).pytest()


NOT_QUICK = ("tensorflow", "subprocess", "slow")
HEAVY = ("tensorflow", "keras")  # keras imports tensorflow
STARTS_A_PROCESS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "pty.spawn")
IMPORTS_AS_A_WHOLE = re.compile(r"^(import |from |(\w+ = )?pytest\.importorskip\(.)tensorflow\b", re.MULTILINE)


def refuse(what: str, mark: str) -> None:
    pytest.fail(f"with --quick no test {what}: mark this one with @pytest.mark.{mark}", pytrace=False)


class Refused(Loader):
    """Loads nothing: to look whether there is a TensorFlow is allowed, to import it is not."""

    def create_module(self, spec: ModuleSpec) -> None:
        refuse(f"imports {spec.name}", "tensorflow")

    def exec_module(self, module: object) -> None:
        """Never reached."""


class Refusing(MetaPathFinder):
    """Finds what is too heavy, and hands it to a loader that loads nothing."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name) if name in HEAVY else None
        return found and ModuleSpec(name, Refused(), origin=found.origin)


class Quick:
    """What ``--quick`` does to a session."""

    NEEDS = frozenset({"needs_tensorflow", "browser", "assets"})  # fixtures that need what the marks say

    def __init__(self) -> None:
        self.running = False
        sys.meta_path.insert(0, Refusing())
        sys.addaudithook(self.audit)

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if arguments[:1] in (("fc-list",), ("lscpu",)):  # Matplotlib looks for fonts, NumPy 1.26 at the processor
            return
        if self.running and event in STARTS_A_PROCESS:
            refuse("starts a process", "subprocess")

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        if collection_path.suffix == ".py" and IMPORTS_AS_A_WHOLE.search(collection_path.read_text(encoding="utf-8")):
            return True
        return None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left = {item for item in items if self.needs_more(item)}
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=left)

    def needs_more(self, item: pytest.Item) -> bool:
        marked = any(map(item.get_closest_marker, NOT_QUICK))
        return marked or not self.NEEDS.isdisjoint(getattr(item, "fixturenames", ()))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self.running = True
        try:
            return (yield)
        finally:
            self.running = False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="run what needs no TensorFlow and no process")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        config.pluginmanager.register(Quick())
