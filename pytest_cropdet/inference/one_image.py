"""A detector's answers to windows of one image, each asked for once."""

from pytest_cropdet.data import CategoryMap, Detections, Sample
from pytest_cropdet.detectors import Detector, DetectorHandle, as_handle
from pytest_cropdet.geometry import Crop, Image
from pytest_cropdet.inference.batches import Picture, detect_all
from pytest_cropdet.inference.cache import Cache
from pytest_cropdet.inference.cache_keys import BatchKeys

__all__ = ["Windows"]


class Windows:
    """What a detector finds in windows of one image; each is asked for once.

    ``asked``: windows so far, of which the detector itself was shown ``calls``; a cache knew the others.
    """

    def __init__(
        self, detector: Detector, sample: Sample, cache: Cache | None = None, categories: CategoryMap | None = None
    ) -> None:
        self.handle: DetectorHandle = as_handle(detector)
        self.sample = Sample(
            sample.id,
            sample.width,
            sample.height,
            sample.truth,
            sample.read if self.handle.cluster is not None else self.image,
            sample.path,
            checked=sample.checked,
            content=sample.content,
        )
        self.frame = Crop(0, 0, sample.width, sample.height)
        self.asked = self.calls = 0
        self._categories = categories
        self._keys = BatchKeys.of(cache, self.handle)
        self._known: dict[Crop, Detections] = {}
        self._read = sample.read
        self._image: Image | None = None

    def image(self) -> Image:
        """Return the pixels, decoded once."""
        if self._image is None:
            self._image = self._read()
        return self._image

    def __contains__(self, crop: Crop) -> bool:
        return crop in self._known

    def __call__(self, crop: Crop | None = None) -> Detections:
        """Return the detections in a window, in its frame; without one, in the whole image."""
        crop = crop or self.frame
        if crop not in self._known:
            picture = Picture(self.sample.id, -1 if crop == self.frame else 0, None if crop == self.frame else crop)
            before = self.handle.images_sent
            (batch,) = detect_all(self.handle, [self.sample], {}, self._keys, lambda chunk: iter([[picture]]))
            found = batch.found[0]
            self._known[crop] = found if self._categories is None else self._categories.translate(found)
            self.calls += self.handle.images_sent - before
            self.asked += 1
        return self._known[crop]
