"""Detectors: what loads which kind, by ``kind:path``, ``package.module:factory``, an entry point or a bare path."""

import os
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cropdet.data import name_layout
from pytest_cropdet.detectors.adapters import import_adapter
from pytest_cropdet.detectors.callables import CallableAdapter
from pytest_cropdet.detectors.cores import threads_per_call
from pytest_cropdet.detectors.description import INPUT_FORMS, Description, read_labels
from pytest_cropdet.detectors.foreign_models import foreign_advice
from pytest_cropdet.detectors.frameworks import model_kind
from pytest_cropdet.detectors.handle import Adapter, DetectorHandle, as_handle, fingerprint_of_files
from pytest_cropdet.detectors.model_objects import object_name, open_model
from pytest_cropdet.detectors.open_conventions import load_described
from pytest_cropdet.detectors.probe import try_out
from pytest_cropdet.detectors.sliced import Sliced, read_sliced_spec
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.files import refuse_pointer, refuse_special
from pytest_cropdet.terms import DETECTOR_KINDS, SERVED_KINDS

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pytest_cropdet.detectors.description_arguments import DescriptionArguments

__all__ = ["ENTRY_POINTS", "as_handle", "load_detector"]

ENTRY_POINTS = "pytest_cropdet.detectors"
FILE_ENDINGS = (".tflite", ".keras", ".h5", ".hdf5", ".onnx", ".pb")  # of models that have an adapter
FILE_KINDS = ("keras", "frozen_graph")  # whose path is a single file


def load_detector(spec: Any, **description: "Unpack[DescriptionArguments]") -> DetectorHandle:
    """Return the detector that ``spec`` names; it is loaded on its first call.

    ``spec``: ``saved_model:PATH``, ``tflite:PATH``, ``keras:PATH``, ``frozen_graph:PATH``, ``onnx:PATH``,
    ``tfserving:URL``, ``kserve:URL``, ``sliced:SETTINGS:MODEL`` (see :class:`~pytest_cropdet.Sliced`),
    ``package.module:factory`` (a function without arguments that returns a detector), the name of an entry point in
    the group ``pytest_cropdet.detectors``, or a bare path whose kind is recognised. Or a detector itself: any function
    of a list of images, a Keras model, a ``tf.Module``, or what ``tf.saved_model.load`` returned.
    ``description``: its conventions where the file does not tell, see
    :class:`~pytest_cropdet.detectors.Description`. ``DetectorError`` says what is missing or wrong.
    """
    known = Description.of(**description)
    handle = _load(spec, known)
    handle.source = handle.source or (spec, known)
    return handle


def _load(spec: Any, known: Description) -> DetectorHandle:
    if not isinstance(spec, (str, os.PathLike)):
        return _from_object(spec, known)
    text = str(spec)
    kind, colon, rest = text.partition(":")
    if colon and kind in DETECTOR_KINDS:
        return _from_path(kind, Path(rest), known)
    if colon and kind == "sliced":
        return _sliced(rest, known)
    if colon and kind in SERVED_KINDS:
        return _from_url(kind, rest, known)
    path = Path(text)
    if path.exists():
        return _from_path(_recognise(path), path, known)
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == text:
            return _from_factory(text, entry.load, known)
    if colon and all(part.isidentifier() for part in kind.split(".")) and rest.isidentifier():
        return _from_factory(text, lambda: _import(kind, rest), known)
    if kind in ("http", "https"):
        raise DetectorError(f"{text} does not say the server's protocol; write tfserving:{text} or kserve:{text}")
    if path.suffix.lower() in FILE_ENDINGS:
        raise DetectorError(f"no detector at {text}: the path does not exist")
    kinds = ", ".join([*(f"{name}:PATH" for name in DETECTOR_KINDS), *(f"{name}:URL" for name in SERVED_KINDS)])
    raise DetectorError(f"no detector {text!r}: neither an existing path nor one of {kinds}, package.module:factory")


def _sliced(rest: str, known: Description) -> DetectorHandle:
    """Return a sliced detector; what is said of the model is said of the one that sees the tiles."""
    settings, model = read_sliced_spec(rest)
    return Sliced(_load(model, known), **settings)


def _from_url(kind: str, url: str, description: Description) -> DetectorHandle:
    from pytest_cropdet.detectors.served import ServedHandle

    return ServedHandle(kind, url, description, _contents(description))


def _recognise(path: Path) -> str:
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    if path.is_dir() and (path / "saved_model" / "saved_model.pb").is_file():
        raise DetectorError(f"{path} is not a detector, but {path / 'saved_model'} is")
    suffix = path.suffix.lower()
    if suffix == ".tflite":
        return "tflite"
    if suffix in (".keras", ".h5", ".hdf5"):
        return "keras"
    if suffix == ".onnx":
        return "onnx"
    if suffix == ".pb":
        return "frozen_graph"
    if suffix == ".pbtxt":
        raise DetectorError(
            f"{path} is text, and no detector: if it is a label map, set --cropdet-detector labels={path}; a graph has "
            "to be binary, a frozen graph in a .pb file"
        )
    advice = foreign_advice(path)
    if advice is not None:
        raise DetectorError(f"{path} cannot be read: it is {advice}")
    layout = name_layout(path)
    if layout is not None:
        raise DetectorError(f"{path} is no detector but a data set ({layout}): name it with --cropdet-data={path}")
    kinds = "; ".join(f"{name}: {what}" for name, what in DETECTOR_KINDS.items())
    raise DetectorError(
        f"the kind of {path} is not recognised ({kinds}); "
        "for another kind, write a factory and give package.module:factory"
    )


def _from_path(kind: str, path: Path, description: Description) -> DetectorHandle:
    if not path.exists():
        raise DetectorError(f"no detector at {path}: the path does not exist")
    if path.is_dir() and kind in FILE_KINDS:
        raise DetectorError(f"{path} is a folder; {kind}:PATH is {DETECTOR_KINDS[kind]}")
    if not path.is_dir():
        refuse_special(path, "the model", DetectorError)
        if path.name == "saved_model.pb":
            raise DetectorError(f"{path} is a part of a SavedModel; give its folder: {path.parent}")
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    for file in files:
        refuse_pointer(file, "the model's file" if path.is_dir() else "the model", DetectorError)
    if description.input in INPUT_FORMS:
        description.refuse("a model file says what it takes", "input")
    description.refuse("a model file answers without a network", "timeout")
    if kind != "onnx":
        description.refuse("it chooses what runs an ONNX file, and this is none", "provider")
    if kind == "saved_model" and not (path / "saved_model.pb").is_file():
        raise DetectorError(f"{path} is not a SavedModel: it has no saved_model.pb")
    if kind == "tflite" and not _is_tflite(path):
        raise DetectorError(f"{path} is not a TFLite file: its bytes 4 to 8 are not TFL3")
    runtime: list[str] = []
    if kind == "onnx":
        files, runtime = _onnx_files(path), [import_adapter(kind).runtime_version()]
    root = path if path.is_dir() else path.parent
    fingerprint = fingerprint_of_files(root, files, kind, description, *_contents(description), *runtime)

    def load() -> Adapter:
        module = import_adapter(kind)
        module.verify(path)
        try_out(kind, path, files, description, handle.memory)
        adapter: Adapter = load_described(lambda known: module.load(path, known), description)
        return adapter

    threads = threads_per_call(kind, description)
    handle = DetectorHandle(f"{kind}:{path}", load, description, fingerprint, threads)
    return handle


def _onnx_files(path: Path) -> list[Path]:
    """Return the file and those beside it that contain weights of a large model."""
    if path.is_dir():
        inside = ", ".join(sorted(str(each) for each in path.glob("*.onnx"))) or "no .onnx file"
        raise DetectorError(f"{path} is a folder, and an ONNX model is a file; the folder contains {inside}")
    files: list[Path] = import_adapter("onnx").files(path)
    for file in files[1:]:
        refuse_pointer(file, "the model's file", DetectorError)
    return files


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


def _from_object(detector: Any, description: Description) -> DetectorHandle:
    """Return a handle on what was handed over in Python."""
    if isinstance(detector, DetectorHandle):
        if description.known():
            raise DetectorError(
                f"{detector.name} is a detector already; give {', '.join(description.known())} to the call of "
                "load_detector that makes it"
            )
        return detector
    if not description.known():
        return as_handle(detector)
    name = object_name(detector)

    def load() -> Adapter:
        if model_kind(detector) is not None:
            opened: Adapter = open_model(detector, name, description)
            return opened
        return _adapt_callable(detector, name, description)

    fingerprint = _described(getattr(detector, "fingerprint", None), description)
    return DetectorHandle(name, load, description, fingerprint)


def _adapt_callable(detector: Any, spec: str, description: Description) -> CallableAdapter:
    """Return the adapter of a function of a list of images, with the names and numbers of its categories."""
    foreign = sorted(set(description.known()) - {"labels", "batch", "first_category", "nms_iou", "anchors", "input"})
    if foreign:
        raise DetectorError(
            f"{spec} answers in pixels x0 y0 x1 y1 of the RGB image it is given; {', '.join(foreign)} cannot be set"
        )
    if not callable(detector):
        raise DetectorError(f"{spec} is {type(detector).__name__}, which cannot be called with images")
    adapter = CallableAdapter(detector, description)
    if description.labels is not None:
        first = 1 if description.first_category is None else description.first_category
        adapter.categories = read_labels(description.labels, first)
    elif adapter.categories is not None:
        description.refuse(f"the categories of {spec} have names and numbers", "first_category")
    return adapter


def _described(fingerprint: str | None, description: Description) -> str | None:
    """Return a fingerprint of a detector of the user's own that changes with what is said of it."""
    if fingerprint is None or not description.known():
        return fingerprint
    return fingerprint_of_files(Path(), [], fingerprint, description, *_contents(description))


def _from_factory(spec: str, resolve: Callable[[], Callable[[], Any]], description: Description) -> DetectorHandle:
    factory = resolve()
    if not callable(factory):
        raise DetectorError(f"{spec} is not a function that makes a detector but {type(factory).__name__}")

    def load() -> Adapter:
        detector = factory()
        if model_kind(detector) is not None:
            adapter: Adapter = import_adapter("model_object").adapt(detector, spec, description)
            return adapter
        if not callable(detector):
            raise DetectorError(f"{spec} returned {type(detector).__name__}, which cannot be called with images")
        return _adapt_callable(detector, spec, description)

    fingerprint = _described(getattr(factory, "fingerprint", None), description)
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
