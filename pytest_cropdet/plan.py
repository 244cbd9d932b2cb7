"""Which windows: a seeded choice that depends on the spec, the seed and the sample alone.

Every random number is a SHA-256 of ``seed``, sample id, image size and rank, taken as a 64-bit integer: the same on
every machine, under every NumPy version, in any order. Rank k of a sample does not depend on how many ranks are asked
for, so asking for more crops keeps the first ones.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_cropdet.crops import Crop
from pytest_cropdet.errors import SpecError
from pytest_cropdet.samples import Sample

__all__ = ["DEFAULT_SPEC", "Family", "Plan", "choose_samples", "make_plan", "parse_spec"]

DEFAULT_SPEC = "random:keep=0.3-0.9,per_image=4"
_BITS = 64


@dataclass(frozen=True, slots=True)
class Family:
    """One family of windows with its parameters, as written in a spec."""

    name: str
    parameters: tuple[tuple[str, Any], ...]

    def windows(self, sample: Sample, seed: int) -> list[Crop]:
        """Return the windows of one sample, rank by rank."""
        return _FAMILIES[self.name].windows(sample, seed, **dict(self.parameters))


@dataclass(frozen=True, slots=True)
class Plan:
    """The windows of a run: ``windows[sample id]`` lists them by rank. Iterating gives every (sample id, crop)."""

    spec: str
    seed: int
    family: str
    windows: Mapping[str, tuple[Crop, ...]]

    def __len__(self) -> int:
        return sum(len(crops) for crops in self.windows.values())

    def __iter__(self) -> Iterator[tuple[str, Crop]]:
        return ((name, crop) for name, crops in self.windows.items() for crop in crops)

    def __repr__(self) -> str:
        return f"Plan({self.spec!r}, seed={self.seed}, {len(self)} crops of {len(self.windows)} images)"


def make_plan(samples: Iterable[Sample], spec: str = DEFAULT_SPEC, seed: int = 0) -> Plan:
    """Return the windows of ``samples`` by a spec such as ``random:keep=0.3-0.9,per_image=4`` or ``a+b``.

    ``SpecError`` names a family or parameter that is not known, and the known ones.
    """
    families = parse_spec(spec)
    windows = {}
    for sample in samples:
        crops = [crop for family in families for crop in family.windows(sample, seed)]
        windows[sample.id] = tuple(crops)
    return Plan(spec, seed, "+".join(family.name for family in families), windows)


def choose_samples(samples: Iterable[Sample], count: int | None, seed: int = 0) -> list[Sample]:
    """Return ``count`` samples, seeded, in the data set's order; a larger count contains every smaller one's choice."""
    everything = list(samples)
    if count is None or count >= len(everything):
        return everything
    ranked = sorted(everything, key=lambda sample: (_draw("sample", seed, sample.id), sample.id))
    chosen = {sample.id for sample in ranked[:count]}
    return [sample for sample in everything if sample.id in chosen]


def parse_spec(spec: str) -> tuple[Family, ...]:
    """Return the families of a spec, parameters checked and defaults filled in."""
    return tuple(_parse_family(part.strip(), spec) for part in spec.split("+"))


def _parse_family(part: str, spec: str) -> Family:
    name, _, rest = part.partition(":")
    if name not in _FAMILIES:
        raise SpecError(f"crops {spec!r}: unknown family {name!r}; known are {', '.join(_FAMILIES)}")
    kind = _FAMILIES[name]
    values = {key: default for key, (default, _) in kind.parameters.items()}
    for item in filter(None, (item.strip() for item in rest.split(","))):
        key, equals, text = item.partition("=")
        if key not in kind.parameters or not equals:
            known = ", ".join(f"{known}={default}" for known, (default, _) in kind.parameters.items())
            raise SpecError(f"crops {spec!r}: {name} does not know {item!r}; it takes {known}")
        values[key] = text
    parsed = []
    for key, value in values.items():
        try:
            parsed.append((key, kind.parameters[key][1](str(value))))
        except ValueError as error:
            raise SpecError(f"crops {spec!r}: {key}={value}: {error}") from error
    return Family(name, tuple(parsed))


def _draw(*parts: object) -> int:
    """Return a number below 2**64 that depends on nothing but ``parts``."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[: _BITS // 8], "big")


def _below(limit: int, *parts: object) -> int:
    """Return a whole number from 0 to ``limit`` - 1, uniform to within 2**-64."""
    return (_draw(*parts) * limit) >> _BITS


def side(keep: float, length: int) -> int:
    """Return the side of a window that keeps a share of a side of the image, in whole pixels.

    >>> side(0.3, 10), side(0.001, 10), side(1.0, 427)
    (3, 1, 427)
    """
    return max(1, math.floor(keep * length + 1e-9))


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    first, last = float(low), float(high or low)
    if not 0 < first <= last <= 1:
        raise ValueError("a share of the side, above 0 and at most 1, or a range of them such as 0.3-0.9")
    return first, last


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("a whole number from 1 on")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError("a share from 0 to below 1")
    return value


def _random_windows(sample: Sample, seed: int, keep: tuple[float, float], per_image: int) -> list[Crop]:
    crops = []
    for rank in range(per_image):
        key = ("random", seed, sample.id, sample.width, sample.height, rank)
        low, high = keep
        share = low + (high - low) * (_draw("keep", *key) / 2**_BITS)
        width, height = side(share, sample.width), side(share, sample.height)
        left = _below(sample.width - width + 1, "left", *key)
        top = _below(sample.height - height + 1, "top", *key)
        crops.append(Crop(left, top, width, height))
    return crops


def _starts(length: int, size: int, overlap: float) -> list[int]:
    """Return where tiles start along one side; the last one ends at the border."""
    if size >= length:
        return [0]
    step = max(1, size - round(size * overlap))
    return [*range(0, length - size, step), length - size]


def _tile_windows(sample: Sample, seed: int, size: int, overlap: float) -> list[Crop]:
    width, height = min(size, sample.width), min(size, sample.height)
    return [
        Crop(left, top, width, height)
        for top in _starts(sample.height, height, overlap)
        for left in _starts(sample.width, width, overlap)
    ]


@dataclass(frozen=True, slots=True)
class _Kind:
    windows: Callable[..., list[Crop]]
    parameters: Mapping[str, tuple[str, Callable[[str], Any]]]


_FAMILIES: Mapping[str, _Kind] = {
    "random": _Kind(_random_windows, {"keep": ("0.3-0.9", _range), "per_image": ("4", _positive)}),
    "tile": _Kind(_tile_windows, {"size": ("320", _positive), "overlap": ("0.2", _share)}),
}
