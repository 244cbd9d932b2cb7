"""What a run is asked to do: one frozen value, checked when it is made, equal on every worker.

And which data set the running test has, for strategies that are given none: whoever runs the test answers.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_cropdet.errors import SpecError

__all__ = ["METRICS", "Metric", "RunSettings", "answering", "configured_dataset"]

Metric = Literal["mAP", "AP50", "AP75"]
METRICS: tuple[Metric, ...] = ("mAP", "AP50", "AP75")
FILLS = ("mean", "blur", "gray")
UNDECIDED = ("fail", "pass", "point")


@dataclass(frozen=True)
class RunSettings:
    """The settings of a gate; each is also an option, an ini key and an argument of the marker, as ``cropdet_x``.

    Limits: ``max_drop`` for the mean, ``by_category`` for single categories, ``min_ratio`` for
    AP(crop) / AP(reference), ``min_crop_ap`` for AP(crop); ``None`` sets none. All AP are 0 to 1. ``fill``: what stands
    for taken pixels in the renderings that explain a drop; the steps of the first are reported, others are compared.
    ``max_crops``: the most windows that a gate may have.
    ``try_mitigations``: where a drop is explained, measures at inference are tried, too. ``max_detections``: how many
    detections of each crop and category AP counts, the strongest first; COCO counts 100.
    """

    crops: str = "random:keep=0.3-0.9,per_image=4"
    seed: int = 0
    sample_images: int | None = None
    max_crops: int = 1_000_000
    min_visibility: float = 0.5
    metric: Metric = "mAP"
    categories: tuple[str, ...] = ()
    max_drop: float | None = None
    by_category: Mapping[str, float] = field(default_factory=dict)
    min_ratio: float | None = None
    min_crop_ap: float | None = None
    undecided: Literal["fail", "pass", "point"] = "fail"
    min_images: int = 50
    min_objects: int = 30
    min_ap: float = 0.05
    cap: Literal["refuse", "accept"] = "refuse"
    score_threshold: float | None = None
    replicates: int = 1000
    level: float = 0.95
    looks: Literal["off", "auto"] = "off"
    verify: bool = False
    explain: Literal["auto", "always", "off"] = "auto"
    fill: tuple[str, ...] = ("mean",)
    both_orders: bool = False
    max_detections: int = 100
    train_data: str | None = None
    try_mitigations: bool = False

    @property
    def states_limits(self) -> bool:
        """Whether any limit was stated beforehand."""
        single = (self.max_drop, self.min_ratio, self.min_crop_ap)
        return bool(self.by_category) or any(limit is not None for limit in single)

    def __post_init__(self) -> None:
        for name in ("max_drop", "min_ratio", "min_crop_ap", "min_visibility", "score_threshold", "min_ap"):
            _between(name, getattr(self, name))
        for category, limit in self.by_category.items():
            _between(f"max_drop {category}=", limit)
        _one_of("metric", self.metric, METRICS)
        _one_of("looks", self.looks, ("off", "auto"))
        _one_of("undecided", self.undecided, UNDECIDED)
        _one_of("cap", self.cap, ("refuse", "accept"))
        _one_of("explain", self.explain, ("auto", "always", "off"))
        object.__setattr__(self, "fill", (self.fill,) if isinstance(self.fill, str) else tuple(self.fill))
        for fill in self.fill:
            _one_of("fill", fill, FILLS)
        if not self.fill or len(set(self.fill)) < len(self.fill):
            raise SpecError(f"cropdet_fill needs one or more of {', '.join(FILLS)}, each once")
        for name, low in (
            ("sample_images", 1),
            ("max_crops", 1),
            ("min_images", 1),
            ("min_objects", 1),
            ("replicates", 100),
            ("max_detections", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < low:
                raise SpecError(f"cropdet_{name} must be {low} or more, not {value}")


def _between(name: str, value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        hint = f" (percent? write {value / 100:g})" if 1 < value <= 100 else ""
        raise SpecError(f"cropdet_{name} must lie between 0 and 1, not {value:g}{hint}")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SpecError(f"cropdet_{name} must be one of {', '.join(allowed)}, not {value!r}")


_resolvers: list[Callable[[], Any]] = []


@contextmanager
def answering(resolver: Callable[[], Any]) -> Iterator[None]:
    """Let ``resolver`` say which data set is configured while the context lasts; the innermost one is asked."""
    _resolvers.append(resolver)
    try:
        yield
    finally:
        _resolvers.remove(resolver)


def configured_dataset() -> Any:
    """Return the data set of the running test; ``SpecError`` says what to configure where there is none."""
    if not _resolvers:
        raise SpecError(
            "crops_of() without a data set takes the configured one, which only a test that pytest runs has: "
            "write crops_of(dataset), for example with load_dataset('instances.json')"
        )
    return _resolvers[-1]()
