"""A plan whose windows a Hypothesis strategy draws: once, and then read, so that a mean never changes with a version.

The windows lie in a small JSON file under the plugin's folder, named by the data set, the seed and the strategy's name.
One process draws; others, such as xdist's workers, wait for the file.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cropdet.crops import Crop
from pytest_cropdet.database import make_folder
from pytest_cropdet.errors import SpecError
from pytest_cropdet.families import draw
from pytest_cropdet.plan import Plan
from pytest_cropdet.samples import Sample

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["Drawn", "draw_plan"]

SCHEMA = 1
WAIT = 60.0  # seconds for another process to draw, before this one does it itself
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Drawn:
    """Windows that a strategy draws, for a gate: ``cropdet.run(Drawn(strategy, name="people"))``.

    ``strategy``: draws :class:`~pytest_cropdet.Crop`, or is a function of a sample that returns such a strategy.
    ``name``: what the windows are kept under; another strategy needs another one. ``per_image``: windows an image.
    """

    strategy: "SearchStrategy[Crop] | Callable[[Sample], SearchStrategy[Crop]]"
    name: str
    per_image: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise SpecError(f"name={self.name!r}: letters, digits, _, - and . only; the windows are kept under it")
        if self.per_image < 1:
            raise SpecError(f"per_image={self.per_image}: one window an image or more")

    @property
    def spec(self) -> str:
        """What stands for the spec of windows in reports."""
        return f"drawn:name={self.name},per_image={self.per_image}"

    def windows(self, sample: Sample, seed: int) -> tuple[Crop, ...]:
        """Return the windows of a sample; another version of Hypothesis may draw others."""
        from hypothesis.strategies import SearchStrategy

        made: Any = self.strategy
        if not isinstance(made, SearchStrategy):
            made = made(sample)
        found = _examples(made, self.per_image, draw("drawn", seed, sample.id, self.name))
        for crop in found:
            _check(crop, sample, f"the strategy {self.name!r}")
        return tuple(found)


def draw_plan(
    source: Drawn, samples: Sequence[Sample], seed: int, folder: Path | None = None, given: Path | None = None
) -> Plan:
    """Return the plan of ``samples``: from the file ``given``, else from the one kept under ``folder``, else drawn.

    What is drawn is kept under ``folder``, if there is one.
    """
    if given is not None:
        return _plan(source, samples, seed, _read(given, source, seed), given)
    if folder is None:
        return _plan(source, samples, seed, {sample.id: source.windows(sample, seed) for sample in samples}, None)
    path = folder / "plans" / f"{source.name}-{_digest(samples)}-{seed}-{source.per_image}.json"
    if not path.exists():
        try:
            make_folder(folder)
            path.parent.mkdir(exist_ok=True)
            with _alone(path) as first:
                if first:
                    _write(path, source, samples, seed)
        except OSError as error:
            raise SpecError(
                f"the windows of {source.name!r} cannot be kept in {path.parent} ({error}), and must be, or the next "
                "run is another one; --cropdet-dir=DIR names another folder"
            ) from error
    return _plan(source, samples, seed, _read(path, source, seed), path)


def _examples(strategy: Any, count: int, seed_number: int) -> list[Crop]:
    """Return ``count`` different windows; the simplest, which is tried first, only if there is no other."""
    from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

    drawn: dict[Any, None] = {}

    @seed(seed_number)
    @settings(
        max_examples=10 * count + 10,
        phases=[Phase.generate],
        derandomize=False,
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(strategy)
    def look(crop: Any) -> None:
        if len(drawn) <= count:
            drawn[crop] = None

    look()
    different = list(drawn)
    return different[1 : count + 1] or different


def _check(crop: Any, sample: Sample, whose: str) -> None:
    if not isinstance(crop, Crop):
        raise SpecError(f"{whose} drew {crop!r}: a gate takes a strategy of Crop, such as crops(width, height)")
    if not crop.fits(sample.width, sample.height):
        raise SpecError(
            f"{whose}: {crop!r} sticks out of {sample.id}, {sample.width} x {sample.height} px; a function of the "
            "sample makes it fit: lambda sample: crops(sample.width, sample.height)"
        )


def _digest(samples: Sequence[Sample]) -> str:
    """Return what names a data set: its samples with their sizes and objects."""
    digest = hashlib.sha256()
    for sample in samples:
        objects = sample.truth.boxes.tobytes() + sample.truth.categories.tobytes()
        digest.update(f"{sample.id}\0{sample.width}x{sample.height}\0".encode() + objects)
    return digest.hexdigest()[:12]


def _write(path: Path, source: Drawn, samples: Sequence[Sample], seed: int) -> None:
    windows = {
        sample.id: [[crop.left, crop.top, crop.width, crop.height] for crop in source.windows(sample, seed)]
        for sample in samples
    }
    content = {"schema": SCHEMA, "name": source.name, "seed": seed, "per_image": source.per_image, "windows": windows}
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def _read(path: Path, source: Drawn, seed: int) -> dict[str, tuple[Crop, ...]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = {str(key): tuple(Crop(*row) for row in rows) for key, rows in content["windows"].items()}
        name = content["name"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpecError(
            f"the plan {path} cannot be read ({error}); remove it, and its windows are drawn anew"
        ) from error
    if name != source.name:
        raise SpecError(f"the plan {path} is of the strategy {name!r}, not of {source.name!r}")
    return found


def _plan(
    source: Drawn, samples: Sequence[Sample], seed: int, windows: dict[str, tuple[Crop, ...]], path: Path | None
) -> Plan:
    missing = [sample.id for sample in samples if sample.id not in windows]
    if missing:
        raise SpecError(f"the plan {path} has no windows for {len(missing)} images, the first of them {missing[0]}")
    for sample in samples:
        for crop in windows[sample.id]:
            _check(crop, sample, f"the plan {path}")
    return Plan(
        source.spec,
        seed,
        "drawn",
        {sample.id: windows[sample.id] for sample in samples},
        None if path is None else str(path),
    )


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Say whether this process is to write ``path``; if another one is about to, wait for it."""
    lock = path.with_suffix(".lock")
    until = time.monotonic() + WAIT
    mine = False
    while not mine and not path.exists():
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            mine = True
        except FileExistsError:
            if time.monotonic() > until:
                break  # whoever drew is gone
            time.sleep(0.05)
    try:
        yield not path.exists()
    finally:
        if mine or time.monotonic() > until:
            lock.unlink(missing_ok=True)
