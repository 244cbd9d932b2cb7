"""What the benchmark consists of: cells of a family and a severity, and which of them a data set and a mode allow.

docs/benchmark.md is the definition. Whoever changes what is measured here raises ``VERSION``.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from pytest_cropdet.crops import FAMILIES, SEVERITIES, Plan, choose_samples, find_family, make_plan
from pytest_cropdet.data import Dataset, Detections, Sample
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Crop
from pytest_cropdet.inference import Batches, Picture, chunks, plain_batches
from pytest_cropdet.settings import check_choice

__all__ = [
    "DEFINITION",
    "MODES",
    "VERSION",
    "BenchmarkPlan",
    "Cell",
    "Mode",
    "Shared",
    "check_families",
    "check_mode",
    "plan_benchmark",
]

VERSION = 1
DEFINITION = f"cropdet-benchmark {VERSION}"
Mode = Literal["quick", "full"]
Place = tuple[str, int]  # sample id and the number of one of its pictures


@dataclass(frozen=True, slots=True)
class Scope:
    """What a mode takes: these severities, so many windows an image, and at most so many images (``None``: all)."""

    severities: tuple[int, ...]
    per_image: int
    images: int | None


MODES: Mapping[str, Scope] = {"quick": Scope((1, 3, 5), 2, 100), "full": Scope(SEVERITIES, 4, None)}
PER_IMAGE = MODES["full"].per_image


@dataclass(frozen=True, slots=True)
class Cell:
    """One family at one severity, and the windows that stand for it."""

    family: str
    severity: int
    plan: Plan

    @property
    def spec(self) -> str:
        """The spec of its windows, which a gate takes as well."""
        return self.plan.spec


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """The cells of a benchmark on a data set, families in order and severities rising, and what was left out.

    ``families``: those that it is of; the definition is that of the built-in ones.
    """

    mode: Mode
    seed: int
    samples: tuple[Sample, ...]
    cells: tuple[Cell, ...]
    left_out: tuple[str, ...]
    families: tuple[str, ...] = tuple(FAMILIES)

    @property
    def definition(self) -> str:
        """What the numbers are: those of the definition, or of other families by the same rules."""
        if self.families == tuple(FAMILIES):
            return DEFINITION
        return f"{DEFINITION} with families {', '.join(self.families)}"

    @property
    def crops(self) -> int:
        """How many windows there are in all cells."""
        return sum(len(cell.plan) for cell in self.cells)


def check_mode(mode: str) -> Mode:
    """Return ``mode`` if it is one; ``SpecError`` names those there are."""
    check_choice("cropdet_benchmark", mode, tuple(MODES))
    return cast("Mode", mode)


def check_families(families: Sequence[str]) -> tuple[str, ...]:
    """Return the families of a benchmark, the built-in ones if none is named; ``SpecError`` names a wrong one."""
    if isinstance(families, str):
        raise SpecError(f"families={families!r}: write a list of names, such as ['random', {families!r}]")
    for name in families:
        if find_family(name).severities is None:
            raise SpecError(f"the benchmark needs severities, and the family {name!r} has none")
        if [*families].count(name) > 1:
            raise SpecError(f"the benchmark has the family {name!r} twice; name it once")
    return tuple(families) or tuple(FAMILIES)


def plan_benchmark(
    dataset: Dataset, mode: str, sample_images: int | None = None, seed: int = 0, families: Sequence[str] = ()
) -> BenchmarkPlan:
    """Return the cells of a benchmark; ``sample_images`` overrides how many images the mode takes.

    ``families``: their names, the built-in ones if empty.
    """
    checked, names = check_mode(mode), check_families(families)
    scope = MODES[checked]
    samples = choose_samples(dataset, scope.images if sample_images is None else sample_images, seed)
    has_truth = getattr(dataset, "has_truth", True)
    cells, left_out = [], []
    for family in names:
        kind = find_family(family)
        if kind.needs_truth and not has_truth:
            left_out.append(f"{family}: its windows follow annotated objects, and there is no ground truth")
            continue
        windows = f",per_image={scope.per_image}" if "per_image" in kind.parameters else ""
        several = [
            Cell(family, severity, make_plan(samples, f"{family}:severity={severity}{windows}", seed, None))
            for severity in scope.severities
        ]
        if any(len(cell.plan) for cell in several):
            cells.extend(several)
        else:
            why = ", for no annotated object is large enough" if family in FAMILIES else ""
            left_out.append(f"{family}: no window in {len(samples)} images{why}")
    spared = _spared(scope, dataset, samples)
    return BenchmarkPlan(checked, seed, tuple(samples), tuple(cells), (*left_out, *spared), names)


def _spared(scope: Scope, dataset: Dataset, samples: Sequence[Sample]) -> Iterator[str]:
    """Yield what the mode left out."""
    severities = [str(each) for each in SEVERITIES if each not in scope.severities]
    if severities:
        yield f"severities {', '.join(severities)}"
    if scope.per_image < PER_IMAGE:
        yield f"{PER_IMAGE - scope.per_image} of {PER_IMAGE} windows an image of each severity (tile: none)"
    if len(samples) < len(dataset):
        yield f"{len(dataset) - len(samples):,} of {len(dataset):,} images"


class Shared:
    """The pictures of all cells, each batch once: the whole images, then cell by cell what no cell before had.

    Batches are those that a gate makes of the cell's windows, so both find one another's answers in the cache. A batch
    of the same windows of the same images as one before is not sent again.
    """

    def __init__(self, detector: DetectorHandle, plan: BenchmarkPlan) -> None:
        self.calls = len(plan.samples)
        self._plan = plan
        self._last_use: dict[Place, int] = {}
        self._batches: list[dict[str, list[list[Picture]]]] = []
        self._places: list[dict[tuple[str, int], Place]] = []
        known: dict[tuple[tuple[str, Crop], ...], list[Place]] = {}
        numbers: dict[str, int] = {}
        for number, cell in enumerate(plan.cells):
            split = plain_batches(detector, cell.plan.windows)
            new: dict[str, list[list[Picture]]] = {}
            places: dict[tuple[str, int], Place] = {}
            for chunk in chunks(detector, plan.samples):
                new[chunk[0].id] = []
                for pictures in split(chunk):
                    shown = tuple((each.sample, each.crop) for each in pictures if each.crop is not None)
                    if not shown:
                        continue  # whole images are asked for before all cells
                    if shown not in known:
                        known[shown] = [(name, numbers.get(name, 0)) for name, _ in shown]
                        numbers.update((name, count + 1) for name, count in known[shown])
                        batch = zip(shown, known[shown], strict=True)
                        new[chunk[0].id].append([Picture(name, rank, crop) for (name, crop), (_, rank) in batch])
                        self.calls += len(shown)
                    for each, place in zip(pictures, known[shown], strict=True):
                        places[each.sample, each.rank] = place
                        self._last_use[place] = number
            self._batches.append(new)
            self._places.append(places)

    def batches(self, cell: int) -> Batches:
        """Return what gives the batches of a chunk that cell number ``cell`` needs and no cell before it had."""
        return lambda chunk: iter(self._batches[cell][chunk[0].id])

    def answers(self, cell: int, found: Mapping[Picture, Detections]) -> list[Detections]:
        """Return the raw detections in the windows of cell number ``cell``, by sample and rank."""
        windows, places = self._plan.cells[cell].plan.windows, self._places[cell]
        return [
            found[Picture(*places[sample.id, rank], crop)]
            for sample in self._plan.samples
            for rank, crop in enumerate(windows[sample.id])
        ]

    def forget(self, cell: int, found: MutableMapping[Picture, Detections]) -> None:
        """Drop the detections in windows that no cell after number ``cell`` needs."""
        for picture in [*found]:
            if picture.crop is not None and self._last_use[picture.sample, picture.rank] <= cell:
                del found[picture]
