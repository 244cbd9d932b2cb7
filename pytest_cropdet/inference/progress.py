"""What a loop that runs the detector reports while it works: its start, each batch, the seconds left."""

from dataclasses import dataclass, field

__all__ = ["Advanced", "Asked", "Explaining", "Spent", "Started", "Trying", "estimate_seconds"]


@dataclass(frozen=True, slots=True)
class Explaining:
    """Renderings are about to be sent, to say why a gate did not pass: so many crops, images to send."""

    crops: int
    calls: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch of renderings is done: images sent so far, of how many, and the seconds the detector took."""

    done: int
    calls: int
    model_seconds: float


@dataclass(slots=True)
class Spent:
    """What a run cost: images sent to the detector, its seconds, the seconds of everything, and calls spared."""

    model_calls: int
    model_seconds: float
    total_seconds: float = 0.0
    spared: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """A run is about to call the detector: this many source images, crops and images to send.

    ``paired_by``: how categories are paired, ``name`` or ``id``, where that is known.
    """

    images: int
    crops: int
    calls: int
    paired_by: str | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Advanced:
    """A batch is done: images sent so far, of how many, and the seconds the detector took."""

    done: int
    calls: int
    model_seconds: float


def estimate_seconds(event: Advanced | Asked) -> float:
    """Return how many seconds the detector still needs, from what it has needed so far."""
    return event.model_seconds / max(1, event.done) * (event.calls - event.done)


@dataclass(frozen=True, slots=True)
class Trying:
    """Measures at inference are about to be tried on half of the crops: so many crops, images to send."""

    crops: int
    calls: int
