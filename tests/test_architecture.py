"""How the package is built: imports point down, importing it costs nothing, and the house rules hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_cropdet

ROOT = Path(pytest_cropdet.__file__).parent
FILES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")}
LONGEST = 350

# A module, or a package by its name, may import only from rows above its own. Inside a package its modules may import
# one another; the last row is pytest's side of the house, whose two modules know each other.
ROWS = (
    (
        "__init__",
        "boxes",
        "columns",
        "corners",
        "data_warnings",
        "database",
        "escapes",
        "evaluation",
        "image_headers",
        "kinds",
        "masks",
        "seeking",
        "standard_error",
        "stash",
    ),
    (
        "bounded",
        "broken",
        "errors",
        "samples",
        "verify",
    ),
    (
        "agreement",
        "cache",
        "categories",
        "crops",
        "extremes",
        "gate",
        "judged",
        "lfs",
        "margins",
        "options",
        "painted",
        "plotting",
        "protocols",
        "ratios",
        "remap_errors",
        "resolver",
        "settings",
    ),
    (
        "families",
        "files",
        "image_notes",
        "ini",
        "limits",
        "losing",
        "mistakes",
        "pairs",
        "remap_picture",
        "renderings",
        "rootdir",
        "strategies",
    ),
    (
        "chain",
        "detectors",
        "images",
        "invariants",
        "picture",
        "window_counts",
    ),
    (
        "batch_keys",
        "charts",
        "comparison",
        "datasets",
        "figures",
        "model_input",
        "plan",
        "readings",
        "remap_checks",
        "story",
        "weakness",
    ),
    (
        "augment",
        "configured",
        "conventions",
        "drawn",
        "engines",
        "notebook",
        "scoring",
        "worst",
    ),
    (
        "benchmark_plan",
        "determinism",
        "dry_run",
        "looks",
        "mitigations",
        "opening",
        "operating",
        "subsets",
        "windows",
    ),
    (
        "bias",
        "controls",
        "error_types",
        "evidence",
        "hidden",
        "labels",
        "plots",
        "search",
        "shift",
        "where",
    ),
    (
        "anchors",
        "doubts",
        "evaluator_cap",
        "fates",
        "unjudged",
    ),
    (
        "caps",
        "causes",
        "convention_check",
        "repeating",
    ),
    (
        "benchmark_scores",
        "cautions",
        "details",
        "object_table",
        "trials",
    ),
    (
        "advice",
        "detector_invariants",
        "explanation",
    ),
    ("results",),
    (
        "explaining",
        "measures",
    ),
    (
        "summary",
        "trying",
    ),
    ("runner",),
    ("benchmark_asking",),
    ("benchmark",),
    ("report",),
    (
        "reporting",
        "searching",
    ),
    ("kept",),
    ("ledger",),
    (
        "plugin",
        "session",
        "suite",
    ),
)
ROW = {name: number for number, row in enumerate(ROWS) for name in row}
NEIGHBOURS = {("plugin", "session"), ("session", "plugin")}
PYTESTS_SIDE = {
    "stash",
    "ini",
    "rootdir",
    "configured",
    "report",
    "reporting",
    "kept",
    "ledger",
    "opening",
    "searching",
    "session",
    "plugin",
    "suite",
}
IN_THE_GRAPH = {"augment/graph.py", "augment/generic_graph.py", "augment/layer.py"}
HEAVY = ("numpy", "tensorflow", "cv2", "hypothesis", "pycocotools", "matplotlib")


def unit(file: str) -> str:
    """The row's word for a file: its package's name, or its own."""
    return file.partition("/")[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, with the line, however deep; what only a type checker reads is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from imports(ast.Module(node.orelse, []))
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            inside = [f"{module}.{alias.name}" for alias in node.names] if module == "pytest_cropdet" else [module]
            yield from ((node.lineno, name) for name in inside)
        yield from imports(node)


def own_imports(file: str) -> Iterator[tuple[int, str]]:
    for line, name in imports(FILES[file]):
        if name.startswith("pytest_cropdet."):
            yield line, name.split(".")[1]


def test_every_module_has_a_row():
    missing = sorted({unit(file) for file in FILES} - set(ROW))
    assert not missing, f"give {', '.join(missing)} a row in ROWS: below everything it imports"
    gone = sorted(set(ROW) - {unit(file) for file in FILES})
    assert not gone, f"{', '.join(gone)} in ROWS: no such module"
    assert len(ROW) == sum(map(len, ROWS)), "a module stands in two rows"


@pytest.mark.parametrize("file", sorted(FILES))
def test_imports_point_down(file):
    here = unit(file)
    wrong = [
        f"{file}:{line} (row {ROW.get(here)}) imports {name} (row {ROW.get(name)})"
        for line, name in own_imports(file)
        if name != here and (here, name) not in NEIGHBOURS and not ROW.get(name, 99) < ROW.get(here, -1)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_is_relative():
    assert not [
        f"{file}:{line}" for file, tree in FILES.items() for line, name in imports(tree) if name.startswith(".")
    ]


def test_only_pytests_side_knows_pytest():
    knows = {unit(file) for file, tree in FILES.items() for _, name in imports(tree) if name.split(".")[0] == "pytest"}
    assert knows <= PYTESTS_SIDE


def test_only_adapters_of_detectors_and_the_augmentation_in_a_graph_know_a_framework():
    words = ("tensorflow", "keras", "torch", "onnxruntime", "ai_edge_litert", "tflite_runtime")
    files = {file for file, tree in FILES.items() for _, name in imports(tree) if name.split(".")[0] in words}
    knows = {unit(file) for file in files}
    assert knows <= {"detectors", "augment"}
    assert {file for file in files if unit(file) == "augment"} == IN_THE_GRAPH


def calls_to_print(tree: ast.AST) -> list[int]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node.lineno for node in nodes if isinstance(node.func, ast.Name) and node.func.id == "print"]


def asserts(tree: ast.AST) -> list[int]:
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_module_is_short_and_has_no_print_no_bare_assert_and_a_docstring(file):
    lines = len((ROOT / file).read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{file} has {lines} lines: it is two modules"
    assert not calls_to_print(FILES[file]), f"print in {file}"
    assert not asserts(FILES[file]) or unit(file) == "suite", f"assert in {file}: it vanishes under python -O"
    assert ast.get_docstring(FILES[file]), f"{file} does not say what it is for"


def test_no_module_is_a_drawer_for_everything():
    names = {Path(file).stem for file in FILES}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


def loaded_after(code: str) -> set[str]:
    report = "import sys; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("module", ["pytest_cropdet", "pytest_cropdet.plugin.hooks", "pytest_cropdet.plugin.options"])
def test_importing_what_every_project_imports_loads_nothing_heavy(module):
    loaded = loaded_after(f"import {module}")
    assert module in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("module", ["datasets.coco", "detectors", "engines", "detectors.frames", "plan", "augment"])
def test_the_framework_and_the_decoder_are_loaded_when_they_are_used(module):
    assert not loaded_after(f"import pytest_cropdet.{module}") & {"tensorflow", "cv2", "hypothesis", "matplotlib"}


@pytest.mark.parametrize("name", pytest_cropdet.__all__)
def test_every_public_name_is_there(name):
    assert getattr(pytest_cropdet, name).__module__.startswith("pytest_cropdet.")
    assert name in dir(pytest_cropdet)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'pytest_cropdet' has no attribute 'crop'"):
        pytest_cropdet.crop  # noqa: B018


@pytest.mark.parametrize("file", sorted(FILES))
def test_what_a_module_lists_as_its_own_is_defined_in_it(file):
    listed = [
        node for node in FILES[file].body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    if file == "__init__.py" or not listed:
        return
    names = set(ast.literal_eval(listed[0].value))
    defined = set()
    for node in FILES[file].body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            defined |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    assert names <= defined


# The checks themselves


def test_the_checks_see_what_they_look_for():
    tree = ast.parse(
        "if TYPE_CHECKING:\n    import a\nelse:\n    import b\n"
        "def f():\n    from pytest_cropdet import c\n    from pytest_cropdet.x.y import z\n    print(1)\nassert f\n"
    )
    assert list(imports(tree)) == [(4, "b"), (6, "pytest_cropdet.c"), (7, "pytest_cropdet.x.y")]
    assert (calls_to_print(tree), asserts(tree)) == ([8], [9])


def test_the_page_of_options_is_that_of_the_table():
    page = ROOT.parent / "docs" / "options.md"
    script = page.with_name("make_options.py")
    space: dict[str, object] = {"__name__": "make_options", "__file__": str(script)}
    exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), space)
    assert page.read_text(encoding="utf-8") == space["page"](), "run `python docs/make_options.py`"  # type: ignore[operator]
