"""Runs the Python blocks of the documentation as tests: README.md and docs/*.md, each file in one namespace."""

import os
from importlib.util import find_spec

from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

pytest_plugins = ("pytester",)

# every model here is made by the project itself; tests of the probe switch it on (a process each costs seconds)
os.environ.setdefault("CROPDET_PROBE", "off")

# modules that exist for an optional package: without it there is nothing in them to run
NEEDS = {
    "numba": ["pytest_cropdet/evaluation/coco/weighted_ap_numba.py"],
    "tensorflow": [f"pytest_cropdet/augment/{name}.py" for name in ("tf_graph", "tf_generic", "keras_layer")],
}
collect_ignore = [file for package, files in NEEDS.items() if find_spec(package) is None for file in files]


class AfterTheBlocksBefore(PythonEvaluator):
    """Runs the page's earlier blocks first where this process has not: alone or on a worker, a block has its names."""

    def __call__(self, example: Example) -> None:
        done = example.document.__dict__.setdefault("blocks_done", set())
        for block in example.document.examples():
            if block.line >= example.line:
                break
            if block.line not in done and block.region.evaluator is self:
                block.evaluate()
        done.add(example.line)
        super().__call__(example)


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser("python", AfterTheBlocksBefore()), SkipParser()],
    patterns=["README.md", "docs/*.md"],
).pytest()
