"""Where the detector runs: here, batch by batch, with the next pictures decoded and prepared in the meantime.

The batch is the unit. Its composition follows from the plan and the detector's input alone: whole images of the next
samples of equal input shape, then their crops, rank by rank. So the last digits of a detector, which depend on its
batch, are the same in every run, and a crop that keeps everything gets exactly the answer of the whole image.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pytest_cropdet.crops import Crop
from pytest_cropdet.detectors.frames import Prepared
from pytest_cropdet.detectors.handle import DetectorHandle
from pytest_cropdet.samples import Detections, Image, Sample

__all__ = ["Batch", "Picture", "chunks", "detect_all", "pictures_of"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to detect in: the whole sample (``crop`` is ``None``, rank -1) or one of its crops."""

    sample: str
    rank: int
    crop: Crop | None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.sample if self.crop is None else f"{self.crop} of {self.sample}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures that go to the detector in one call, and what it found in each."""

    pictures: tuple[Picture, ...]
    found: tuple[Detections, ...]


def chunks(detector: DetectorHandle, samples: Sequence[Sample]) -> list[list[Sample]]:
    """Return samples in groups of equal input shape, as many as the detector takes in a call, in the set's order."""
    groups: dict[tuple[int, int], list[Sample]] = {}
    for sample in samples:
        groups.setdefault(detector.adapter.input_shape(sample.width, sample.height), []).append(sample)
    size = detector.batch
    parts = [group[start : start + size] for group in groups.values() for start in range(0, len(group), size)]
    order = {sample.id: place for place, sample in enumerate(samples)}
    return sorted(parts, key=lambda part: order[part[0].id])


def pictures_of(
    detector: DetectorHandle, chunk: Sequence[Sample], windows: Mapping[str, Sequence[Crop]]
) -> Iterator[list[Picture]]:
    """Yield the batches of one chunk: its whole images, then its crops of rank 0, of rank 1, ... by input shape."""
    yield [Picture(sample.id, -1, None) for sample in chunk]
    for rank in range(max((len(windows[sample.id]) for sample in chunk), default=0)):
        groups: dict[tuple[int, int], list[Picture]] = {}
        for sample in chunk:
            crops = windows[sample.id]
            if rank < len(crops):
                shape = detector.adapter.input_shape(crops[rank].width, crops[rank].height)
                groups.setdefault(shape, []).append(Picture(sample.id, rank, crops[rank]))
        yield from groups.values()


def detect_all(
    detector: DetectorHandle, samples: Sequence[Sample], windows: Mapping[str, Sequence[Crop]]
) -> Iterator[Batch]:
    """Yield every batch of a plan with its detections; each image is decoded once, in the background."""
    parts = chunks(detector, samples)
    if not parts:
        return

    def prepare(chunk: Sequence[Sample]) -> list[tuple[list[Picture], list[Prepared]]]:
        images = {sample.id: sample.image() for sample in chunk}
        return [
            (pictures, [detector.adapter.prepare(_pixels(images[each.sample], each.crop)) for each in pictures])
            for pictures in pictures_of(detector, chunk, windows)
        ]

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="cropdet-prepare") as pool:
        ahead = deque(pool.submit(prepare, part) for part in parts[:1])
        for following in [*parts[1:], None]:
            ready = ahead.popleft().result()
            if following is not None:
                ahead.append(pool.submit(prepare, following))
            for pictures, prepared in ready:
                found = detector.detect(prepared, [picture.label for picture in pictures])
                yield Batch(tuple(pictures), tuple(found))


def _pixels(image: Image, crop: Crop | None) -> Image:
    return image if crop is None else crop.of(image)
