"""Sliced inference: a detector that runs another one on tiles of the image, and merges what it finds.

It is a detector like any other, so gate, comparison, invariants, search and report work on it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pytest_cropdet.data import Detections
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle, Memory, as_handle
from pytest_cropdet.detectors.merges import Pieces, Rule, merge_pieces
from pytest_cropdet.detectors.resize import Frame, PreparedImage
from pytest_cropdet.detectors.tiles import Tile, TileGrid, inner_ends, tile_size
from pytest_cropdet.detectors.versions import answer_versions
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.geometry import Crop, Image, clip

__all__ = ["Sliced", "read_sliced_spec", "sliced_settings"]

IMAGES_AT_ONCE = 8  # whose tiles go to the detector in the same batches
NEAR_SEAM = 2.0  # pixels from a tile's border within which a box ends at it

MergeFunction = Callable[[Pieces], Detections]


class Sliced(DetectorHandle):
    """A detector that runs ``detector`` on tiles of each image and merges the results.

    ``detector``: anything that :func:`~pytest_cropdet.load_detector` takes or returns, or a function of a list of RGB
    images. ``size``: side of a tile in pixels (whole, 1 or more), as a share of the image's side (below 1), or a pair
    (width, height). ``overlap``: share of a tile by which neighbours overlap, 0 to below 1. ``edge``: ``inside`` moves
    the last tile of a row inside the image, ``pad`` fills it with grey. ``whole``: whether the whole image is sent,
    too. ``merge``: ``none``, ``nms``, ``soft-nms``, ``nmm``, ``greedy-nmm``, ``wbf``, ``seam``, or a function of
    :class:`~pytest_cropdet.detectors.merges.Pieces` that returns ``Detections``. ``iou``: the overlap from which on two
    boxes are one object; ``metric``: its measure, ``iou`` or ``ios`` (over the smaller of both areas). ``most``: the
    most detections of an image, best first; ``None`` for all.

    Detections are in pixels of the image, as of any detector. ``SpecError`` names a value that is wrong.

    >>> from pytest_cropdet.data import Detections
    >>> def detect(images):
    ...     return [Detections([[0, 0, 10, 10]], [0.9], [1]) for image in images]
    >>> found = Sliced(detect, size=60, overlap=0, whole=False)([np.zeros((60, 120, 3), np.uint8)])
    >>> found[0].boxes.tolist()
    [[0.0, 0.0, 10.0, 10.0], [60.0, 0.0, 70.0, 10.0]]
    """

    def __init__(
        self,
        detector: Any,
        size: str | float | Sequence[int | float] = 320,
        overlap: float = 0.2,
        merge: str | MergeFunction = "nms",
        iou: float = 0.5,
        whole: bool = True,
        metric: str = "iou",
        edge: str = "inside",
        most: int | None = None,
    ) -> None:
        self.inner = as_handle(detector)
        self.grid = TileGrid(tile_size(size), overlap, edge)
        self.rule = None if callable(merge) else Rule(merge, iou, metric)
        self.merge = merge
        self.whole = whole
        self.most = most
        if most is not None and most < 1:
            raise SpecError(f"most must be 1 or more detections, not {most!r}")
        super().__init__(
            f"sliced:{self.settings}:{self.inner.name}",
            lambda: _SlicedAdapter(self),
            Description(),
            None,
            self.inner.threads,
        )

    @property
    def settings(self) -> str:
        """The settings as a spec writes them: ``size=320,overlap=0.2,merge=nms,iou=0.5``."""
        return ",".join(f"{key}={value}" for key, value in sliced_settings(self).items())

    @property
    def memory(self) -> Memory | None:
        """What outlives the process: that of the inner detector."""
        return self.inner.memory

    @memory.setter
    def memory(self, memory: Memory | None) -> None:
        if hasattr(self, "inner"):
            self.inner.memory = memory or self.inner.memory

    @property
    def time_allowed(self) -> Callable[[], float | None] | None:
        """The seconds of one call: that of the inner detector, on some tiles."""
        return self.inner.time_allowed

    @time_allowed.setter
    def time_allowed(self, allowed: Callable[[], float | None] | None) -> None:
        self.inner.time_allowed = allowed or self.inner.time_allowed

    @property
    def fingerprint(self) -> str | None:
        """A hash of the inner detector's and of the settings; a function of your own that merges needs one itself."""
        inner = self.inner.fingerprint
        merge = getattr(self.merge, "fingerprint", None) if self.rule is None else self.rule.name
        if inner is None or merge is None:
            return None
        settings = {**sliced_settings(self), "merge": merge}
        return hashlib.sha256(f"sliced 1 {inner} {sorted(settings.items())}".encode()).hexdigest()

    @property
    def version(self) -> str | None:
        """The version of the inner model, where its server names one."""
        return self.inner.version

    def identify(self) -> None:
        """Find out again what the inner detector's fingerprint depends on."""
        self.inner.identify()

    def load(self) -> None:
        """Load the inner model now."""
        self.inner.load()
        super().load()

    def tiles(self, width: int, height: int) -> list[Tile]:
        """Return what is sent of an image of that size: the whole image first, if it is, then the tiles row by row."""
        image = Tile(Crop(0, 0, width, height), width, height)
        tiles = self.grid.tiles(width, height)
        return [image, *(tile for tile in tiles if tile != image)] if self.whole else tiles

    def pieces(self, images: Sequence[Image]) -> list[tuple[Pieces, bool]]:
        """Return what is found in all tiles of each image, before merging, and whether a tile's answer was capped."""
        return _pieces_of(self, images)

    def merged(self, pieces: Pieces, capped: bool = False) -> Detections:
        """Return one image's detections from the pieces of its tiles."""
        if self.rule is not None:
            found = merge_pieces(pieces, self.rule, capped)
        else:
            found = self.merge(pieces)  # type: ignore[operator]
            if not isinstance(found, Detections):
                raise DetectorError(
                    f"the function that merges must return Detections, not {type(found).__name__}: {self.merge!r}"
                )
        if self.most is None or len(found) <= self.most:
            return found
        best = np.sort(np.argsort(-found.scores, kind="stable")[: self.most])
        kept = found.take(best)
        return Detections(kept.boxes, kept.scores, kept.categories, capped=True)


def sliced_settings(sliced: Sliced) -> dict[str, str]:
    """Return the settings as a spec writes them, in its order."""
    width, height = sliced.grid.size
    rule = sliced.rule
    found = {
        "size": f"{width}" if width == height else f"{width}x{height}",
        "overlap": f"{sliced.grid.overlap:g}",
        "merge": getattr(sliced.merge, "__name__", type(sliced.merge).__name__) if rule is None else rule.name,
    }
    if rule is not None and rule.name not in ("none", "soft-nms"):
        found["iou"] = f"{rule.threshold:g}"
    if rule is not None and rule.metric != "iou":
        found["metric"] = rule.metric
    if not sliced.whole:
        found["whole"] = "no"
    if sliced.grid.edge != "inside":
        found["edge"] = sliced.grid.edge
    if sliced.most is not None:
        found["most"] = str(sliced.most)
    return found


def read_sliced_spec(rest: str) -> tuple[dict[str, Any], str]:
    """Return the arguments of :class:`Sliced` and the spec of the inner model, from what follows ``sliced:``.

    >>> read_sliced_spec("size=320,overlap=0.1:tflite:net.tflite")
    ({'size': '320', 'overlap': 0.1}, 'tflite:net.tflite')
    >>> read_sliced_spec("net.tflite")
    ({}, 'net.tflite')
    """
    head, colon, model = rest.partition(":")
    first = head.partition("=")[0]
    if not colon or "=" not in head or not first.isidentifier():
        if not rest:
            raise SpecError("sliced: needs a model: sliced:size=320,overlap=0.2:MODEL")
        return {}, rest
    if not model:
        raise SpecError(f"sliced:{rest} names no model; write sliced:{head}:MODEL")
    found: dict[str, Any] = {}
    for part in head.split(","):
        key, equals, text = part.partition("=")
        if key not in _READERS or not equals:
            raise SpecError(f"sliced:{head}: unknown setting {part!r}; choose from {', '.join(_READERS)}")
        try:
            found[key] = _READERS[key](text)
        except SpecError:
            raise
        except ValueError:
            raise SpecError(f"sliced:{head}: {key} cannot be {text!r}") from None
    return found, model


def _flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise SpecError(f"whole must be yes or no, not {text!r}")
    return text == "yes"


_READERS: Mapping[str, Callable[[str], Any]] = {
    "size": str,
    "overlap": float,
    "merge": str,
    "iou": float,
    "metric": str,
    "whole": _flag,
    "edge": str,
    "most": int,
}


class _SlicedAdapter:
    """The runtime behind a sliced detector: it takes images of any size as they are."""

    fixed_input = False
    limits_calls = True  # a limit on the seconds of a call is one on those of the inner detector

    def __init__(self, sliced: Sliced) -> None:
        self._sliced = sliced
        self.batch = IMAGES_AT_ONCE
        self.categories = sliced.inner.categories
        self.max_detections = sliced.most
        self.description = Description()

    def input_shape(self, width: int, height: int) -> tuple[int, int]:
        return height, width

    def prepare(self, image: Image) -> PreparedImage:
        height, width = image.shape[:2]
        return PreparedImage(image, Frame(width, height, width, height))

    def reserve(self, calls: int) -> None:
        self._sliced.inner.reserve(calls)

    def detect(self, inputs: Sequence[PreparedImage]) -> list[Detections]:
        pieces = self._sliced.pieces([prepared.pixels for prepared in inputs])
        return [self._sliced.merged(found, capped) for found, capped in pieces]


def _pieces_of(sliced: Sliced, images: Sequence[Image]) -> list[tuple[Pieces, bool]]:
    inner = sliced.inner
    shown = [(row, tile) for row, image in enumerate(images) for tile in sliced.tiles(image.shape[1], image.shape[0])]
    groups: dict[tuple[int, int], list[int]] = {}
    for place, (_, tile) in enumerate(shown):
        groups.setdefault(inner.input_shape(tile.width, tile.height), []).append(place)
    found: dict[int, Detections] = {}
    for group in groups.values():
        for start in range(0, len(group), inner.batch):
            places = group[start : start + inner.batch]
            pixels = [shown[place][1].pixels(images[shown[place][0]]) for place in places]
            names = [f"{shown[place][1].crop}" for place in places]
            found.update(zip(places, _detect(inner, pixels, names), strict=True))
    of_image: list[list[tuple[Tile, Detections]]] = [[] for _ in images]
    for place, (row, tile) in enumerate(shown):
        of_image[row].append((tile, found[place]))
    return [_gathered(parts, image.shape[1], image.shape[0]) for parts, image in zip(of_image, images, strict=True)]


def _detect(inner: DetectorHandle, pixels: Sequence[Image], names: Sequence[str]) -> list[Detections]:
    """Return what is found in one batch of tiles: from what was kept, where these pixels were seen before."""
    memory, fingerprint = inner.memory, inner.fingerprint
    get, put = getattr(memory, "get", None), getattr(memory, "put", None)
    if get is None or put is None or fingerprint is None:
        return inner.answer([inner.adapter.prepare(each) for each in pixels], names)
    digest = hashlib.sha256(f"tiles 1 {fingerprint} {answer_versions()}".encode())
    for each in pixels:
        digest.update(f"\0{each.shape}".encode())
        digest.update(np.ascontiguousarray(each).data)
    key = digest.hexdigest()
    known: list[Detections] | None = get(key)
    if known is None:
        known = inner.answer([inner.adapter.prepare(each) for each in pixels], names)
        put(key, known)
    return known


def _gathered(parts: Sequence[tuple[Tile, Detections]], width: int, height: int) -> tuple[Pieces, bool]:
    """Return the detections of an image's tiles in its frame, clipped to their tile."""
    boxes, scores, categories, tiles, ends = (
        [np.zeros((0, 4))],
        [np.zeros(0)],
        [np.zeros(0, int)],
        [np.zeros(0, int)],
        [],
    )
    for number, (tile, found) in enumerate(parts):
        is_whole = tile.crop == Crop(0, 0, width, height)
        placed = (
            clip(tile.crop.out_of(found.boxes), width, height)
            if is_whole
            else tile.crop.clip(tile.crop.out_of(found.boxes))
        )
        shows = ((placed[:, 2:] - placed[:, :2]) > 0).all(axis=1)
        boxes.append(placed[shows])
        scores.append(found.scores[shows])
        categories.append(found.categories[shows])
        tiles.append(np.full(int(shows.sum()), -1 if is_whole else number))
        ends.append(inner_ends(tile.crop, placed[shows], width, height, NEAR_SEAM))
    sides = np.concatenate([np.zeros((0, 4), dtype=bool), *ends])
    pieces = Pieces(
        np.concatenate(boxes), np.concatenate(scores), np.concatenate(categories), np.concatenate(tiles), sides
    )
    return pieces, any(found.capped for _, found in parts)
