"""A run in a file, match tables included, and back: a zip of one JSON tree and its arrays, without pickle."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib import format as npy

from pytest_cropdet.causes import (
    Causes,
    Chain,
    Explanation,
    Fates,
    Mitigation,
    MitigationTrial,
    ScoredRun,
    Step,
    Trials,
)
from pytest_cropdet.comparison import Against, CategoryChange, MatchRecord
from pytest_cropdet.crops import Plan
from pytest_cropdet.data import Annotations, CategoryMap, Detections, GroundTruth, Sample, read_image
from pytest_cropdet.errors import DataError
from pytest_cropdet.evaluation import (
    Bounded,
    CropIndex,
    Detected,
    Doubt,
    HiddenNumbers,
    Matches,
    Measure,
    Objects,
    OperatingPoint,
    Reading,
    Share,
    Truth,
    Verdict,
)
from pytest_cropdet.files import is_pointer, refuse_special, write_whole
from pytest_cropdet.gate.caps import Caps
from pytest_cropdet.gate.controls import Cap
from pytest_cropdet.gate.evaluator_cap import EvaluatorCap
from pytest_cropdet.gate.facts import RunFacts
from pytest_cropdet.gate.measurements import CategoryResult, CropLoss, Look
from pytest_cropdet.gate.repeatability import Repeat
from pytest_cropdet.gate.saved_values import TreeReader, TreeWriter
from pytest_cropdet.gate.weakness import Answers
from pytest_cropdet.geometry import Crop, Image, Mask
from pytest_cropdet.inference import Spent, StoredDetections
from pytest_cropdet.settings import RunSettings

__all__ = ["SAVED_CLASSES", "read_run", "write_run"]

R = TypeVar("R", bound=RunFacts)

Special = Callable[[Any], Mapping[str, Any]]
RUN_SCHEMA = 1
SAVED_RUN = "a run of pytest-cropdet"
TREE, ARRAYS = "run.json", "arrays/"
SAVED_CLASSES: tuple[type, ...] = (
    *(Against, Annotations, Answers, Bounded, Cap, Caps, CategoryChange, CategoryMap, CategoryResult, Causes, Chain),
    *(Crop, CropIndex, CropLoss, Detected, Detections, Doubt, EvaluatorCap, Explanation, Fates, GroundTruth),
    *(HiddenNumbers, Look, Mask, MatchRecord, Matches, Measure, Mitigation, MitigationTrial, Objects, OperatingPoint),
    *(Plan, Reading, Repeat, RunSettings, Sample, ScoredRun, Share, Spent, Step, Trials, Truth, Verdict),
)
METHODS = (("Answers", "explain"),)
NOT_SOUGHT = "its causes were not known when it was saved; read run.causes before run.save(), or use explain='always'"


def write_run(run: RunFacts, path: Path) -> None:
    """Write a run to ``path``, whole or not at all."""
    special: Mapping[type, Special] = {Explanation: _explained, Sample: _sample, Verdict: _verdict}
    writer = TreeWriter(SAVED_CLASSES, ("note", "story"), special, (StoredDetections,))
    tree = {each.name: writer.write(getattr(run, each.name)) for each in fields(run)}
    head = {"what": SAVED_RUN, "schema": RUN_SCHEMA, "run": tree}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr(TREE, json.dumps(head, allow_nan=False))
        for kind, array in writer.arrays().items():
            with file.open(f"{ARRAYS}{kind}.npy", "w", force_zip64=True) as stream:
                npy.write_array(stream, array, allow_pickle=False)
    write_whole(path, content.getvalue())


def _explained(explanation: Explanation) -> Mapping[str, Any]:
    return {name: getattr(explanation, name) for name in ("causes", "trials", "error")}


def _verdict(verdict: Verdict) -> Mapping[str, Any]:
    return {**{each.name: getattr(verdict, each.name) for each in fields(verdict)}, "was_used": verdict.was_used}


def _sample(sample: Sample) -> Mapping[str, Any]:
    names = ("id", "width", "height", "truth", "path", "checked")
    return {**{name: getattr(sample, name) for name in names}, "content": sample.content_hash()}


def read_run(kind: type[R], path: Path) -> R:
    """Return the run of ``kind`` that :func:`write_run` wrote; ``DataError`` names what is wrong with the file.

    Samples read their pixels from the same files as before. The detector is not saved, so causes that were not known
    stay unknown.
    """
    refuse_special(path, "the saved run")
    make: dict[str, Callable[..., Any]] = {
        "Explanation": _explanation,
        "Sample": partial(_read_sample, path),
        "Verdict": _read_verdict,
    }
    try:
        with zipfile.ZipFile(path) as file:
            head = json.loads(file.read(TREE))
            if head.get("what") != SAVED_RUN or not isinstance(head.get("schema"), int):
                raise ValueError("its head is not that of a run")
            if head["schema"] > RUN_SCHEMA:
                raise DataError(f"{path} was saved by a newer pytest-cropdet; install the version that saved it")
            names = [name for name in file.namelist() if name.startswith(ARRAYS)]
            arrays = {name.removeprefix(ARRAYS).removesuffix(".npy"): _array(file, name) for name in names}
        reader = TreeReader(arrays, SAVED_CLASSES, make, METHODS)
        found = kind(**{name: reader.read(each) for name, each in head["run"].items()})
        found.verdicts[:] = [_told(found, each) for each in found.verdicts]
    except DataError:
        raise
    except Exception as error:  # of the zip, of the tree, or of whatever reads arrays: the file is at fault
        raise DataError(_damaged(path, error)) from error
    return found


def _damaged(path: Path, error: Exception) -> str:
    with path.open("rb") as stream:
        pointer = is_pointer(stream.read(1024))
    why = "a Git LFS pointer; run `git lfs pull`" if pointer else f"{type(error).__name__}: {error}"
    return f"{path} is no run that Run.save wrote, or it is damaged or of another version ({why}); save the run again"


def _array(file: zipfile.ZipFile, name: str) -> Any:
    with file.open(name) as stream:
        found = npy.read_array(stream, allow_pickle=False)
        if stream.read(1):  # the end, where the checksum is compared
            raise ValueError(f"{name} is longer than its array")
    found.flags.writeable = False
    return np.asarray(found)


def _told(run: RunFacts, verdict: Verdict) -> Verdict:
    explain: Any = getattr(run, "explain", None)
    measure = verdict.measure.with_story(explain, run.verdicts.append)
    known = {each.name: getattr(verdict, each.name) for each in fields(verdict)}
    return _read_verdict(verdict.was_used, **{**known, "measure": measure})


def _read_verdict(was_used: bool, **known: Any) -> Verdict:
    found = Verdict(**known)
    if was_used:
        found.use()
    return found


def _explanation(causes: Causes | None, trials: Trials | None, error: str | None) -> Explanation:
    made = Explanation()
    made.causes, made.trials = causes, trials
    made.error = error or (NOT_SOUGHT if causes is None else None)
    return made


def _read_sample(file: Path, path: Path | None, **known: Any) -> Sample:
    if path is None:
        return Sample(read=partial(_no_picture, file, known["id"]), path=None, **known)
    return Sample(read=partial(read_image, path, (known["width"], known["height"])), path=path, **known)


def _no_picture(file: Path, name: str) -> Image:
    raise DataError(f"the picture of {name} was no file of its own, so it is not in the saved run {file}")
