"""Which families there are: those that are built in, registered in Python, or named by entry points of packages.

Entry points are read when a name is neither built in nor registered, and only the one of that name is loaded.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from typing import Any, TypeVar, overload

from pytest_cropdet.crops.families import FAMILIES
from pytest_cropdet.crops.family import SEVERITIES, CropFamily, FamilyKind, Parameter, SeededDraws, written
from pytest_cropdet.data import Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Crop
from pytest_cropdet.terms import did_you_mean

__all__ = ["FAMILY_ENTRY_POINTS", "draw_windows", "find_family", "is_own", "known_families", "register_family"]

FAMILY_ENTRY_POINTS = "pytest_cropdet.families"
_NAME = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_TAKEN = ("drawn", "windows")  # what the specs of plans that no family makes begin with
_SPLITS = set("+,:=") | set(" \t\n")

Function = TypeVar("Function", bound=Callable[..., Iterable[Crop]])
_registered: dict[str, CropFamily] = {}


@overload
def register_family(family: CropFamily, /) -> CropFamily: ...
@overload
def register_family(
    family: str,
    /,
    *,
    parameters: Mapping[str, Parameter] | None = None,
    severities: tuple[str, tuple[Any, ...]] | None = None,
    needs_truth: bool = False,
) -> Callable[[Function], Function]: ...
def register_family(
    family: CropFamily | str,
    /,
    *,
    parameters: Mapping[str, Parameter] | None = None,
    severities: tuple[str, tuple[Any, ...]] | None = None,
    needs_truth: bool = False,
) -> Any:
    """Make a family of windows known by its name, in specs, plans, benchmarks and reports.

    Either a :class:`CropFamily`, or a name as a decorator of the function ``windows(sample, draws, **parameters)``;
    what the arguments mean is said there. ``SpecError`` names what is wrong: a name or a parameter that specs cannot
    have, a name that is taken, a default or a severity that does not fit its parameter. The same function or class
    read a second time, as when a module is loaded again, takes the place of the first.

    >>> @register_family("corner", parameters={"size": Parameter(32, int)})
    ... def corner(sample, draws, size):
    ...     return [Crop(0, 0, min(size, sample.width), min(size, sample.height))]
    >>> find_family("corner").parameters["size"].default
    32
    """
    if not isinstance(family, str):
        return _register(family)

    def decorated(function: Function) -> Function:
        _register(FamilyKind(family, function, dict(parameters or {}), severities, needs_truth))
        return function

    return decorated


def known_families() -> dict[str, CropFamily]:
    """Return the families that are built in or registered, by name; those of entry points once they were loaded."""
    return {**FAMILIES, **_registered}


def is_own(name: str) -> bool:
    """Whether a family is not built in."""
    return name not in FAMILIES


def find_family(name: str) -> CropFamily:
    """Return a family; ``SpecError`` names the known ones, or the entry point that cannot be loaded."""
    found = FAMILIES.get(name) or _registered.get(name)
    if found is not None:
        return found
    entries = entry_points(group=FAMILY_ENTRY_POINTS)
    named = {each.value: each for each in entries if each.name == name}
    if len(named) > 1:
        raise SpecError(f"several plug-ins have a family {name!r}: {', '.join(sorted(named))}; uninstall all but one")
    if named:
        return _loaded(next(iter(named.values())))
    known = [*dict.fromkeys([*known_families(), *sorted(each.name for each in entries)])]
    raise SpecError(f"unknown family {name!r}; known are {', '.join(known)}{did_you_mean(name, known)}")


def draw_windows(
    name: str, parameters: Mapping[str, Any], sample: Sample, seed: int, most: int | None = None
) -> list[Crop]:
    """Return the windows of one sample by rank, of an own family at most ``most`` + 1; ``SpecError`` if it is wrong.

    An own family is called twice: windows that differ, or are not inside the image, are refused.
    """
    family = find_family(name)
    if not is_own(name):
        return list(family.windows(sample, SeededDraws.of(name, sample, seed), **parameters))
    found, again = ([*_own_windows(family, parameters, sample, seed, most)] for _ in range(2))
    if found != again:
        first, second = next(
            (pair for pair in zip(found, again, strict=False) if pair[0] != pair[1]), (len(found), len(again))
        )
        raise SpecError(
            f"the family {name!r} is not deterministic: called twice for {sample.id} it returned {first!r}, then "
            f"{second!r}{' windows' if isinstance(first, int) else ''}; take every random number from draws"
        )
    return found


def _own_windows(
    family: CropFamily, parameters: Mapping[str, Any], sample: Sample, seed: int, most: int | None
) -> Iterator[Crop]:
    what = f"the family {family.name!r}"
    try:
        found = family.windows(sample, SeededDraws.of(family.name, sample, seed), **parameters)
        crops = list(islice(iter(found), None if most is None else most + 1))
    except Exception as error:
        raise SpecError(f"{what} failed for {sample.id}: {type(error).__name__}: {error}") from error
    for crop in crops:
        if not isinstance(crop, Crop):
            raise SpecError(f"{what} returned {crop!r} for {sample.id}; return Crop(left, top, width, height)")
        if not crop.fits(sample.width, sample.height):
            raise SpecError(
                f"{what} returned {crop!r} for {sample.id}, which is not inside its {sample.width} x {sample.height} "
                "px; make it smaller"
            )
        yield crop


def _register(family: CropFamily) -> CropFamily:
    name = _checked(family)
    if name in FAMILIES:
        raise SpecError(f"the family {name!r} is built in; give yours another name")
    other = _registered.get(name)
    if other is not None and other is not family and _origin(other) != _origin(family):
        raise SpecError(
            f"the family {name!r} is registered twice: by {' '.join(_origin(other))} and by "
            f"{' '.join(_origin(family))}; give one of them another name"
        )
    _registered[name] = family
    return family


def _origin(family: CropFamily) -> tuple[str, str]:
    """Return what made a family, the same when its module is loaded again: the function or class, and its file."""
    made: Any = family.windows if isinstance(family, FamilyKind) else type(family)
    code = getattr(getattr(family.windows, "__func__", family.windows), "__code__", None)
    where = made.__module__ if code is None or made.__module__ == "__main__" else code.co_filename
    return getattr(made, "__qualname__", repr(made)), f"({where})"


def _checked(family: Any) -> str:
    """Return the name of a family; ``SpecError`` says what no family can have."""
    if not isinstance(family, CropFamily):
        attributes = ("name", "parameters", "severities", "needs_truth", "windows")
        missing = [each for each in attributes if not hasattr(family, each)]
        raise SpecError(f"{family!r} is no family of windows: it has no {', '.join(missing)} (see CropFamily)")
    name = family.name
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
        raise SpecError(
            f"a family cannot be called {name!r}: use letters, digits, _ and -, a letter first, and neither of "
            f"{' and '.join(_TAKEN)}"
        )
    what = f"the family {name!r}"
    if not callable(family.windows):
        raise SpecError(f"{what}: windows is {family.windows!r}, not a function of (sample, draws, **parameters)")
    for key, parameter in family.parameters.items():
        if not isinstance(key, str) or not key.isidentifier() or key == "severity":
            raise SpecError(f"{what}: a parameter cannot be called {key!r}; use a name of Python, not severity")
        if not isinstance(parameter, tuple) or len(parameter) != 2 or not callable(parameter[1]):
            raise SpecError(f"{what}: the parameter {key} is {parameter!r}; write Parameter(default, int), say")
        _checked_value(what, key, Parameter(*parameter), parameter[0])
    if family.severities is not None:
        key, values = family.severities
        if key not in family.parameters or len(tuple(values)) != len(SEVERITIES):
            raise SpecError(f"{what}: severities are {family.severities!r}; write ('parameter', (five values))")
        for value in values:
            _checked_value(what, key, Parameter(*family.parameters[key]), value)
    return name


def _checked_value(what: str, key: str, parameter: Parameter, value: Any) -> None:
    text = written(value)
    if _SPLITS & set(text):
        raise SpecError(f"{what}: {key}={text}: a spec cannot contain a value with a space or one of + , : =")
    try:
        read = parameter.value(text)
        again = parameter.value(written(read))
    except ValueError as error:
        raise SpecError(f"{what}: {key}={text}: {error}") from error
    if read != again:
        raise SpecError(
            f"{what}: {key}={text} is read as {read!r}, whose text {written(read)!r} is read as {again!r}; a value "
            "must be the same again"
        )


def _loaded(entry: EntryPoint) -> CropFamily:
    """Return the family of an entry point: a :class:`CropFamily` of that name, or what its module registers."""
    what = f"the family {entry.name!r} of the plug-in {entry.value}"
    try:
        found = entry.load()
    except SpecError:
        raise
    except Exception as error:
        raise SpecError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
    if entry.name not in _registered and isinstance(found, CropFamily):
        _register(found)
    if entry.name not in _registered:
        called = f" but of {found.name!r}" if isinstance(found, CropFamily) else ""
        raise SpecError(
            f"{what} is no family of that name{called}: the entry point must lead to a CropFamily with "
            f"name = {entry.name!r}, or to a function with @register_family({entry.name!r})"
        )
    return _registered[entry.name]
