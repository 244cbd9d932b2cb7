"""What a run costs, by part, and how many images a verdict takes: known before the detector is called.

The rates are seconds of one core, as ``benchmarks/costs.py`` measured them; other machines differ, by a factor of two
or three. The detector's own time is never among them: it is tried on a few images, or assumed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_cropdet.errors import SpecError

__all__ = ["MEASURED", "RATES", "SPREAD", "Assumptions", "Cost", "Rates", "duration"]

SPREAD = (0.14, 0.47)  # standard deviation of a drop times sqrt(images): the range seen in simulation and real data
DISTANCE = 0.02
CHANCE = 0.8  # of a verdict at the assumed distance
_BOUND, _CHANCE = 1.645, 0.842  # normal quantiles of a one-sided 95 % bound, and of the chance
EXPLAINING = 4  # calls per crop that explain a drop: the renderings of the chain, and the two beside it


@dataclass(frozen=True)
class Rates:
    """Seconds of one core: ``read`` per image file, ``decode`` per megapixel, ``prepare`` and ``keep`` per picture,
    ``score`` per crop, ``resample`` per crop and 1,000 resamples.
    """

    read: float
    decode: float
    prepare: float
    keep: float
    score: float
    resample: float


MEASURED = "2026-11-28, benchmarks/costs.py, one core (x86_64), NumPy 2.4, OpenCV 5.0, without numba"
RATES = Rates(
    read=0.00017,
    decode=0.0049,
    prepare=0.00021,
    keep=9.5e-06,
    score=0.00015,
    resample=0.00011,
)


@dataclass(frozen=True)
class Assumptions:
    """What ``--cropdet-assume`` says of a run that is not there: ``None`` where it says nothing.

    ``images``: how many source images there are, with as many crops each as the data set at hand has. ``ms``: what the
    detector takes for each picture. ``calls``: how many run at once. ``distance``: from the limit to the true drop.
    ``price``: of a machine's hour.
    """

    images: int | None = None
    ms: float | None = None
    calls: int | None = None
    distance: float = DISTANCE
    price: float | None = None

    @classmethod
    def of(cls, values: Sequence[str]) -> "Assumptions":
        """Return what ``KEY=VALUE`` texts say; ``SpecError`` for a key or a number that cannot be.

        >>> Assumptions.of(["ms=30", "images=10_000_000"])
        Assumptions(images=10000000, ms=30.0, calls=None, distance=0.02, price=None)
        """
        found: dict[str, float] = {}
        for value in values:
            key, equals, text = value.partition("=")
            if not equals or key not in _KEYS:
                raise SpecError(f"cropdet_assume {value!r}: write KEY=NUMBER; the keys are {', '.join(_KEYS)}")
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            whole = key in ("images", "calls")
            if not (0 < number < math.inf) or (whole and number % 1):
                raise SpecError(f"cropdet_assume {value!r}: {key} must be a {'whole ' * whole}number above 0")
            if key == "distance" and number > 1:
                raise SpecError(f"cropdet_assume {value!r}: a distance is mAP, 0 to 1 (percent? write 0.02)")
            found[key] = int(number) if whole else number
        return cls(**found)  # type: ignore[arg-type]


_KEYS = ("images", "ms", "calls", "distance", "price")


@dataclass(frozen=True)
class Cost:
    """What a run of so many images and crops costs; ``crops`` are those of all images together.

    ``megapixels`` of an image, on average. ``call_seconds``: the detector's time for each picture, ``None`` if unknown;
    ``calls_at_once``: how many pictures it takes at once, in calls on cores of their own. ``distance``: from the limit
    to the true drop. ``price``: of a machine's hour.

    >>> Cost(images=1000, crops=2000, call_seconds=0.01).parts()["detector"]
    30.0
    """

    images: int
    crops: int
    megapixels: float = 0.3
    call_seconds: float | None = None
    calls_at_once: int = 1
    replicates: int = 1000
    distance: float = DISTANCE
    price: float | None = None
    least_images: int = 50
    explains: bool = False

    def parts(self) -> dict[str, float]:
        """Return the seconds of each part by the clock, the detector's only where it is known."""
        pictures, rates = self.images + self.crops, RATES
        decoding = self.images * (rates.read + rates.decode * self.megapixels)
        decoding += pictures * (rates.prepare + rates.keep)
        found = {
            "decoding": decoding / self.calls_at_once,
            "scoring": self.crops * rates.score,
            "resampling": self.crops * rates.resample * self.replicates / 1000,
        }
        if self.call_seconds is None:
            return found
        return {"detector": pictures * self.call_seconds / self.calls_at_once, **found}

    @property
    def seconds(self) -> float:
        """The sum of the parts."""
        return sum(self.parts().values())

    def images_for(self, half_width: float, spread: float) -> int:
        """Return how many images bounds take that lie ``half_width`` from the drop.

        ``spread``: standard deviation of the drop times the root of the number of images.

        >>> Cost(images=1000, crops=2000).images_for(0.0033, spread=0.2)
        9940
        """
        return math.ceil((_BOUND * spread / half_width) ** 2)

    def images_to_decide(self, spread: float) -> int:
        """Return how many images give a verdict at the distance in four of five runs."""
        decided = math.ceil(((_BOUND + _CHANCE) * spread / self.distance) ** 2)
        return max(self.least_images, decided)

    def of_images(self, images: int) -> "Cost":
        """Return the cost of the same run on so many of the images, or on more."""
        crops = round(self.crops * images / max(1, self.images))
        return replace(self, images=images, crops=crops)

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        total, parts = self.seconds, self.parts()
        shares = ", ".join(
            f"{name} {duration(each)} ({each / total:.0%})" if total else f"{name} {duration(each)}"
            for name, each in parts.items()
        )
        how = f"; {self.calls_at_once} calls at once" if self.calls_at_once > 1 else ""
        money = "" if self.price is None else f", {self.price * total / 3600:,.2f} at {self.price:g} per hour"
        if self.call_seconds is None:
            found = [
                f"time beside the detector, about {duration(total)}: {shares}; --cropdet-assume=ms=30 adds a "
                "detector of 30 ms per call"
            ]
        else:
            found = [f"time, about {duration(total)}{money}: {shares}{how}"]
        if self.explains and self.call_seconds is not None:
            calls = EXPLAINING * self.crops
            seconds = calls * self.call_seconds / self.calls_at_once
            found.append(
                f"a gate that does not pass also explains its drop: up to {calls:,} more calls, {duration(seconds)}; "
                "--cropdet-explain=off leaves that out"
            )
        return [*found, *self._verdict_lines()]

    def _verdict_lines(self) -> list[str]:
        few, many = (self.images_to_decide(spread) for spread in SPREAD)
        times = [duration(self.of_images(each).seconds) for each in (few, many)]
        beside = " beside the detector" if self.call_seconds is None else ""
        found = [
            f"a drop {self.distance:g} from the limit is decided in {CHANCE:.0%} of runs with {few:,} to {many:,} "
            f"images ({times[0]} to {times[1]}{beside}); there are {self.images:,}"
        ]
        if self.images >= 2 * many:
            found.append(
                f"a sample is enough for that: --cropdet-sample-images={_round_up(many)} "
                f"({duration(self.of_images(_round_up(many)).seconds)}{beside})"
            )
        return found


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    >>> duration(0.4), duration(80), duration(600), duration(20_000), duration(400_000)
    ('0.4 s', '80 s', '10 min', '5.6 h', '4.6 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"


def _round_up(images: int) -> int:
    """Return a round number that is no smaller, of two digits."""
    unit: int = 10 ** max(0, len(str(images)) - 2)
    return -(-images // unit) * unit
