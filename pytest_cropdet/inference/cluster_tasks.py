"""What a worker of a cluster does: open the detector once per process, read the images of a batch, and detect in them.

A worker that cannot do its task says so in its answer, because an exception would be tried again on other workers.
"""

import pickle
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol

from pytest_cropdet.data import decode_file, read_encoded
from pytest_cropdet.detectors import DetectorHandle, answer_versions, load_detector
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.geometry import Image
from pytest_cropdet.inference.cache import file_digest, pack

__all__ = [
    "BatchOrder",
    "DetectorRecipe",
    "EncodedImage",
    "ImageFile",
    "ShownPicture",
    "UnseenFile",
    "WorkerFound",
    "WorkerRefused",
    "examine_detector",
    "own_versions",
    "run_order",
]

KEPT_DETECTORS = 4  # kept open per process: a new model, an old one, and those of the run before
KEPT_IMAGES = 4  # decoded images kept per process, because the batches of an image follow one another


class ShownPicture(Protocol):
    """A picture of a batch: see :class:`~pytest_cropdet.inference.Picture`."""

    @property
    def sample(self) -> str: ...

    @property
    def label(self) -> str: ...

    def of(self, image: Image) -> Image: ...


@dataclass(frozen=True, slots=True)
class DetectorRecipe:
    """How a worker makes the detector: what ``load_detector`` is given, pickled, and the fingerprint it must have."""

    name: str
    pickled: bytes = field(repr=False)
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image by its path, with what shows that a worker has the same file there; ``digest`` where it is known.

    ``shown``: the path as the data set has it, which is what errors call it.
    """

    shown: Path
    path: Path
    size: tuple[int, int] | None
    length: int
    changed: int
    digest: str | None


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image by the bytes of its file; ``path`` is what errors call it."""

    path: Path
    size: tuple[int, int] | None
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """A batch for a worker: the detector, the versions that must be the same there, pictures, ids of images.

    ``timeout``: seconds that the call may take.
    """

    recipe: DetectorRecipe
    versions: tuple[tuple[str, str], ...]
    pictures: tuple[ShownPicture, ...]
    images: tuple[str, ...]
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerFound:
    """What a worker found in a batch, its seconds in the detector, and oddities of images: id, kind, detail."""

    packed: bytes
    seconds: float
    noted: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class UnseenFile:
    """The worker does not have the files of a batch, or has others under their paths."""

    path: str


@dataclass(frozen=True, slots=True)
class WorkerRefused:
    """The worker cannot do it, and another one could not either: the kind of the error, and its text."""

    kind: str
    text: str


def own_versions() -> tuple[tuple[str, str], ...]:
    """Return the versions on which answers depend, of this process."""
    return (("pytest-cropdet", str(resolve_name("pytest_cropdet:__version__"))), *answer_versions())


def examine_detector(recipe: DetectorRecipe) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return the versions of this process, and why it cannot open the detector ("" if it can); nothing is loaded."""
    try:
        _check_fingerprint(recipe, _make(recipe))
    except Exception as error:
        return own_versions(), str(error) if isinstance(error, CropdetError) else f"{type(error).__name__}: {error}"
    return own_versions(), ""


def run_order(order: BatchOrder, *images: ImageFile | EncodedImage | Image) -> WorkerFound | UnseenFile | WorkerRefused:
    """Return what the detector finds in a batch; ``images``: one for each id in ``order.images``."""
    own = own_versions()
    if own != order.versions:
        return WorkerRefused("ClusterError", f"a worker has {_listed(own)}; this process has {_listed(order.versions)}")
    try:
        opened = _opened(order.recipe)
        pixels: dict[str, Image] = {}
        noted: list[tuple[str, str, str]] = []
        for name, image in zip(order.images, images, strict=True):
            read = _read(image)
            if read is None:
                return UnseenFile(str(getattr(image, "path", name)))
            pixels[name] = read[0]
            noted += [(name, kind, detail) for kind, detail in read[1]]
        found, seconds = opened.detect(order.pictures, pixels, order.timeout)
    except CropdetError as error:
        return WorkerRefused(type(error).__name__, str(error))
    return WorkerFound(pack(found), seconds, tuple(noted))


class _Opened:
    """A detector of this process; its calls follow one another, and pictures are prepared in the meantime."""

    def __init__(self, recipe: DetectorRecipe) -> None:
        self._recipe = recipe
        self._handle: DetectorHandle | None = None
        self._lock = threading.Lock()

    def detect(
        self, pictures: Sequence[ShownPicture], pixels: dict[str, Image], timeout: float | None
    ) -> tuple[list[Any], float]:
        """Return what is found in pictures, and the seconds of the call, which may take ``timeout``."""
        with self._lock:
            if self._handle is None:
                handle = _make(self._recipe)
                _check_fingerprint(self._recipe, handle)
                handle.load()
                self._handle = handle
        adapter = self._handle.adapter
        prepared = [adapter.prepare(each.of(pixels[each.sample])) for each in pictures]
        with self._lock:
            self._handle.time_allowed = lambda: timeout
            begun = time.perf_counter()
            found = self._handle.answer(prepared, [each.label for each in pictures])
            return found, time.perf_counter() - begun


_opening = threading.Lock()


def _opened(recipe: DetectorRecipe) -> _Opened:
    with _opening:  # or two threads open one detector twice
        return _registry(recipe)


@lru_cache(maxsize=KEPT_DETECTORS)
def _registry(recipe: DetectorRecipe) -> _Opened:
    return _Opened(recipe)


def _make(recipe: DetectorRecipe) -> DetectorHandle:
    spec, description = pickle.loads(recipe.pickled)  # noqa: S301  (of our own client, which may run any code here)
    handle = load_detector(spec, **description)
    handle.name = recipe.name
    return handle


def _check_fingerprint(recipe: DetectorRecipe, handle: DetectorHandle) -> None:
    if recipe.fingerprint is not None and handle.fingerprint not in (None, recipe.fingerprint):
        raise CropdetError(
            f"{recipe.name}: the worker has another file under this path (or other labels or anchors); copy the same "
            "files to every machine"
        )


def _read(image: ImageFile | EncodedImage | Image) -> tuple[Image, list[tuple[str, str]]] | None:
    """Return pixels and oddities; ``None`` if the file is not here."""
    if isinstance(image, EncodedImage):
        return decode_file(image.data, image.path, image.size)
    if not isinstance(image, ImageFile):
        return image, []
    try:
        state = image.path.stat()
    except OSError:
        return None
    if state.st_size != image.length:
        return None
    is_same = state.st_mtime_ns == image.changed or (image.digest is not None and _digest(image) == image.digest)
    return _decoded(image) if is_same else None


def _digest(image: ImageFile) -> str | None:
    try:
        return file_digest(image.path)
    except OSError:
        return None


@lru_cache(maxsize=KEPT_IMAGES)
def _decoded(image: ImageFile) -> tuple[Image, list[tuple[str, str]]]:
    return decode_file(read_encoded(image.path), image.shown, image.size)


def _listed(found: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found)
