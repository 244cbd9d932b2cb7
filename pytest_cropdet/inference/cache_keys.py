"""What a batch's answer depends on, as one hash: the name under which it is kept."""

import hashlib
import json
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_cropdet.data import Sample, decoder_version
from pytest_cropdet.detectors import ADAPTERS, DetectorHandle, Profile, runtime_versions
from pytest_cropdet.geometry import Crop
from pytest_cropdet.inference.cache import Cache

__all__ = ["BatchKeys"]


class BatchKeys:
    """The keys of one detector's batches in a cache.

    ``reading``: taken while an image that is no file is read: what reads it may be no affair of several threads.
    """

    def __init__(self, cache: Cache, fingerprint: str) -> None:
        self.cache = cache
        known = [ADAPTERS, fingerprint, decoder_version(), runtime_versions()]
        self._detector = json.dumps(known, sort_keys=True)
        self._name = hashlib.sha256(self._detector.encode()).hexdigest()
        self.reading = threading.Lock()
        self._pixels: dict[Sample, str | None] = {}

    @classmethod
    def of(cls, cache: Cache | None, detector: DetectorHandle) -> "BatchKeys | None":
        """Return the keys of a detector, ``None`` where there is no cache or the detector has no fingerprint.

        From then on the cache is also where the detector remembers that its files are good.
        """
        detector.identify()
        if cache is None or detector.fingerprint is None:
            return None
        detector.memory = cache
        return cls(cache, detector.fingerprint)

    def key(self, pictures: Sequence[tuple[Sample, Crop | None, str]]) -> str | None:
        """Return the key of a batch; ``None`` if one of its samples cannot be read.

        ``pictures``: sample, window (``None``: the whole image) and how it is rendered ("": as it is).
        """
        digest = hashlib.sha256(self._detector.encode())
        for sample, crop, rendering in pictures:
            try:
                content = self.cache.content_hash(sample)
            except OSError:  # reading the picture will say what is wrong with it
                return None
            content = content or self._hash_of_pixels(sample)
            if content is None:
                return None
            window = "whole" if crop is None else f"{crop.left} {crop.top} {crop.width} {crop.height}"
            digest.update(f"\0{content} {window} {rendering}".encode())
        return digest.hexdigest()

    def _hash_of_pixels(self, sample: Sample) -> str | None:
        """Return a hash of the pixels of an image without a file; found once a run, as they may change between two."""
        with self.reading:
            if sample not in self._pixels:
                try:
                    image = np.ascontiguousarray(sample.image())
                    head = f"pixels {image.shape} {image.dtype}\0".encode()
                    self._pixels[sample] = hashlib.sha256(head + image.tobytes()).hexdigest()
                except Exception:  # reading the picture will say what is wrong with it
                    self._pixels[sample] = None
            return self._pixels[sample]

    def recall_profile(self, detector: DetectorHandle) -> bool:
        """Give a detector the profile it had before; return whether there was one."""
        known = self.cache.fact(f"profile {self._name}")
        if known is None:
            return False
        try:
            detector.recall(Profile.from_json(known))
        except (AttributeError, LookupError, TypeError, ValueError):
            return False
        return True

    def keep_profile(self, detector: DetectorHandle) -> None:
        """Remember a detector's profile."""
        self.cache.remember(f"profile {self._name}", detector.profile.to_json())

    def speed(self) -> float | None:
        """Return how many seconds a picture took when this detector last finished a benchmark, if it ever did."""
        known = self.cache.fact(f"speed {self._name}")
        return known if isinstance(known, float) and known > 0 else None

    def keep_speed(self, seconds: float) -> None:
        """Remember how many seconds a picture takes."""
        self.cache.remember(f"speed {self._name}", seconds)

    def repeat_name(self, *about: object) -> str | None:
        """Return the name of a finding about the detector answering the same twice; ``about``: what it depends on.

        ``None`` where it depends on ``None``, a batch without a key: then nothing is kept.
        """
        if None in about:
            return None
        return f"repeat {self._name} {hashlib.sha256(repr(about).encode()).hexdigest()}"

    def repeat(self, *names: str | None) -> dict[str, Any] | None:
        """Return the first finding that is known under one of ``names``."""
        found = (self.cache.fact(name) for name in names if name is not None)
        return next((each for each in found if isinstance(each, dict)), None)

    def keep_repeat(self, name: str | None, finding: dict[str, Any]) -> None:
        """Remember a finding."""
        if name is not None:
            self.cache.remember(name, finding)
