"""The one face that every detector shows to the rest of the package.

A handle knows its files and its description before any framework is imported; the model itself is loaded and warmed on
the first call. Behind it stands an adapter, one per runtime.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pytest_cropdet.data import Detections
from pytest_cropdet.detectors.callables import CallableAdapter
from pytest_cropdet.detectors.cores import calls_on
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.frameworks import model_kind
from pytest_cropdet.detectors.model_objects import object_name, open_model
from pytest_cropdet.detectors.one_call import one_call
from pytest_cropdet.detectors.resize import PreparedImage
from pytest_cropdet.detectors.time_limit import TimeLimit
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Image

__all__ = ["Adapter", "DetectorHandle", "Memory", "Profile", "as_handle", "fingerprint_of_files"]


class Adapter(Protocol):
    """A runtime behind a handle. ``prepare`` may run in other threads.

    ``detect`` never does, but for kinds whose calls may run at once (``threads_per_call`` in ``cores.py``).
    """

    batch: int
    fixed_input: bool
    categories: Mapping[int, str] | None
    max_detections: int | None
    description: Description

    def input_shape(self, width: int, height: int) -> tuple[int, int]:
        """Return (height, width) in pixels of what ``prepare`` makes of an image of that size."""
        ...

    def prepare(self, image: Image) -> PreparedImage: ...

    def detect(self, inputs: Sequence[PreparedImage]) -> list[Detections]: ...


class Memory(Protocol):
    """What outlives the process and is shared by many: a :class:`~pytest_cropdet.inference.Cache`."""

    def fact(self, name: str) -> Any: ...

    def remember(self, name: str, value: Any) -> None: ...

    def claim(self, key: str) -> bool: ...

    def release(self, key: str) -> None: ...


@dataclass(frozen=True)
class Profile:
    """What a run must know of a detector before it calls it; it can be kept, so that a cached run loads nothing.

    ``input_size``: (height, width) of a fixed input in pixels, 0 where it takes any.
    """

    batch: int
    categories: Mapping[int, str] | None
    max_detections: int | None
    input_size: tuple[int, int]
    description: Description

    @classmethod
    def of(cls, adapter: Adapter) -> "Profile":
        """Return what a loaded runtime says of itself."""
        height, width = adapter.input_shape(0, 0)
        names = None if adapter.categories is None else dict(adapter.categories)
        return cls(adapter.batch, names, adapter.max_detections, (height, width), adapter.description)

    def to_json(self) -> dict[str, Any]:
        """Return the profile as built-in values."""
        names = None if self.categories is None else {str(key): name for key, name in self.categories.items()}
        return {
            "batch": self.batch,
            "categories": names,
            "max_detections": self.max_detections,
            "input_size": list(self.input_size),
            "description": self.description.known(),
        }

    @classmethod
    def from_json(cls, value: Any) -> "Profile":
        """Return the profile that :meth:`to_json` wrote."""
        names = value["categories"]
        return cls(
            batch=int(value["batch"]),
            categories=None if names is None else {int(key): str(name) for key, name in names.items()},
            max_detections=value["max_detections"],
            input_size=(int(value["input_size"][0]), int(value["input_size"][1])),
            description=Description.of(**value["description"]),
        )


class DetectorHandle:
    """A detector, loaded on its first call; it is a :class:`~pytest_cropdet.Detector`.

    ``threads``: what one call takes, where calls may run at once. ``workers``: the most calls at once; ``None`` for as
    many as the cores allow.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Adapter],
        description: Description,
        fingerprint: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.name = name
        self.workers: int | None = None
        self.threads = threads
        self.source: tuple[Any, Description] | None = None  # what it was made of, for other processes
        self.cluster: Any = None  # where batches run, if not here: an inference.Cluster
        self.time_allowed: Callable[[], float | None] | None = None  # seconds of one call, asked for before each
        self._limit = TimeLimit()
        self._busy_until = 0.0
        self._fingerprint = fingerprint
        self.seconds = 0.0
        self.images_sent = 0
        self.memory: Memory | None = None  # of the model files that were found to be good
        self._given = description
        self._load = load
        self._adapter: Adapter | None = None
        self._profile: Profile | None = None

    @property
    def adapter(self) -> Adapter:
        """The runtime, loaded now if it was not."""
        if self._adapter is None:
            self._adapter = self._load()
        return self._adapter

    @property
    def fingerprint(self) -> str | None:
        """What changes whenever the detector's answers may; a detector of the user's own has one once it is loaded."""
        return self._fingerprint or getattr(self._adapter, "fingerprint", None)

    @property
    def version(self) -> str | None:
        """The version of a served model, where its server names one."""
        return None

    def identify(self) -> None:
        """Find out again, before a run, what the fingerprint depends on, where that can change under way."""

    def load(self) -> None:
        """Load and warm the model now instead of on its first call."""
        self._adapter = self.adapter

    @property
    def profile(self) -> Profile:
        """What a run must know beforehand: as recalled, else from the runtime, which is loaded for it."""
        if self._profile is None:
            self._profile = Profile.of(self.adapter)
        return self._profile

    def recall(self, profile: Profile) -> None:
        """Take a profile that this detector had before (same fingerprint) for granted, and load nothing.

        A runtime that is loaded already knows better.
        """
        if self._adapter is None:
            self._profile = profile

    @property
    def description(self) -> Description:
        """What is known of the detector: what was given, and what its file says once that was read."""
        return self._given if self._profile is None and self._adapter is None else self.profile.description

    @property
    def categories(self) -> Mapping[int, str] | None:
        """Names by the detector's own category ids, where it knows them."""
        return self.profile.categories

    @property
    def batch(self) -> int:
        """The most images it takes in one call."""
        return self.profile.batch

    @property
    def max_detections(self) -> int | None:
        """The most rows it returns for an image, where that is known."""
        return self.profile.max_detections

    def input_shape(self, width: int, height: int) -> tuple[int, int]:
        """Return (height, width) in pixels of what the model is given of an image of that size."""
        profile = self.profile
        fixed_height, fixed_width = profile.input_size
        if profile.description.min_side or profile.description.max_side:
            return profile.description.rule().input_shape(width, height, fixed_width, fixed_height)
        return fixed_height or height, fixed_width or width

    def __call__(self, images: Sequence[Image]) -> list[Detections]:
        """Return the detections of RGB uint8 images, in batches of equal input shape that the model takes."""
        groups: dict[tuple[int, int], list[int]] = {}
        for place, image in enumerate(images):
            groups.setdefault(self.adapter.input_shape(image.shape[1], image.shape[0]), []).append(place)
        found: dict[int, Detections] = {}
        for group in groups.values():
            for start in range(0, len(group), self.batch):
                places = group[start : start + self.batch]
                prepared = [self.adapter.prepare(images[place]) for place in places]
                found.update(zip(places, self.detect(prepared), strict=True))
        return [found[place] for place in range(len(images))]

    def detect(self, inputs: Sequence[PreparedImage], names: Sequence[str] = ()) -> list[Detections]:
        """Return the detections of one batch of prepared pictures; ``names`` is what an error calls them."""
        begun = time.perf_counter()
        try:
            return self.answer(inputs, names)
        finally:
            self.count(begun, time.perf_counter(), len(inputs))

    def count(self, begun: float, ended: float, images: int) -> None:
        """Add a call to ``images_sent`` and ``seconds``: the time in which any call was running."""
        self.seconds += max(0.0, ended - max(begun, self._busy_until))
        self._busy_until = max(self._busy_until, ended)
        self.images_sent += images

    def calls_at_once(self) -> int:
        """Return how many calls may run at once: 1 unless its kind allows more."""
        return calls_on(self.threads, self.workers)

    def reserve(self, calls: int) -> None:
        """Load the model, and what else this many calls at once need."""
        reserve = getattr(self.adapter, "reserve", None)
        if reserve is not None:
            reserve(calls)

    def answer(self, inputs: Sequence[PreparedImage], names: Sequence[str] = ()) -> list[Detections]:
        """Return what :meth:`detect` does, and count nothing; several threads may, as :meth:`calls_at_once` says."""
        adapter = self.adapter
        if len(inputs) > adapter.batch:
            raise DetectorError(f"{self.name} takes {adapter.batch} images per call, {len(inputs)} were to be sent")
        call = partial(adapter.detect, inputs)
        if getattr(adapter, "limits_calls", False):
            return one_call(call, self.name, names, len(inputs))
        seconds, is_function = self.seconds_allowed(), getattr(adapter, "is_function", False)
        return one_call(lambda: self._limit.run(call, seconds, is_function), self.name, names, len(inputs))

    def seconds_allowed(self) -> float | None:
        """Return the seconds that a call may take now; ``None`` for any time."""
        return None if self.time_allowed is None else self.time_allowed()

    def __repr__(self) -> str:
        return f"DetectorHandle({self.name!r})"


def as_handle(detector: Any) -> DetectorHandle:
    """Return ``detector`` as a handle: itself if it is one, else wrapped; ``DetectorError`` if it is not callable.

    A model of TensorFlow or Keras is read as :func:`~pytest_cropdet.load_detector` reads it, without a description.
    """
    if isinstance(detector, DetectorHandle):
        return detector
    name = object_name(detector)
    fingerprint = getattr(detector, "fingerprint", None)
    adapter: Adapter
    if model_kind(detector) is not None:
        adapter = open_model(detector, name, Description())
    elif not callable(detector):
        raise DetectorError(f"a detector is called with a list of images; {type(detector).__name__} is not callable")
    else:
        adapter = CallableAdapter(detector, Description())
    handle = DetectorHandle(name, lambda: adapter, Description(), fingerprint)
    handle.source = detector, Description()
    handle.load()
    return handle


def fingerprint_of_files(root: Path, files: Iterable[Path], *parts: object) -> str:
    """Return a hash of the content of ``files`` (by their path under ``root``) and of ``parts``."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\0".encode())
    for file in sorted(files):
        digest.update(f"{file.relative_to(root).as_posix() if file != root else file.name}\0".encode())
        with file.open("rb") as stream:
            digest.update(
                hashlib.file_digest(stream, "sha256").digest() if hasattr(hashlib, "file_digest") else stream.read()
            )
    return digest.hexdigest()


def describe(handle: DetectorHandle) -> dict[str, Any]:
    """Return a detector's name and its decided conventions, for reports."""
    known = handle.description.known()
    fixed: dict[str, Any] = {"max_detections": handle.max_detections, "input_size": list(handle.profile.input_size)}
    if handle.version is not None:
        fixed["version"] = handle.version
    return {"name": handle.name, "fingerprint": handle.fingerprint, **fixed, **known}
