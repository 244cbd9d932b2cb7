"""How the package is built: rooms in their order, no circle of files, nothing heavy at import, and the house rules."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import pytest_cropdet

ROOT = Path(pytest_cropdet.__file__).parent
PAGE = ROOT.parent / "docs" / "architecture.md"
FILES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")}
LONGEST = 350
MOST_ROOMS, MOST_LOOSE = 18, 5
START = "__main__"  # no module of names: `python -m pytest_cropdet` begins there, and it opens one door
KNOWS_PYTEST = {"plugin", "suite"}
IN_THE_GRAPH = {"augment/tf_graph.py", "augment/tf_generic.py", "augment/keras_layer.py"}
# names that several modules may define, and why
SHARED_NAMES = {
    "main": "what a process of its own begins with: the console command, and the trial of a model file",
    "load": "each adapter of a kind of file has it: detectors/loading.py calls it by the kind",
    "verify": "each adapter of a kind of file has it: detectors/loading.py calls it by the kind",
}
HEAVY = ("numpy", "tensorflow", "cv2", "hypothesis", "pycocotools", "matplotlib")


def rooms_of(page: str) -> list[str]:
    """The rooms in the order of the page's list: one line each, ``1. `geometry`: ...``."""
    return re.findall(r"^\d+\. `([a-z_]+)`", page, flags=re.MULTILINE)


ROOMS = rooms_of(PAGE.read_text(encoding="utf-8"))
FLOOR = {name: number for number, name in enumerate(ROOMS)}


def module_of(file: str) -> str:
    """The dotted name of a file below the package; a package is named by itself."""
    return file.removesuffix(".py").replace("/", ".").removesuffix(".__init__").removesuffix("__init__")


MODULES = {module_of(file): file for file in FILES}


def room(module: str) -> str:
    return module.partition(".")[0]


def imports(tree: ast.AST) -> Iterator[tuple[int, str, str | None]]:
    """Every import of a file, however deep and for whom: line, module, and the name taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, "." * node.level + (node.module or ""), alias.name) for alias in node.names)


def own_imports(tree: ast.AST) -> Iterator[tuple[int, str, str | None]]:
    """The imports of modules of ours: line, dotted name below the package, the name taken (``None``: the module)."""
    for line, module, name in imports(tree):
        parts = module.split(".")
        if parts[0] != "pytest_cropdet":
            continue
        base = ".".join(parts[1:])
        inner = f"{base}.{name}".strip(".")
        yield (line, inner, None) if inner in MODULES else (line, base, name)


def interface(name: str) -> tuple[set[str], set[str]]:
    """What a room lets others use: the names of its ``__all__``, and the modules its docstring names as public."""
    tree = FILES[f"{name}/__init__.py"]
    lists = [node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
    names = set(ast.literal_eval(lists[0].value)) if lists else set()
    line = re.search(r"^Public modules: ([^\n]*(?:\n[^\n]+)*)", ast.get_docstring(tree) or "", flags=re.MULTILINE)
    return names, set(re.findall(r"`([a-z_.]+)`", line.group(1))) if line else set()


def reaches(tree: ast.AST, here: str) -> list[str]:
    """The imports that reach into another room past its interface."""
    wrong = []
    for line, module, name in own_imports(tree):
        there = room(module)
        if there == here or f"{there}/__init__.py" not in FILES:
            continue
        names, public = interface(there)
        inner = module.partition(".")[2]
        if inner in public or (not inner and name in names):
            continue
        wrong.append(f"line {line}: {module}{'' if name is None else ':' + name}")
    return wrong


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The groups of files of which each can be reached from each other one."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(one: str) -> None:
        number[one] = lowest[one] = len(number)
        path.append(one)
        for other in sorted(edges[one]):
            if other not in number:
                visit(other)
                lowest[one] = min(lowest[one], lowest[other])
            elif other in path:
                lowest[one] = min(lowest[one], number[other])
        if lowest[one] == number[one]:
            group = path[path.index(one) :]
            del path[path.index(one) :]
            if len(group) > 1 or one in edges[one]:
                found.append(sorted(group))

    for one in sorted(edges):
        if one not in number:
            visit(one)
    return found


def test_the_page_lists_every_room_and_no_other():
    there = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    loose = {path.stem for path in ROOT.glob("*.py")} - {"__init__", START}
    assert set(ROOMS) == there | loose
    assert len(ROOMS) == len(set(ROOMS))
    assert len(there) <= MOST_ROOMS
    assert len(loose) <= MOST_LOOSE


@pytest.mark.parametrize("file", sorted(FILES))
def test_imports_point_down(file):
    here = room(module_of(file))
    if here in ("", START):
        return  # the package's own __init__ opens every door, when it is asked for a name
    wrong = [
        f"{file}:{line} ({here}) imports {module} ({room(module)})"
        for line, module, _ in own_imports(FILES[file])
        if room(module) != here and not FLOOR.get(room(module), 99) < FLOOR[here]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("file", sorted(FILES))
def test_another_room_is_entered_by_its_door(file):
    if module_of(file):
        assert not reaches(FILES[file], room(module_of(file)))


@pytest.mark.parametrize("name", [name for name in ROOMS if f"{name}/__init__.py" in FILES])
def test_a_door_says_what_is_behind_it_and_names_modules_that_are_there(name):
    door = (ast.get_docstring(FILES[f"{name}/__init__.py"]) or "").splitlines()[0]
    assert door.endswith(".")
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"`{name}`: {door}".lower() in page.lower()
    assert interface(name)[1] <= {module.partition(".")[2] for module in MODULES if room(module) == name}


def test_the_start_of_the_command_opens_the_commands_alone():
    assert [module for _, module, _ in own_imports(FILES[f"{START}.py"])] == ["commands"]


def test_no_files_import_one_another_in_a_circle():
    edges = {
        module: {other for _, other, _ in own_imports(FILES[file]) if other in MODULES and other}
        for module, file in MODULES.items()
        if module
    }
    assert circles(edges) == []


def test_no_import_is_relative():
    assert not [f"{file}:{line}" for file, tree in FILES.items() for line, name, _ in imports(tree) if name[:1] == "."]


def test_only_pytests_side_knows_pytest():
    knows = {file for file, tree in FILES.items() for _, name, _ in imports(tree) if name.split(".")[0] == "pytest"}
    assert {file for file in knows if room(module_of(file)) not in KNOWS_PYTEST} <= {"report/terminal.py"}


def test_only_adapters_of_detectors_and_the_augmentation_in_a_graph_know_a_framework():
    words = ("tensorflow", "keras", "torch", "onnxruntime", "ai_edge_litert", "tflite_runtime")
    files = {file for file, tree in FILES.items() for _, name, _ in imports(tree) if name.split(".")[0] in words}
    assert {file for file in files if not file.startswith("detectors/adapters/")} == IN_THE_GRAPH


def test_no_name_of_a_door_is_a_module_behind_it():
    doors = {name: interface(name)[0] for name in ROOMS if f"{name}/__init__.py" in FILES}
    both = {f"{name}.{one}" for name, names in doors.items() for one in names if f"{name}.{one}" in MODULES}
    assert not both, "of the two, an import gives the one or the other"


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
    assert not asserts(FILES[file]) or room(module_of(file)) == "suite", (
        f"assert in {file}: it vanishes under python -O"
    )
    assert ast.get_docstring(FILES[file]), f"{file} does not say what it is for"


def definitions(tree: ast.Module) -> set[str]:
    """The public names that a module defines at its top, without type variables, whose letters mean nothing."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ("TypeVar", "ParamSpec"):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def functions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each function at the top of a module: its name, and its arguments and body without the docstring as text."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node.name, "\n".join([ast.unparse(node.args), *map(ast.unparse, body)])


def twice(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Of pairs of a thing and the file that has it, the things that several files have."""
    files: dict[str, list[str]] = {}
    for thing, file in pairs:
        files.setdefault(thing, []).append(file)
    return {thing: sorted(found) for thing, found in files.items() if len(found) > 1}


def renamed(tree: ast.AST) -> list[str]:
    """The imports of our own names under another name; ``x as x`` says to type checkers that it is exported."""
    return [
        f"line {node.lineno}: {alias.name} as {alias.asname}"
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).split(".")[0] == "pytest_cropdet"
        if alias.asname not in (None, alias.name)
    ]


def test_one_name_stands_for_one_thing():
    found = twice((name, file) for file, tree in FILES.items() for name in definitions(tree))
    assert {name: files for name, files in found.items() if name not in SHARED_NAMES} == {}
    assert set(SHARED_NAMES) <= set(found), "an exception that nothing needs"


def test_no_function_is_written_twice():
    assert not twice((body, f"{file}: {name}") for file, tree in FILES.items() for name, body in functions(tree))


def test_our_own_names_are_imported_as_they_are():
    assert {file: found for file, tree in FILES.items() if (found := renamed(tree))} == {}


def test_no_module_is_a_drawer_for_everything():
    names = {Path(file).stem for file in FILES}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


def loaded_after(code: str) -> set[str]:
    report = "import sys; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.subprocess
@pytest.mark.parametrize(
    "module", ["pytest_cropdet", "pytest_cropdet.commands", "pytest_cropdet.plugin", "pytest_cropdet.plugin.options"]
)
def test_importing_what_every_project_imports_loads_nothing_heavy(module):
    loaded = loaded_after(f"import {module}")
    assert module in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.subprocess
@pytest.mark.parametrize(
    "module", ["data", "crops", "detectors", "inference", "evaluation", "augment", "gate", "report"]
)
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
    assert sorted(imports(tree)) == [
        (2, "a", None),
        (4, "b", None),
        (6, "pytest_cropdet", "c"),
        (7, "pytest_cropdet.x.y", "z"),
    ]
    assert (calls_to_print(tree), asserts(tree)) == ([8], [9])
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}) == [["b", "c"], ["d"]]
    into = ast.parse("from pytest_cropdet.gate.results import Run\nfrom pytest_cropdet.gate import Run, nothing\n")
    assert reaches(into, "report") == ["line 1: gate.results:Run", "line 2: gate:nothing"]
    assert reaches(into, "gate") == []


def test_the_checks_of_names_see_what_they_look_for():
    tree = ast.parse(
        "from pytest_cropdet.gate import Run as Result, Cap as Cap\nimport pytest_cropdet.errors as faults\n"
        "from a import b as c\nT = TypeVar('T')\nA = B = 1\nC: int = 2\n_D = 3\nclass E: F = 4\n"
        "def g(x):\n    '''Words.'''\n    return x\ndef _h(x):\n    return x\n"
    )
    assert definitions(tree) == {"A", "B", "C", "E", "g"}
    assert renamed(tree) == ["line 1: Run as Result", "line 2: pytest_cropdet.errors as faults"]
    assert twice((body, name) for name, body in functions(tree)) == {"x\nreturn x": ["_h", "g"]}


def test_the_page_of_options_is_that_of_the_table():
    page = PAGE.with_name("options.md")
    script = page.with_name("make_options.py")
    space: dict[str, object] = {"__name__": "make_options", "__file__": str(script)}
    exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), space)
    assert page.read_text(encoding="utf-8") == space["page"](), "run `python docs/make_options.py`"  # type: ignore[operator]
