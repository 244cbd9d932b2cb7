"""What a family of windows is: a name, parameters, severities, and the windows of a sample from seeded draws."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from pytest_cropdet.data import Sample
from pytest_cropdet.geometry import Crop

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "SEVERITIES",
    "CropFamily",
    "FamilyKind",
    "Parameter",
    "SeededDraws",
    "draw_number",
    "written",
]

SEVERITIES = (1, 2, 3, 4, 5)
_BITS = 64
_SWITCH = {"true": True, "false": False}


def draw_number(*parts: object) -> int:
    """Return a number below 2**64 that depends on nothing but ``parts``."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[: _BITS // 8], "big")


@dataclass(frozen=True, slots=True)
class SeededDraws:
    """The random numbers of one family in one image: they depend on family, seed, sample id and image size alone.

    Each has a word for what it is, and further parts such as a rank: the same word and parts give the same number, on
    every machine, in any order, and however many others are drawn.

    >>> draws = SeededDraws("mine", 0, "a.jpg", 640, 480)
    >>> draws.below(10, "left", 0), draws.below(10, "left", 0), draws.below(10, "left", 1)
    (4, 4, 1)
    """

    family: str
    seed: int
    sample: str
    width: int
    height: int

    @classmethod
    def of(cls, family: str, sample: Sample, seed: int) -> "SeededDraws":
        """Return the draws of a family in a sample."""
        return cls(family, seed, sample.id, sample.width, sample.height)

    def number(self, word: str, *parts: object) -> int:
        """Return a whole number from 0 to 2**64 - 1."""
        return draw_number(word, self.family, self.seed, self.sample, self.width, self.height, *parts)

    def below(self, limit: int, word: str, *parts: object) -> int:
        """Return a whole number from 0 to ``limit`` - 1, uniform to within 2**-64."""
        return (self.number(word, *parts) * limit) >> _BITS

    def share(self, word: str, *parts: object) -> float:
        """Return a number from 0 to 1."""
        return self.number(word, *parts) / float(2**_BITS)

    def generator(self, word: str = "generator", *parts: object) -> "np.random.Generator":
        """Return a NumPy generator (PCG64) seeded by such a number; another NumPy may draw others from it."""
        from numpy.random import PCG64, Generator

        return Generator(PCG64(self.number(word, *parts)))


class Parameter(NamedTuple):
    """A parameter of a family: its default, and its type or a function that reads it.

    ``default``: a value, or text as in a spec. ``read``: ``int``, ``float``, ``bool`` (true or false), ``str``, or a
    function from text to the value, whose ``ValueError`` says what is allowed.

    >>> Parameter(4, int).value("7"), Parameter(True, bool).value("false")
    (7, False)
    """

    default: Any
    read: Callable[[str], Any]

    def value(self, text: str) -> Any:
        """Return the value of a text; ``ValueError`` says what is allowed."""
        if self.read is bool:
            if text not in _SWITCH:
                raise ValueError("true or false")
            return _SWITCH[text]
        if self.read in (int, float):
            number = _number(self.read, text)
            if not math.isfinite(number):
                raise ValueError("a finite number")
            return number
        return self.read(text)


@runtime_checkable
class CropFamily(Protocol):
    """A family of windows. Any object with these attributes is one; :func:`register_family` makes its name known.

    ``name``: letters, digits, _ and -; it begins specs, as in ``name:size=3``. ``parameters``: :class:`Parameter` by
    name. ``severities``: the parameter that a severity sets and its five values, the mildest first; ``None`` where
    there are none. ``needs_truth``: whether windows follow the annotated objects. ``windows``: called as
    ``windows(sample, draws, **parameters)``, where ``draws`` is :class:`SeededDraws`, it returns the windows of one
    sample by rank, each inside the image, and the same ones each time.
    """

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Parameter]: ...
    @property
    def severities(self) -> tuple[str, tuple[Any, ...]] | None: ...
    @property
    def needs_truth(self) -> bool: ...
    @property
    def windows(self) -> Callable[..., Iterable[Crop]]: ...


@dataclass(frozen=True, slots=True)
class FamilyKind:
    """A family that is made of a function; the attributes are those of :class:`CropFamily`."""

    name: str
    windows: Callable[..., Iterable[Crop]]
    parameters: Mapping[str, Parameter]
    severities: tuple[str, tuple[Any, ...]] | None = None
    needs_truth: bool = False


def written(value: Any) -> str:
    """Return a parameter as a spec has it: a range with a dash, and no exponents, whose signs would part the spec.

    >>> written((0.3, 0.9)), written(1e-05), written(True)
    ('0.3-0.9', '0.00001', 'true')
    """
    if isinstance(value, tuple):
        return "-".join(map(written, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return format(Decimal(repr(float(value))), "f")
    return str(value)


def _number(kind: Callable[[str], Any], text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError("a whole number" if kind is int else "a number") from None
