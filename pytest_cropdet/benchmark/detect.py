"""Asks the detector for a benchmark: about the whole images once for all cells, then cell by cell what is new."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_cropdet.benchmark.cells import BenchmarkPlan, Place, Shared
from pytest_cropdet.data import Detections
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.inference import Advanced, Batch, Batches, BatchKeys, Picture, Spent, detect_all

__all__ = ["Asking"]


@dataclass
class Asking:
    """Asks the detector about the pictures of a plan, and holds the raw answers as long as they are needed."""

    handle: DetectorHandle
    keys: BatchKeys | None
    plan: BenchmarkPlan
    whole: dict[str, Detections] = field(default_factory=dict)
    spent: Spent = field(default_factory=lambda: Spent(0, 0.0))

    def __post_init__(self) -> None:
        self.shared = Shared(self.handle, self.plan)
        self._found: dict[Place, Detections] = {}
        self._done = 0

    def whole_images(self) -> Iterator[Advanced]:
        """Detect in the whole images, once for all cells."""
        yield from self._ask(lambda chunk: iter([[Picture(sample.id, -1, None) for sample in chunk]]))

    def cell(self, number: int) -> Iterator[Advanced]:
        """Detect in the windows of a cell that no cell before had."""
        yield from self._ask(self.shared.batches(number))

    def _ask(self, batches: Batches) -> Iterator[Advanced]:
        for batch in self._detect(batches):
            for picture, found in zip(batch.pictures, batch.found, strict=True):
                if picture.crop is None:
                    self.whole[picture.sample] = found
                else:
                    self._found[picture.sample, picture.rank] = found
                self._done += 1
            yield Advanced(self._done, self.shared.calls, self.spent.model_seconds)

    def _detect(self, batches: Batches) -> Iterator[Batch]:
        sent, seconds = self.handle.images_sent, self.handle.seconds
        for batch in detect_all(self.handle, self.plan.samples, {}, self.keys, batches):
            self.spent.model_calls += self.handle.images_sent - sent
            self.spent.model_seconds += self.handle.seconds - seconds
            sent, seconds = self.handle.images_sent, self.handle.seconds
            yield batch

    def answers(self, number: int) -> list[Detections]:
        """Return the raw detections in the windows of a cell, by sample and rank."""
        windows = self.plan.cells[number].plan.windows
        return [
            self._found[self.shared.place(number, sample.id, rank)]
            for sample in self.plan.samples
            for rank in range(len(windows[sample.id]))
        ]

    def forget(self, number: int) -> None:
        """Drop the answers that no later cell needs."""
        last = self.shared.last_use
        self._found = {place: found for place, found in self._found.items() if last[place] > number}
