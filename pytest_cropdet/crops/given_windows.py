"""Windows in whatever form a caller has them: a spec, families, a strategy, a function, a plan, or the windows."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_cropdet.crops.drawn_plan import WINDOW_NAME, Drawn, draw_plan
from pytest_cropdet.crops.plan import Family, Plan
from pytest_cropdet.crops.window_counts import refuse_many
from pytest_cropdet.data import Dataset, Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Crop

__all__ = ["plan_of", "read_crops"]

CROP_FORMS = (
    "a spec such as 'random:keep=0.5', a Family or several of these, a Hypothesis strategy of Crop, a function of a "
    "sample that returns a strategy or a list of Crop, a Plan, or a mapping of sample ids to lists of Crop"
)


def read_crops(
    crops: Any,
    dataset: Dataset,
    name: str | None = None,
    per_image: int | None = None,
    default_name: str | None = None,
) -> str | Drawn | Plan:
    """Return what a caller gave as crops: a spec, windows that a strategy draws, or a plan of given windows.

    ``dataset``: whose samples windows are of. ``name``: of drawn or given windows in reports; ``default_name``: that of
    drawn ones where none is needed to keep them. ``per_image``: windows that a strategy draws for each image.
    """
    if isinstance(crops, Plan):
        _refuse(crops.spec, name=name, per_image=per_image)
        return replace(crops, windows=_checked(crops.windows, dataset, "the plan"), given=True)
    if isinstance(crops, Mapping):
        _refuse("a mapping of windows", per_image=per_image)
        return _given(_checked(crops, dataset, "crops"), name)
    if isinstance(crops, str | Drawn | Family) or _is_list(crops):
        found = crops if isinstance(crops, Drawn) else _spec(crops)
        _refuse(found if isinstance(found, str) else found.spec, name=name, per_image=per_image)
        return found
    if callable(crops) and not hasattr(crops, "example") and per_image is None:  # with it, it returns a strategy
        samples = list(dataset)
        first = crops(samples[0]) if samples else None
        if _is_list(first):
            rest = {sample.id: _returned(crops, sample) for sample in samples[1:]}
            return _given(_checked({samples[0].id: first, **rest}, dataset, "the function"), name)
    elif not callable(crops) and not hasattr(crops, "example"):
        raise SpecError(f"crops={crops!r}: a run takes {CROP_FORMS}")
    return Drawn(crops, name=name or default_name or "", per_image=4 if per_image is None else per_image)


def plan_of(
    crops: str | Drawn | Plan,
    samples: Sequence[Sample],
    seed: int,
    max_crops: int,
    folder: Path | None = None,
    file: Path | None = None,
) -> Plan | None:
    """Return the plan of ``samples`` for what :func:`read_crops` returned; ``None`` where it follows from a spec.

    ``folder``: where windows of a strategy are kept; ``file``: where they are read from instead.
    """
    if isinstance(crops, str):
        return None
    if isinstance(crops, Drawn):
        refuse_many(crops.spec, crops.per_image * len(samples), len(samples), max_crops)
        return draw_plan(crops, samples, seed, folder, file)
    windows = {sample.id: tuple(crops.windows.get(sample.id, ())) for sample in samples}
    refuse_many(crops.spec, sum(map(len, windows.values())), len(samples), max_crops)
    return replace(crops, windows=windows)


def _spec(crops: Any) -> str:
    """Return a spec, a family, or several of them as one spec."""
    several = crops if _is_list(crops) else [crops]
    if not several or not all(isinstance(each, str | Family) for each in several):
        hint = ""
        if any(isinstance(each, Crop) for each in several):
            hint = "; the same windows for each image: crops=lambda sample: [Crop(...)]"
        raise SpecError(f"crops={crops!r}: a run takes {CROP_FORMS}{hint}")
    return "+".join(each if isinstance(each, str) else each.spec for each in several)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _refuse(whose: str, **given: Any) -> None:
    """Refuse arguments that say nothing about windows of this kind."""
    wrong = [f"{name}=" for name, value in given.items() if value is not None]
    if wrong and whose.startswith("a "):
        raise SpecError(f"{wrong[0]} is of a strategy; {whose} already has its windows")
    if wrong:
        raise SpecError(f"name= and per_image= are of a strategy; {whose!r} says its own")


def _returned(function: Callable[[Sample], Any], sample: Sample) -> Any:
    found = function(sample)
    if not _is_list(found):
        raise SpecError(f"the function of crops= returned {found!r} for {sample.id}; return a list of Crop")
    return found


def _checked(windows: Mapping[Any, Any], dataset: Dataset, whose: str) -> dict[str, tuple[Crop, ...]]:
    """Return windows by sample id; ``SpecError`` names the first that is of no sample, or no window of its image."""
    sizes = {sample.id: (sample.width, sample.height) for sample in dataset}
    found = {}
    for name, crops in windows.items():
        if name not in sizes:
            example = next(iter(sizes), None)
            raise SpecError(
                f"{whose} has windows of {name!r}, and the data set {dataset.name} has no such image; keys are sample "
                f"ids such as {example!r}"
            )
        if not _is_list(crops):
            raise SpecError(f"{whose} has {crops!r} for {name}; write a list of Crop, such as [Crop(0, 0, 64, 64)]")
        width, height = sizes[name]
        for crop in crops:
            if not isinstance(crop, Crop):
                raise SpecError(f"{whose} has {crop!r} for {name}; write Crop(left, top, width, height)")
            if not crop.fits(width, height):
                raise SpecError(f"{whose}: {crop!r} is not inside {name}, {width} x {height} px; make it smaller")
        found[name] = tuple(crops)
    return found


def _given(windows: dict[str, tuple[Crop, ...]], name: str | None) -> Plan:
    """Return a plan of windows that no spec makes; its spec has their hash, so other windows have another one."""
    if name is not None and not WINDOW_NAME.fullmatch(name):
        raise SpecError(f"name={name!r}: use letters, digits, _, - and .")
    digest = hashlib.sha256()
    for sample, crops in sorted(windows.items()):
        digest.update(f"{sample}\0".encode("utf-8", "backslashreplace"))
        digest.update("".join(f"{each.left} {each.top} {each.width} {each.height}\0" for each in crops).encode())
    called = "" if name is None else f"name={name},"
    return Plan(f"windows:{called}hash={digest.hexdigest()[:12]}", 0, name or "windows", windows, given=True)
