"""Detectors: what loads which kind, by ``kind:path``, ``package.module:factory``, an entry point or a bare path."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pytest_cropdet.detectors.adapters import import_adapter
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import Adapter, CallableAdapter, DetectorHandle, as_handle, fingerprint_of_files
from pytest_cropdet.detectors.open_conventions import load_described
from pytest_cropdet.detectors.probe import try_out
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.files import refuse_pointer, refuse_special
from pytest_cropdet.terms import DETECTOR_KINDS

__all__ = ["ENTRY_POINTS", "as_handle", "load_detector"]

ENTRY_POINTS = "pytest_cropdet.detectors"


def load_detector(spec: str | Path, **description: Any) -> DetectorHandle:
    """Return the detector that ``spec`` names; it is loaded on its first call.

    ``spec``: ``saved_model:PATH``, ``tflite:PATH``, ``keras:PATH``, ``package.module:factory`` (a function without
    arguments that returns a detector), the name of an entry point in the group ``pytest_cropdet.detectors``, or a bare
    path whose kind is recognised.
    ``description``: its conventions where the file does not tell, see
    :class:`~pytest_cropdet.detectors.Description`. ``DetectorError`` says what is missing or wrong.
    """
    text = str(spec)
    known = Description.of(**description)
    kind, colon, rest = text.partition(":")
    if colon and kind in DETECTOR_KINDS:
        return _from_path(kind, Path(rest), known)
    path = Path(text)
    if path.exists():
        return _from_path(_recognise(path), path, known)
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == text:
            return _from_factory(text, entry.load, known)
    if colon and all(part.isidentifier() for part in kind.split(".")) and rest.isidentifier():
        return _from_factory(text, lambda: _import(kind, rest), known)
    kinds = ", ".join(f"{name}:PATH" for name in DETECTOR_KINDS)
    raise DetectorError(f"no detector {text!r}: neither an existing path nor one of {kinds}, package.module:factory")


def _recognise(path: Path) -> str:
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    if path.is_dir() and (path / "saved_model" / "saved_model.pb").is_file():
        raise DetectorError(f"{path} is no detector, but {path / 'saved_model'} is")
    if path.suffix == ".tflite":
        return "tflite"
    if path.suffix in (".keras", ".h5", ".hdf5"):
        return "keras"
    kinds = "; ".join(f"{name}: {what}" for name, what in DETECTOR_KINDS.items())
    raise DetectorError(f"the kind of {path} is not recognised ({kinds}); for any other write package.module:factory")


def _from_path(kind: str, path: Path, description: Description) -> DetectorHandle:
    if not path.exists():
        raise DetectorError(f"no detector at {path}: the path does not exist")
    if not path.is_dir():
        refuse_special(path, "the model", DetectorError)
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    for file in files:
        refuse_pointer(file, "the model's file" if path.is_dir() else "the model", DetectorError)
    if kind == "saved_model" and not (path / "saved_model.pb").is_file():
        raise DetectorError(f"{path} is not a SavedModel: it has no saved_model.pb")
    if kind == "tflite" and not _is_tflite(path):
        raise DetectorError(f"{path} is not a TFLite file: its bytes 4 to 8 are not TFL3")
    fingerprint = fingerprint_of_files(path, files, kind, description, *_contents(description))

    def load() -> Adapter:
        module = import_adapter(kind)
        module.verify(path)
        try_out(kind, path, files, description, handle.memory)
        adapter: Adapter = load_described(lambda known: module.load(path, known), description)
        return adapter

    handle = DetectorHandle(f"{kind}:{path}", load, description, fingerprint)
    return handle


def _contents(description: Description) -> list[str]:
    """Return the hashes of the files that a description names."""
    named = [Path(each) for each in (description.labels, description.anchors) if each and _is_file(each)]
    return [fingerprint_of_files(each, [each]) for each in named]


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # names with commas are too long for the name of a file
        return False


def _is_tflite(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(8)[4:] == b"TFL3"


def _from_factory(spec: str, resolve: Callable[[], Callable[[], Any]], description: Description) -> DetectorHandle:
    foreign = sorted(set(description.known()) - {"labels", "batch", "first_category", "nms_iou", "anchors"})
    if foreign:
        raise DetectorError(
            f"{spec} answers in pixels x0 y0 x1 y1 of the RGB image it is given; {', '.join(foreign)} cannot be set"
        )
    factory = resolve()
    if not callable(factory):
        raise DetectorError(f"{spec} is not a function that makes a detector but {type(factory).__name__}")

    def load() -> Adapter:
        from pytest_cropdet.detectors.description import read_labels

        detector = factory()
        if not callable(detector):
            raise DetectorError(f"{spec} returned {type(detector).__name__}, which cannot be called with images")
        adapter = CallableAdapter(detector, description)
        if description.labels is not None:
            first = 1 if description.first_category is None else description.first_category
            adapter.categories = read_labels(description.labels, first)
        elif adapter.categories is not None:
            description.refuse(f"the categories of {spec} have names and numbers", "first_category")
        return adapter

    fingerprint = getattr(factory, "fingerprint", None)
    if fingerprint is not None and description.known():
        fingerprint = fingerprint_of_files(Path(), [], fingerprint, description, *_contents(description))
    return DetectorHandle(spec, load, description, fingerprint)


def _import(module: str, name: str) -> Any:
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise DetectorError(
            f"no detector {module}:{name}: there is no module {error.name!r} on sys.path (pytest's ini option "
            "'pythonpath' adds a folder)"
        ) from error
    if not hasattr(found, name):
        raise DetectorError(f"no detector {module}:{name}: {module} has no {name!r}")
    return getattr(found, name)
