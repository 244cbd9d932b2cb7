"""The search as a test runs it: what the options say, how far it is, the picture of what was found, and what to run."""

import re
import shlex
from dataclasses import replace
from typing import Any

import pytest

from pytest_cropdet.cache import Cache
from pytest_cropdet.configured import folder_of, setting
from pytest_cropdet.database import make_folder
from pytest_cropdet.detectors.handle import DetectorHandle
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.evidence import Evidence
from pytest_cropdet.losing import LossRules
from pytest_cropdet.protocols import Dataset
from pytest_cropdet.report.progress import LONG, Progress
from pytest_cropdet.runner import Advanced
from pytest_cropdet.search import SHRINK_WINDOWS, Losses, Search, search
from pytest_cropdet.worst import WorstCrop

__all__ = ["evidence_for", "losses_for", "search_for"]

SUITE = "pytest_cropdet.suite"
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
    before, told, found = detector.seconds, False, Search(None, 0, 0, 0)
    with Progress.on(config) as progress:
        for found in search(detector, dataset, cache=cache, **asked):
            seconds = detector.seconds - before
            if found.calls and not told:
                told = True
                advice = _advice(seconds / found.calls, most, asked["examples"])
                if advice:
                    progress.note(advice)
            progress.show(Advanced(found.windows, max(most, found.windows), seconds))
    if found.worst is None or not found.worst.lost:
        return found
    again = _command(config, item)
    try:
        return replace(found, picture=_picture(config, found.worst), again=again)
    except (CropdetError, OSError) as error:
        return replace(found, no_picture=str(error), again=again)


def losses_for(config: pytest.Config, detector: DetectorHandle, dataset: Dataset, cache: Cache | None) -> Losses:
    """Return what judges single windows by the session's options."""
    return Losses(detector, dataset, _rules(config, None), cache)


def evidence_for(config: pytest.Config, detector: DetectorHandle, dataset: Dataset, cache: Cache | None) -> Evidence:
    """Return what the invariants are judged by, within the session's budget."""
    examples, seed = setting(config, "examples"), setting(config, "seed")
    names = dataset.categories if getattr(dataset, "has_truth", True) else None
    rules = _rules(config, None)
    return Evidence(detector, list(dataset), examples=examples, seed=seed, cache=cache, rules=rules, names=names)


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
        f"spares {SHRINK_WINDOWS} pictures; what was shown is kept, so that a second run is quick"
    )


def _picture(config: pytest.Config, worst: WorstCrop) -> str:
    """Draw what was found under the plugin's folder; return where it lies, as seen from where pytest runs."""
    folder = folder_of(config)
    window = worst.crop
    name = re.sub(r"[^\w.-]+", "_", f"{worst.sample}_{window.left}_{window.top}_{window.width}_{window.height}.png")
    path = folder / "search" / name
    figure = worst.plot()
    make_folder(folder)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=90)
    here = config.invocation_params.dir
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _command(config: pytest.Config, item: pytest.Item | None) -> str:
    """Return the command that searches once more with the same options; what was detected is kept, so it is quick."""
    words = list(map(str, config.invocation_params.args))
    said, takes_next = [], False
    for word in words:
        if takes_next and not word.startswith("-"):
            said.append(word)
        takes_next = False
        if word.startswith("--cropdet-") or word in WITH_VALUE:
            said.append(word)
            takes_next = "=" not in word
        elif word.startswith(tuple(f"{option}=" for option in WITH_VALUE)) or word[:2] in ("-c", "-p", "-o"):
            said.append(word)
    name = "" if item is None else item.name
    module = "" if item is None else getattr(getattr(item, "function", None), "__module__", "")
    if module.startswith(SUITE):
        return shlex.join(["pytest", "--pyargs", f"{module}::{name}", *said])
    return shlex.join(["pytest", "" if item is None else item.nodeid, *said])
