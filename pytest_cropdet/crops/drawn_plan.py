"""A plan whose windows a Hypothesis strategy draws: once, and then read, so that a mean never changes with a version.

The windows lie in a small JSON file under the plugin's folder, named by the data set, the seed and the strategy's name.
One process draws; others, such as xdist's workers, wait for the file.
"""

import ast
import hashlib
import inspect
import json
import os
import re
import socket
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cropdet.crops.family import draw_number
from pytest_cropdet.crops.plan import Plan
from pytest_cropdet.data import Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.files import make_folder, may_live
from pytest_cropdet.geometry import Crop

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["Drawn", "draw_plan", "plan_name"]

SCHEMA = 1
DRAW_WAIT = 600.0  # seconds for a process of another machine to draw, before this one does it itself
TRIES = 10  # draws for each window that is wanted
WINDOW_NAME = re.compile(r"[\w.-]+")


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
        if not hasattr(self.strategy, "example") and not callable(self.strategy):
            raise SpecError(
                f"{self.strategy!r} draws no windows: a gate takes a spec such as 'random:keep=0.5', a Hypothesis "
                "strategy of Crop, or a function of a sample that returns one"
            )
        if not isinstance(self.name, str) or not WINDOW_NAME.fullmatch(self.name):
            raise SpecError(
                f"windows of a strategy need a name: give name='around', say (letters, digits, _, - and .), "
                f"not {self.name!r}"
            )
        if not isinstance(self.per_image, int) or self.per_image < 1:
            raise SpecError(f"per_image={self.per_image!r}: a whole number of windows an image, 1 or more")

    @property
    def spec(self) -> str:
        """What stands for the spec of windows in reports."""
        return f"drawn:name={self.name},per_image={self.per_image}"

    @property
    def source(self) -> str:
        """What the strategy is, as text: its repr, or the code of the function without comments and layout."""
        if hasattr(self.strategy, "example"):
            return repr(self.strategy)
        try:
            text = textwrap.dedent(inspect.getsource(self.strategy))
        except (OSError, TypeError):
            return str(getattr(self.strategy, "__qualname__", type(self.strategy).__qualname__))
        try:
            return ast.unparse(ast.parse(text))
        except SyntaxError:  # a lambda within a call
            return text.strip()

    def windows(self, sample: Sample, seed: int) -> tuple[Crop, ...]:
        """Return the windows of a sample; another version of Hypothesis may draw others."""
        from hypothesis.errors import HypothesisException
        from hypothesis.strategies import SearchStrategy

        from pytest_cropdet.crops.hypothesis_find import examples_of

        made: Any = self.strategy
        whose = f"the strategy {self.name!r}"
        if not isinstance(made, SearchStrategy):
            made = made(sample)
        if not isinstance(made, SearchStrategy):
            raise SpecError(f"{whose} is a function that returned {made!r} for {sample.id}, not a Hypothesis strategy")
        number = draw_number("drawn", seed, sample.id, self.name)
        try:
            found = examples_of(made, TRIES * (self.per_image + 1), number)
        except HypothesisException as error:
            raise SpecError(f"{whose} draws no window of {sample.id}: {type(error).__name__}: {error}") from error
        for crop in found:
            _check(crop, sample, whose)
        return _some(found, Crop(0, 0, sample.width, sample.height), self.per_image, number, whose, sample.id)


def draw_plan(
    source: Drawn, samples: Sequence[Sample], seed: int, folder: Path | None = None, given: Path | None = None
) -> Plan:
    """Return the plan of ``samples``: from the file ``given``, else from the one kept under ``folder``, else drawn.

    What is drawn is kept under ``folder``, if there is one.
    """
    if given is not None:
        name, _, windows = _read(given, "name another one with --cropdet-plan, or leave it out")
        if name != source.name:
            raise SpecError(f"the plan {given} is of the strategy {name!r}, not of {source.name!r}")
        return _plan(source, samples, seed, windows, given)
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
                f"the windows of {source.name!r} cannot be stored in {path.parent} ({error}), and must be, or the next "
                "run is another one; --cropdet-dir=DIR names another folder"
            ) from error
    mend = "remove it, and its windows are drawn anew"
    _, strategy, windows = _read(path, mend)
    if strategy != source.source:
        raise SpecError(
            f"the windows of {source.name!r} in {path} were drawn by another strategy of that name: give one of them "
            f"another name, or {mend}\n  then: {strategy}\n  now:  {source.source}"
        )
    return _plan(source, samples, seed, windows, path)


def plan_name(path: Path) -> str:
    """Return the name of the strategy that a plan's file is of."""
    return _read(path, "name another one with --cropdet-plan, or leave it out")[0]


def _some(found: Sequence[Crop], whole: Crop, count: int, seed: int, whose: str, sample: str) -> tuple[Crop, ...]:
    """Return ``count`` different windows, drawn; the whole image, which is tried first, only if there is no other.

    What is tried early lies at the simple end of a strategy more often than not, so the first ones are no sample.
    """
    different = [crop for crop in dict.fromkeys(found) if crop != whole] or [*dict.fromkeys(found)]
    if not different:
        raise SpecError(f"{whose} draws no window of {sample}")
    return tuple(sorted(different, key=lambda crop: draw_number("of drawn", seed, *_key(crop)))[:count])


def _key(crop: Crop) -> tuple[int, int, int, int]:
    """Return a window as four whole numbers, as it is kept."""
    return crop.left, crop.top, crop.width, crop.height


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
    """Write the windows, whole or not at all; where another process was first, its file stays."""
    windows = {sample.id: [*map(_key, source.windows(sample, seed))] for sample in samples}
    content = {
        "schema": SCHEMA,
        "name": source.name,
        "strategy": source.source,
        "seed": seed,
        "per_image": source.per_image,
        "windows": windows,
    }
    part = path.with_suffix(f".{socket.gethostname()}.{os.getpid()}.part")
    part.write_text(json.dumps(content), encoding="utf-8")
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError:  # no hard links here
        part.replace(path)
    part.unlink(missing_ok=True)


def _read(path: Path, mend: str) -> tuple[str, str, dict[str, tuple[Crop, ...]]]:
    """Return the name, the strategy and the windows that a plan's file holds."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']!r}, and this version reads {SCHEMA}")
        found = {str(key): tuple(Crop(*map(_whole, row)) for row in rows) for key, rows in content["windows"].items()}
        return str(content["name"]), str(content.get("strategy", "")), found
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpecError(f"the plan {path} cannot be read ({error}); {mend}") from error


def _whole(number: Any) -> int:
    if not isinstance(number, int):
        raise ValueError(f"{number!r} is no whole number of pixels")
    return number


def _plan(
    source: Drawn, samples: Sequence[Sample], seed: int, windows: dict[str, tuple[Crop, ...]], path: Path | None
) -> Plan:
    missing = [sample.id for sample in samples if not windows.get(sample.id)]
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
    """Say whether this process is to write ``path``; if another one is about to, wait for it as long as it lives."""
    lock = path.with_suffix(".lock")
    until = time.monotonic() + DRAW_WAIT
    mine = False
    while not mine and not path.exists():
        try:
            with lock.open("x", encoding="utf-8") as stream:
                stream.write(f"{socket.gethostname()} {os.getpid()}")
            mine = True
        except FileExistsError:
            if not may_live(*_holder(lock)):
                lock.unlink(missing_ok=True)
            elif time.monotonic() > until and not _is_here(lock):
                break
            time.sleep(0.05)
    try:
        yield not path.exists()
    finally:
        if mine:
            lock.unlink(missing_ok=True)


def _holder(lock: Path) -> tuple[str, int]:
    """Return the machine and the process that hold a lock; ``("", 0)`` while it is being written."""
    try:
        host, _, number = lock.read_text(encoding="utf-8").rpartition(" ")
        return host, int(number)
    except (OSError, ValueError):
        return "", 0


def _is_here(lock: Path) -> bool:
    return os.name == "posix" and _holder(lock)[0] == socket.gethostname()
