"""Projects to run the plugin in: each test gets a folder of its own with fake detectors, and a small data set.

A project's pytest runs in this process, unless the test is marked ``subprocess``: so are those of workers (the fixture
``workers`` brings the mark along), of Ctrl-C and crashes, and of what is imported or written by a process as a whole.
"""

import gc
import importlib
import json
import os
import random
import shutil
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

HERE = Path(__file__).parent
WIDTH, HEIGHT = 64, 48
COLOURS = {1: (220, 40, 40), 2: (40, 220, 40), 3: (40, 40, 220)}

WINDOWS = "random:keep=0.7-0.9,per_image=1"


def write_data(folder: Path) -> Path:
    """Write a COCO folder of 60 pictures with a red, a green and a blue rectangle each, none at the border."""
    (folder / "images").mkdir(parents=True)
    draw = random.Random(0)
    images, annotations = [], []
    for number in range(60):
        name = f"{number:03}.png"
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        picture[0, 0] = (number, 0, 0)  # by which a detector knows the picture
        for category, colour in COLOURS.items():
            width, height = draw.randint(8, 16), draw.randint(8, 30)
            left = 21 * (category - 1) + draw.randint(1, 20 - width)
            top = draw.randint(1, HEIGHT - 1 - height)
            picture[top : top + height, left : left + width] = colour
            box = [left, top, width, height]
            number_of_it = len(annotations) + 1
            annotations.append({"id": number_of_it, "image_id": number, "category_id": category, "bbox": box})
        cv2.imwrite(str(folder / "images" / name), picture[:, :, ::-1])
        images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}, {"id": 3, "name": "blue"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "shapes.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "shapes")


class Libraries:
    """Keeps what runs import, but for what lies in their folders: a library is imported once a process."""

    def __init__(self, folder):
        self.folder = folder
        self.imported = {}

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        for name, module in list(sys.modules.items()):
            known = getattr(module, "__dict__", {})  # not by getattr, for which lazy modules begin to import
            places = [known.get("__file__"), *known.get("__path__", [])]
            if not any(place and Path(place).is_relative_to(self.folder) for place in places):
                self.imported[name] = module

    def keep(self):
        """Bring back what ``pytester`` took away."""
        sys.modules.update({name: each for name, each in self.imported.items() if name not in sys.modules})


@pytest.fixture
def libraries(tmp_path_factory):
    """Stands before ``pytester``, which forgets at its end what was imported since its start."""
    found = Libraries(tmp_path_factory.getbasetemp())
    yield found
    found.keep()


class Project:
    """A folder with fake detectors in which pytest runs, ``apart`` in processes of its own."""

    def __init__(self, libraries, pytester, data, apart):
        self.libraries = libraries
        self.pytester = pytester
        self.apart = apart
        self.path = pytester.path
        self.data = data
        shutil.copy(HERE / "fakes.py", self.path)

    def write(self, **files):
        """Write files; ``__`` in a name stands for a slash, and each is Python unless ``ini`` or ``toml``."""
        endings = {"pytest_ini": "pytest.ini", "pyproject_toml": "pyproject.toml"}
        for name, text in files.items():
            path = self.path / endings.get(name, f"{name.replace('__', '/')}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def pytest(self, *arguments, workers=0):
        """Run pytest at 80 columns."""
        arguments = [*map(str, arguments), *([f"-n{workers}"] if workers else [])]
        if self.apart:
            return self.pytester.runpytest_subprocess(*arguments)
        if workers:
            pytest.fail("workers are processes: mark this test with @pytest.mark.subprocess", pytrace=False)
        return self.run_here(arguments)

    def run_here(self, arguments):
        """Run pytest in this process, from modules, paths and warning filters as a new process has them."""
        paths = [str(Path.cwd()), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        importlib.invalidate_caches()
        gc.freeze()  # pytest collects garbage at its end, and need not look through ours
        try:
            with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
                patch.setattr(sys, "path", [*paths, *sys.path])
                warnings.resetwarnings()
                return self.pytester.runpytest_inprocess(*arguments, plugins=[self.libraries])
        finally:
            gc.unfreeze()
            self.libraries.keep()

    def gate(self, model, *arguments, workers=0):
        """Run the ready-made suite with one window an image (the last --cropdet-crops adds a gate), write out.json."""
        crops = [] if any("--cropdet-crops" in each for each in arguments) else [f"--cropdet-crops={WINDOWS}"]
        named = [f"--cropdet-model={model}", f"--cropdet-data={self.data}", "--cropdet-json=out.json"]
        return self.pytest("--pyargs", "pytest_cropdet.suite", *named, *crops, *arguments, workers=workers)

    @property
    def gates(self):
        """The gates in out.json."""
        return json.loads((self.path / "out.json").read_text())["gates"]

    @property
    def checks(self):
        """The invariants and searches in out.json."""
        return json.loads((self.path / "out.json").read_text())["checks"]

    @property
    def notes(self):
        """What the fake detectors noted down."""
        path = self.path / "notes.txt"
        return path.read_text().splitlines() if path.exists() else []

    def cases(self, file="junit.xml"):
        """The test cases of a JUnit file: (class name, name, properties)."""
        root = ElementTree.parse(self.path / file).getroot()
        return [
            (case.get("classname"), case.get("name"), {p.get("name"): p.get("value") for p in case.iter("property")})
            for case in root.iter("testcase")
        ]


@pytest.fixture
def project(request, libraries, pytester, data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for name in (
        "CI",
        "BUILD_NUMBER",
        "PYTEST_ADDOPTS",
        "PYTEST_XDIST_WORKER",
        "GITHUB_ACTIONS",
        "GITHUB_STEP_SUMMARY",
    ):
        monkeypatch.delenv(name, raising=False)
    apart = request.node.get_closest_marker("subprocess") is not None
    return Project(libraries, pytester, data, apart)


@pytest.fixture(params=[0, pytest.param(2, marks=pytest.mark.subprocess)], ids=["plain", "n2"])
def workers(request):
    return request.param


def said(result):
    """All a process said on standard output and error, each run of blanks as one."""
    return " ".join(f"{result.stdout.str()}\n{result.stderr.str()}".split())


def without_tracebacks(result):
    """Whether a failure shows sentences only."""
    text = said(result)
    return "Traceback" not in text and "INTERNALERROR" not in text and "session.py" not in text


@pytest.fixture(name="said")
def _said():
    return said


@pytest.fixture(name="without_tracebacks")
def _without_tracebacks():
    return without_tracebacks
