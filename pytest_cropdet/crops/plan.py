"""Which windows: a seeded choice that depends on the spec, the seed and the sample alone.

Rank k of a sample does not depend on how many ranks are asked for, so asking for more crops keeps the first ones.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cropdet.crops.family import SEVERITIES, CropFamily, Parameter, draw_number, written
from pytest_cropdet.crops.registry import draw_windows, find_family, is_own, known_families
from pytest_cropdet.crops.window_counts import MAX_CROPS, count_windows, refuse_many
from pytest_cropdet.data import Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Crop

__all__ = [
    "DEFAULT_SPEC",
    "Family",
    "Plan",
    "choose_samples",
    "make_plan",
    "parse_spec",
    "refuse_without_truth",
    "shuffled",
]

DEFAULT_SPEC = "random:keep=0.3-0.9,per_image=4"


@dataclass(frozen=True, slots=True)
class Family:
    """One family of windows with its parameters, as written in a spec."""

    name: str
    parameters: tuple[tuple[str, Any], ...]

    @property
    def spec(self) -> str:
        """The family as text, from which :func:`parse_spec` makes it again."""
        parameters = ",".join(f"{name}={written(value)}" for name, value in self.parameters)
        return f"{self.name}:{parameters}" if parameters else self.name

    def windows(self, sample: Sample, seed: int) -> list[Crop]:
        """Return the windows of one sample, rank by rank; ``SpecError`` if an own family draws them wrongly."""
        return draw_windows(self.name, dict(self.parameters), sample, seed)


@dataclass(frozen=True, slots=True)
class Plan:
    """The windows of a run: ``windows[sample id]`` lists them by rank. Iterating gives every (sample id, crop).

    ``file``: where they were read from, if a strategy drew them. ``given``: a caller gave the windows or the strategy,
    or a family that is not built in drew them, so spec and seed alone do not make them again.
    """

    spec: str
    seed: int
    family: str
    windows: Mapping[str, tuple[Crop, ...]]
    file: str | None = None
    given: bool = False

    @property
    def name(self) -> str:
        """What reports call a gate on these windows."""
        return self.family

    def __len__(self) -> int:
        return sum(len(crops) for crops in self.windows.values())

    def __iter__(self) -> Iterator[tuple[str, Crop]]:
        return ((name, crop) for name, crops in self.windows.items() for crop in crops)

    def __repr__(self) -> str:
        return f"Plan({self.spec!r}, seed={self.seed}, {len(self)} crops of {len(self.windows)} images)"


def make_plan(
    samples: Iterable[Sample], spec: str = DEFAULT_SPEC, seed: int = 0, max_crops: int | None = MAX_CROPS
) -> Plan:
    """Return the windows of ``samples`` by a spec such as ``random:keep=0.3-0.9,per_image=4`` or ``a+b``.

    ``SpecError`` names a family or parameter that is not known, and the known ones; or says how many windows there
    would be, before any is made, if they may be more than ``max_crops``.
    """
    families = parse_spec(spec)
    samples = list(samples)
    if max_crops is not None:
        counts = (count_windows(family.name, dict(family.parameters), samples) for family in families)
        refuse_many(spec, sum(counts), len(samples), max_crops)
    windows: dict[str, tuple[Crop, ...]] = {}
    drawn = 0
    for sample in samples:
        crops: list[Crop] = []
        for family in families:
            most = None if max_crops is None else max_crops - drawn - len(crops)
            crops += draw_windows(family.name, dict(family.parameters), sample, seed, most)
        windows[sample.id] = tuple(crops)
        drawn += len(crops)
        if max_crops is not None and drawn > max_crops:  # of an own family: those of others were counted before
            refuse_many(spec, drawn * len(samples) // len(windows), len(samples), max_crops)
    given = any(is_own(family.name) for family in families)
    return Plan(spec, seed, "+".join(family.name for family in families), windows, given=given)


def choose_samples(samples: Iterable[Sample], count: int | None, seed: int = 0) -> list[Sample]:
    """Return ``count`` samples, seeded, by their ids; a larger count contains every smaller one's choice.

    Batches and resamples follow this order, so the order in which a file lists its images changes no number.
    """
    everything = sorted(samples, key=lambda sample: sample.id)
    if count is None or count >= len(everything):
        return everything
    ranked = sorted(everything, key=lambda sample: (draw_number("sample", seed, sample.id), sample.id))
    chosen = {sample.id for sample in ranked[:count]}
    return [sample for sample in everything if sample.id in chosen]


def parse_spec(spec: str) -> tuple[Family, ...]:
    """Return the families of a spec, parameters checked and defaults filled in."""
    return tuple(_parse_family(part.strip(), spec) for part in spec.split("+"))


def refuse_without_truth(spec: str) -> None:
    """Raise ``SpecError`` if windows of the spec follow annotated objects: for images that have no ground truth."""
    names = [family.name for family in parse_spec(spec) if find_family(family.name).needs_truth]
    if names:
        others = ", ".join(name for name, kind in known_families().items() if not kind.needs_truth)
        raise SpecError(
            f"crops {spec!r}: {names[0]} cuts round annotated objects, and these images have no ground truth; "
            f"give --cropdet-data=PATH, or take one of {others}"
        )


def _parse_family(part: str, spec: str) -> Family:
    name, _, rest = part.partition(":")
    try:
        kind = find_family(name)
    except SpecError as error:
        raise SpecError(f"crops {spec!r}: {error}") from error.__cause__
    given: dict[str, str] = {}
    for item in filter(None, (item.strip() for item in rest.split(","))):
        key, equals, text = item.partition("=")
        if key not in {*kind.parameters, "severity"} or not equals:
            raise SpecError(f"crops {spec!r}: {name} does not know {item!r}; it takes {_taken(kind)}")
        given[key] = text
    values = {key: written(parameter[0]) for key, parameter in kind.parameters.items()}
    values |= _without_severity(given, kind, spec)
    parsed = []
    for key, value in values.items():
        try:
            parsed.append((key, Parameter(*kind.parameters[key]).value(value)))
        except ValueError as error:
            raise SpecError(f"crops {spec!r}: {key}={value}: {error}") from error
    return Family(name, tuple(parsed))


def _taken(kind: CropFamily) -> str:
    """Return what a family takes, in words."""
    taken = [f"{key}={written(parameter[0])}" for key, parameter in kind.parameters.items()]
    severe = [] if kind.severities is None else ["or severity=1 to 5"]
    return ", ".join([*taken, *severe]) or "no parameters"


def _without_severity(given: Mapping[str, str], kind: CropFamily, spec: str) -> dict[str, str]:
    """Return the parameters as written, a severity replaced by the value it stands for."""
    values = dict(given)
    severity = values.pop("severity", None)
    if severity is None:
        return values
    if kind.severities is None:
        raise SpecError(f"crops {spec!r}: the family {kind.name!r} has no severities; it takes {_taken(kind)}")
    key, by_severity = kind.severities
    if severity not in map(str, SEVERITIES):
        raise SpecError(f"crops {spec!r}: severity={severity}: a whole number from 1 to 5")
    value = written(by_severity[int(severity) - 1])
    if key in values:
        raise SpecError(f"crops {spec!r}: severity={severity} means {key}={value}; leave one of the two out")
    return {**values, key: value}


def shuffled(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Return samples in an order that depends on the seed and their ids alone."""

    def key(sample: Sample) -> tuple[bytes, str]:
        return hashlib.sha256(f"look\x1f{seed}\x1f{sample.id}".encode()).digest(), sample.id

    return sorted(samples, key=key)
