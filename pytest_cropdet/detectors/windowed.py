"""A detector that runs another one on windows of the image, and merges what it finds: the base of tiles and regions."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle, Memory, as_handle
from pytest_cropdet.detectors.merges import Pieces, Rule, merge_pieces
from pytest_cropdet.detectors.resize import Frame, PreparedImage
from pytest_cropdet.detectors.tiles import Tile, inner_ends
from pytest_cropdet.detectors.versions import answer_versions
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.geometry import Crop, Image, clip

__all__ = ["MergeFunction", "Windowed"]

IMAGES_AT_ONCE = 8  # whose windows go to the detector in the same batches
NEAR_SEAM = 2.0  # pixels from a window's border within which a box ends at it

MergeFunction = Callable[[Pieces], Detections]


class Windowed(DetectorHandle):
    """A detector that runs ``inner`` on windows of each image and merges the results.

    :class:`~pytest_cropdet.Sliced` takes tiles, :class:`~pytest_cropdet.Regions` windows round proposals. ``rule``: how
    boxes are merged, ``None`` for a function of your own, ``merge``. ``whole``: whether the whole image is sent, too.
    """

    kind = "windowed"  # the word before the settings, in names and fingerprints

    def __init__(
        self, detector: object, merge: str | MergeFunction, iou: float, whole: bool, metric: str, most: int | None
    ) -> None:
        self.inner = as_handle(detector)
        self.rule = None if callable(merge) else Rule(merge, iou, metric)
        self.merge = merge
        self.whole = whole
        self.most = most
        if most is not None and most < 1:
            raise SpecError(f"most must be 1 or more detections, not {most!r}")
        super().__init__(
            f"{self.kind}:{self.settings}:{self.inner.name}",
            lambda: _WindowedAdapter(self),
            Description(),
            None,
            self.inner.threads,
        )

    @abstractmethod
    def known_settings(self) -> dict[str, str]:
        """Return the settings as a spec writes them, in its order."""

    def identity(self) -> dict[str, str]:
        """Return the settings on which detections depend."""
        return self.known_settings()

    @abstractmethod
    def windows_in(self, image: Image) -> list[Tile]:
        """Return the windows of an image, without the whole image."""

    @abstractmethod
    def windows_of(self, sample: Sample) -> list[Tile]:
        """Return the windows of a sample's image, without the whole image."""

    @abstractmethod
    def unmerged(self) -> "Windowed":
        """Return the same windows without a merge."""

    def merge_settings(self) -> dict[str, str]:
        """Return what a spec says of the merge."""
        rule = self.rule
        found = {"merge": getattr(self.merge, "__name__", type(self.merge).__name__) if rule is None else rule.name}
        if rule is not None and rule.name not in ("none", "soft-nms"):
            found["iou"] = f"{rule.threshold:g}"
        if rule is not None and rule.metric != "iou":
            found["metric"] = rule.metric
        return found

    @property
    def settings(self) -> str:
        """The settings as a spec writes them: ``size=320,overlap=0.2,merge=nms,iou=0.5``."""
        return ",".join(f"{key}={value}" for key, value in self.known_settings().items())

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
        """The seconds of one call: that of the inner detector, on some windows."""
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
        settings = {**self.identity(), "merge": merge}
        return hashlib.sha256(f"{self.kind} 1 {inner} {sorted(settings.items())}".encode()).hexdigest()

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

    def sent_of(self, sample: Sample) -> list[Tile]:
        """Return what is sent of a sample's image: the whole image first, if it is, then its windows."""
        return self._with_whole(self.windows_of(sample), sample.width, sample.height)

    def sent_in(self, image: Image) -> list[Tile]:
        """Return what is sent of an image."""
        return self._with_whole(self.windows_in(image), image.shape[1], image.shape[0])

    def _with_whole(self, windows: list[Tile], width: int, height: int) -> list[Tile]:
        image = Tile(Crop(0, 0, width, height), width, height)
        return [image, *(each for each in windows if each != image)] if self.whole else windows

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


class _WindowedAdapter:
    """The runtime behind it: it takes images of any size as they are."""

    fixed_input = False
    limits_calls = True  # a limit on the seconds of a call is one on those of the inner detector

    def __init__(self, windowed: Windowed) -> None:
        self._windowed = windowed
        self.batch = IMAGES_AT_ONCE
        self.categories = windowed.inner.categories
        self.max_detections = windowed.most
        self.description = Description()

    def input_shape(self, width: int, height: int) -> tuple[int, int]:
        return height, width

    def prepare(self, image: Image) -> PreparedImage:
        height, width = image.shape[:2]
        return PreparedImage(image, Frame(width, height, width, height))

    def reserve(self, calls: int) -> None:
        self._windowed.inner.reserve(calls)

    def detect(self, inputs: Sequence[PreparedImage]) -> list[Detections]:
        pieces = self._windowed.pieces([prepared.pixels for prepared in inputs])
        return [self._windowed.merged(found, capped) for found, capped in pieces]


def _pieces_of(windowed: Windowed, images: Sequence[Image]) -> list[tuple[Pieces, bool]]:
    inner = windowed.inner
    shown = [(row, tile) for row, image in enumerate(images) for tile in windowed.sent_in(image)]
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
