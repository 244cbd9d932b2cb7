"""The detections of a task, kept outside of memory: in a file without a name that is gone when the process ends.

A run may have detections in half a million pictures, and needs each of them a few times, a block at a time. The cache
cannot stand in for this file: there may be none, and it forgets what was not used longest. Every number is kept as
float64, so that what is read is what was written, to the last bit. Up to 4 MiB stay in memory.
"""

import struct
import tempfile
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, MutableMapping, Sequence
from typing import Generic, TypeVar, overload

import numpy as np

from pytest_cropdet.data import Detections
from pytest_cropdet.errors import CropdetError

__all__ = ["DetectionStore", "StoredDetections"]

IN_MEMORY = 4 << 20  # bytes
HEAD = struct.Struct("<q?")
ROW = 48  # bytes: four corners, score, category

Key = TypeVar("Key", bound=Hashable)
Other = TypeVar("Other", bound=Hashable)


class _File:
    """Answers one after the other; the place of each is all that has to be remembered."""

    def __init__(self) -> None:
        self._stream = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - lives as long as this
        weakref.finalize(self, self._stream.close)
        self._lock, self._end = threading.Lock(), 0

    def append(self, found: Detections) -> int:
        parts = [
            HEAD.pack(len(found), bool(found.capped)),
            np.ascontiguousarray(found.boxes, "<f8").tobytes(),
            np.ascontiguousarray(found.scores, "<f8").tobytes(),
            np.ascontiguousarray(found.categories, "<i8").tobytes(),
        ]
        data = b"".join(parts)
        with self._lock:
            place = self._end
            try:
                self._stream.seek(place)
                self._stream.write(data)
            except OSError as error:
                raise CropdetError(
                    f"detections could not be written to a temporary file in {tempfile.gettempdir()}: {error}; make "
                    "room there, or set TMPDIR to a folder with more room"
                ) from error
            self._end += len(data)
        return place

    def read(self, place: int) -> Detections:
        with self._lock:
            self._stream.seek(place)
            rows, capped = HEAD.unpack(self._stream.read(HEAD.size))
            data = self._stream.read(ROW * rows)
        boxes = np.frombuffer(data, "<f8", 4 * rows).reshape(-1, 4)
        scores = np.frombuffer(data, "<f8", rows, 32 * rows)
        return Detections(boxes, scores, np.frombuffer(data, "<i8", rows, 40 * rows), capped)


class DetectionStore(MutableMapping[Key, Detections], Generic[Key]):
    """Detections by picture, as a mapping; each is read from the file when it is asked for.

    >>> store = DetectionStore()
    >>> store["a.jpg"] = Detections(np.array([[0.0, 0, 9, 9]]), np.array([0.1]), np.array([3]))
    >>> store["a.jpg"]
    Detections(boxes=[[0.0, 0.0, 9.0, 9.0]], scores=[0.1], categories=[3])
    """

    def __init__(self, file: _File | None = None, places: dict[Key, int] | None = None) -> None:
        self._file = _File() if file is None else file
        self._places: dict[Key, int] = {} if places is None else places

    def __getitem__(self, key: Key) -> Detections:
        return self._file.read(self._places[key])

    def __setitem__(self, key: Key, found: Detections) -> None:
        self._places[key] = self._file.append(found)

    def __delitem__(self, key: Key) -> None:
        del self._places[key]

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[Key]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def renamed(self, name: Callable[[Key], Other | None]) -> "DetectionStore[Other]":
        """Return the same detections under other keys, those left out whose new key is ``None``."""
        keys = ((name(key), place) for key, place in self._places.items())
        return DetectionStore(self._file, {key: place for key, place in keys if key is not None})

    def listed(
        self, keys: Iterable[Key], change: Callable[[Detections], Detections] | None = None
    ) -> "StoredDetections":
        """Return the detections of ``keys`` in their order, each read, and changed, when it is asked for."""
        places = np.fromiter((self._places[key] for key in keys), dtype=np.int64)
        return StoredDetections(self._file, places, change)


class StoredDetections(Sequence[Detections]):
    """Some detections of a store in an order, each read when it is asked for."""

    def __init__(
        self,
        file: _File,
        places: "np.ndarray[tuple[int], np.dtype[np.int64]]",
        change: Callable[..., Detections] | None,
    ) -> None:
        self._file, self._places, self._change = file, places, change

    @overload
    def __getitem__(self, place: int) -> Detections: ...
    @overload
    def __getitem__(self, place: slice) -> "StoredDetections": ...
    def __getitem__(self, place: int | slice) -> "Detections | StoredDetections":
        if isinstance(place, slice):
            return StoredDetections(self._file, self._places[place], self._change)
        found = self._file.read(int(self._places[place]))
        return found if self._change is None else self._change(found)

    def __len__(self) -> int:
        return len(self._places)

    def changed(self, change: Callable[[Detections], Detections]) -> "StoredDetections":
        """Return the same detections, each changed when it is asked for."""
        return StoredDetections(self._file, self._places, change)
