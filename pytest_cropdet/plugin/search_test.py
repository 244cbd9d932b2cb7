"""The search as a test runs it: what the options say, how far it is, the picture of what was found, and what to run."""

import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pytest_cropdet.data import Dataset, with_names
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.inference import Advanced, Cache
from pytest_cropdet.invariants import is_from_file
from pytest_cropdet.invariants.observations import Evidence
from pytest_cropdet.plugin.configuration import setting
from pytest_cropdet.plugin.options import OPTIONS
from pytest_cropdet.plugin.picture_files import picture_path, seen_from_start
from pytest_cropdet.plugin.progress import LONG, Progress
from pytest_cropdet.search import LossRules, WorstCrop
from pytest_cropdet.search.dataset_search import SHRINK_WINDOWS, Losses, Search, search

__all__ = ["Judges", "search_for"]

CONVENTION_PICTURES = 160  # ten other ways to read a detector's file, sixteen images each; a function takes none
OTHER_PICTURES = 40  # beside the windows: moved, padded, empty, in batches
SUITE_IDS = "pytest_cropdet/suite/"  # with which the node ids of the suite begin, run by --pyargs
WITH_VALUE = ("-c", "-p", "-o", "--config-file", "--override-ini", "--rootdir", "--confcutdir")  # of pytest's own


def search_for(
    config: pytest.Config,
    item: pytest.Item | None,
    detector: DetectorHandle,
    dataset: Dataset,
    cache: Cache | None,
    changes: dict[str, Any],
) -> Search:
    """Return what the search of a data set came to, with its picture drawn and the command that repeats it."""
    asked: dict[str, Any] = {
        "rules": _rules(config, item),
        "examples": setting(config, "examples", item),
        "shrink": not setting(config, "no_shrink", item),
        "seed": setting(config, "seed", item),
        **changes,
    }
    most = asked["examples"] + (SHRINK_WINDOWS if asked["shrink"] else 0) + 1
    dataset = named_dataset(config, item, dataset)
    before, told, found = detector.seconds, False, Search(None, 0, 0, 0)
    with Progress.on(config) as progress:
        for found in search(detector, dataset, cache=cache, **asked):
            seconds = detector.seconds - before
            if found.calls and not told:
                told = True
                advice = _advice(seconds / found.calls, most, asked["examples"])
                if advice:
                    progress.note(advice)
            progress.show(Advanced(found.windows, max(most, found.windows), seconds, "search"))
    if found.worst is None or not found.worst.lost:
        return found
    again = _command(config, item)
    try:
        return replace(found, picture=_picture(config, item, found.worst), again=again)
    except (CropdetError, OSError) as error:
        return replace(found, no_picture=str(error), again=again)


@dataclass
class Judges:
    """What judges single windows and invariants, each made once for the options of the tests that ask."""

    config: pytest.Config
    detector: DetectorHandle
    dataset: Dataset
    cache: Cache | None
    _losses: dict[tuple[Any, ...], Losses] = field(default_factory=dict)
    _evidence: dict[tuple[Any, ...], Evidence] = field(default_factory=dict)

    def losses(self, item: pytest.Item | None) -> Losses:
        """Return what judges single windows by a test's options."""
        rules, dataset = _rules(self.config, item), named_dataset(self.config, item, self.dataset)
        asked = (rules, *_names(self.config, item))
        if asked not in self._losses:
            self._losses[asked] = Losses(self.detector, dataset, rules, self.cache)
        return self._losses[asked]

    def evidence(self, item: pytest.Item | None) -> Evidence:
        """Return what the invariants are judged by, within a test's budget."""
        examples, seed = setting(self.config, "examples", item), setting(self.config, "seed", item)
        asked = (examples, seed, _rules(self.config, item), *_names(self.config, item))
        if asked not in self._evidence:
            dataset = named_dataset(self.config, item, self.dataset)
            names = dataset.categories if getattr(dataset, "has_truth", True) else None
            self._evidence[asked] = Evidence(
                self.detector,
                list(dataset),
                examples=examples,
                seed=seed,
                cache=self.cache,
                rules=asked[2],
                names=names,
            )
            self._tell_how_long(self._evidence[asked], examples)
        return self._evidence[asked]

    def _tell_how_long(self, evidence: Evidence, examples: int) -> None:
        """Say of a slow detector how long the invariants take, after the first picture, which they need anyway."""
        before = self.detector.seconds
        with suppress(Exception), Progress.on(self.config) as progress:  # the invariants say what fails
            windows = evidence.observations[0].windows
            windows()
            advice = _advice_on_invariants(
                (self.detector.seconds - before) / max(windows.calls, 1),
                examples,
                CONVENTION_PICTURES if is_from_file(self.detector) else 0,
            )
            if advice:
                progress.note(advice)


def named_dataset(config: pytest.Config, item: pytest.Item | None, dataset: Dataset) -> Dataset:
    """Return a data set with the aliases and groups of a test's options."""
    return with_names(dataset, *_names(config, item))


def _names(config: pytest.Config, item: pytest.Item | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    alias, group = (tuple(map(str, setting(config, name, item))) for name in ("alias", "group"))
    return alias, group


def _rules(config: pytest.Config, item: pytest.Item | None) -> LossRules:
    score = setting(config, "score_threshold", item)
    return LossRules() if score is None else LossRules(score=score, margin=min(LossRules().margin, 1 - score))


def _advice(each: float, most: int, examples: int) -> str | None:
    """Return what to say of a detector that takes ``each`` seconds a picture, ``None`` where it is quick enough."""
    if each * most <= LONG:
        return None
    fewer = max(5, examples // 5)
    return (
        f"the search shows the detector up to {most} pictures at {each:.2f} s each: {each * most:.0f} s if nothing is "
        f"lost; --cropdet-examples={fewer} takes {each * (most - examples + fewer):.0f} s at most, --cropdet-no-shrink "
        f"spares {SHRINK_WINDOWS} images; detections are stored, so that a second run is quick"
    )


def _advice_on_invariants(each: float, examples: int, conventions: int) -> str | None:
    """Return what to say of a detector that takes ``each`` seconds a picture, ``None`` where it is quick enough.

    ``conventions``: pictures that D15 takes.
    """
    others = OTHER_PICTURES + conventions
    if each * (examples + others) <= LONG:
        return None
    fewer, total = max(5, examples // 5), examples + others
    spares = f", -k 'not D15' spares {conventions} pictures" if conventions else ""
    return (
        f"the invariants show the detector about {total} pictures at {each:.2f} s each: {each * total:.0f} s; "
        f"--cropdet-examples={fewer} takes {each * (fewer + others):.0f} s{spares}; "
        "detections are stored, so that a second run is quicker"
    )


def _picture(config: pytest.Config, item: pytest.Item | None, worst: WorstCrop) -> str:
    """Draw what was found under the plugin's folder; return where it lies, as seen from where pytest runs."""
    window = worst.crop
    name = f"{worst.sample}_{window.left}_{window.top}_{window.width}_{window.height}.png"
    figure = worst.plot()
    path = picture_path(config, item, "search", name, worst.sample)
    figure.savefig(path, dpi=90)
    return seen_from_start(config, path)


def _command(config: pytest.Config, item: pytest.Item | None) -> str:
    """Return the command that searches once more with the same options; what was detected is kept, so it is quick."""
    words = list(map(str, config.invocation_params.args))
    said: list[str] = []
    takes_next: Callable[[str], bool] = _nothing
    for word in words:
        if takes_next(word):
            said.append(word)
        takes_next = _nothing
        if word.startswith("--cropdet-") or word in WITH_VALUE:
            said.append(word)
            takes_next = _takes(word)
        elif word.startswith(tuple(f"{option}=" for option in WITH_VALUE)) or word[:2] in ("-c", "-p", "-o"):
            said.append(word)
    nodeid = "" if item is None else item.nodeid
    file, _, name = nodeid.partition("::")
    if file.startswith(SUITE_IDS):
        module = file.removesuffix(".py").replace("/", ".")
        return shlex.join(["pytest", "--pyargs", f"{module}::{name}", *said])
    return shlex.join(["pytest", *([nodeid] if nodeid else []), *said])


def _takes(word: str) -> Callable[[str], bool]:
    """Return which next word is the value of an option that stands on the command line as ``word``."""
    if "=" in word:
        return _nothing
    known = {each.flag: each for each in OPTIONS}.get(word)
    if known is None or (known.kind != "flag" and known.alone is None):
        return lambda following: not following.startswith("-")
    return lambda following: following in known.choices


def _nothing(following: str) -> bool:
    return False
