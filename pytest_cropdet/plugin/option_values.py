"""What the value of an option says: its words, names, limits and paths; one that says nothing is a ``SpecError``."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pytest_cropdet.errors import SpecError
from pytest_cropdet.files import is_url
from pytest_cropdet.plugin.options import CHECKS, NOT_FOR_MARKERS, OPTIONS, Option, option
from pytest_cropdet.settings import BY_CATEGORY, name_lists
from pytest_cropdet.terms import DETECTOR_KINDS, SERVED_KINDS, did_you_mean

__all__ = [
    "Named",
    "as_mapping",
    "check_type",
    "limit_owner",
    "named_specs",
    "parse_assumptions",
    "parse_checks",
    "parse_description",
    "parse_limits",
    "parse_policies",
    "parse_tolerances",
    "read",
    "resolve_paths",
    "words",
]


def parse_checks(values: Sequence[str]) -> tuple[str, ...]:
    """Return the checks that are asked for, in the suite's order; one that there is not is a ``SpecError``.

    >>> parse_checks(["search, gate"])
    ('gate', 'search')
    """
    named = [name for name in words(values) if name]
    for name in named:
        if name not in CHECKS:
            raise SpecError(f"cropdet_checks {name!r}: unknown check; choose from {', '.join(CHECKS)}")
    return tuple(name for name in CHECKS if name in named)


@dataclass(frozen=True, slots=True)
class Named:
    """A model or a data set as given: a short name for ids, and what it stands for."""

    name: str
    spec: str


_PATHS = re.compile("PATH|FILE|DIR")  # of a metavar
_PLUGINS = {"model": "pytest_cropdet.detectors", "data": "pytest_cropdet.datasets"}  # groups of entry points
_MAY_BE_URLS = ("data", "images", "train_data")  # of fsspec
_NAME = re.compile(r"([A-Za-z0-9_.-]+)=(.+)", re.DOTALL)


def named_specs(values: Sequence[str], what: str) -> list[Named]:
    """Return ``[NAME=]SPEC`` values with a name each; two of one name are a ``SpecError``.

    >>> named_specs(["nets/ssd/saved_model", "big=m.pkg:make"], "model")
    [Named(name='ssd', spec='nets/ssd/saved_model'), Named(name='big', spec='m.pkg:make')]
    """
    found = []
    for value in values:
        given = _NAME.fullmatch(value)
        if given and not Path(value).exists():
            found.append(Named(given.group(1), given.group(2)))
        else:
            found.append(Named(_short_name(value), value))
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"two of --cropdet-{what} have the name {name!r}; write NAME=PATH")
    return found


def _short_name(spec: str) -> str:
    kind, colon, rest = spec.partition(":")
    if kind == "sliced" and colon:
        return f"{_short_name(_inner_model(rest))}-sliced"
    if kind in SERVED_KINDS:
        return _model_name(rest)
    if is_url(spec):
        spec = spec.partition("?")[0].rstrip("/")
    path = Path(rest if kind in DETECTOR_KINDS else spec)
    generic = ("saved_model", "instances", "annotations", "model", "frozen_inference_graph")
    stem = path.name.split(":")[-1] if ":" in path.name or path.suffix == "" else path.stem
    return path.parent.name if stem in generic and path.parent.name else stem


def _inner_model(rest: str) -> str:
    """Return the model that a spec slices, given what follows ``sliced:``."""
    from pytest_cropdet.detectors import read_sliced_spec

    return read_sliced_spec(rest)[1]


def _model_name(url: str) -> str:
    """Return what a served model is called in its URL.

    >>> _model_name("http://host:8501/v1/models/ssd/versions/3:predict")
    'ssd'
    """
    found = re.search(r"/models/([^/:?#]+)", url)
    return found.group(1) if found else url.rstrip("/").rpartition("/")[2]


def parse_limits(
    values: Sequence[str] | float | str, name: str = "max_drop", model: str | None = None, models: Sequence[str] = ()
) -> tuple[float | None, dict[str, float]]:
    """Return the limit on the mean (``None`` if not given) and those on single categories.

    ``model``: of which of ``models``; a limit of its own comes before one of all.

    >>> parse_limits(["0.05", "person=0.03"])
    (0.05, {'person': 0.03})
    >>> parse_limits(["ssd:0.3", "0.05", "ssd:person=0.2"], model="ssd", models=["ssd", "yolo"])
    (0.3, {'person': 0.2})
    """
    found: dict[bool, dict[str | None, float]] = {False: {}, True: {}}  # of all models, and of this one
    for value in [values] if isinstance(values, (str, int, float)) else values:
        owner, said = limit_owner(str(value), models)
        category, equals, text = said.rpartition("=")
        try:
            number = float(text)
        except ValueError:
            raise SpecError(f"cropdet_{name} must be a number or CATEGORY=NUMBER, not {value!r}") from None
        option(name).check(number)
        if owner in (None, model):
            found[owner is not None][category.strip() if equals else None] = number
    limits = found[False] | found[True]
    mean = limits.pop(None, None)
    return mean, {category: limit for category, limit in limits.items() if category is not None}


def limit_owner(value: str, models: Sequence[str]) -> tuple[str | None, str]:
    """Return the model that a limit is of, ``None`` for all, and the limit.

    Names of categories may have colons, too: with ``=`` only a name of ``models`` is one of a model.

    >>> limit_owner("ssd:0.3", []), limit_owner("a:b=0.3", ["ssd"]), limit_owner("ssd:b=0.3", ["ssd"])
    (('ssd', '0.3'), (None, 'a:b=0.3'), ('ssd', 'b=0.3'))
    """
    head, colon, rest = value.partition(":")
    of_model = colon and (head in models or "=" not in value)
    return (head.strip(), rest) if of_model else (None, value)


def parse_policies(values: Sequence[str] | str) -> tuple[str | None, dict[str, str]]:
    """Return what an undecided gate does (``None`` if not given), and what single gates do, by their names.

    >>> parse_policies(["fail", "tile=pass"])
    ('fail', {'tile': 'pass'})
    """
    of_all, single = None, {}
    for value in [values] if isinstance(values, str) else values:
        gate, equals, policy = str(value).rpartition("=")
        option("undecided").check(policy)
        if equals:
            single[gate.strip()] = policy
        else:
            of_all = policy
    return of_all, single


def words(values: Sequence[Any]) -> tuple[str, ...]:
    """Return the words of values that may each name several, with commas."""
    return tuple(word.strip() for value in values for word in str(value).split(","))


def read(each: Option, value: Any) -> Any:
    """Return what an option's value says, checked; ``SpecError`` tells what is wrong with it.

    >>> read(option("fill"), ["blur, gray", "mean"])
    ('blur', 'gray', 'mean')
    """
    if each.name == "undecided":
        return parse_policies(value)
    if each.name in BY_CATEGORY:
        return parse_limits(value, each.name)
    if each.name == "checks":
        return parse_checks(value)
    if each.name == "workers":
        return parse_workers(value)
    if each.name == "sliced":
        return parse_tiles(value)
    if each.name == "tolerance":
        return parse_tolerances(value)
    if each.name == "assume":
        return parse_assumptions(value)
    if each.name in ("alias", "group"):
        name_lists(f"cropdet_{each.name}", [value] if isinstance(value, str) else value)
    found = words(value) if each.commas else value
    each.check(found)
    return found


def parse_assumptions(values: Sequence[str] | str) -> Any:
    """Return the ``Assumptions`` of a dry run; ``SpecError`` for a key or a number that cannot be."""
    from pytest_cropdet.gate import Assumptions

    return Assumptions.of(words([values] if isinstance(values, str) else values))


def parse_tolerances(values: Sequence[str] | str) -> Any:
    """Return the ``Tolerances`` of built-in invariants, and the limits of others by name; or raise ``SpecError``."""
    from pytest_cropdet.invariants import read_tolerances

    return read_tolerances(words([values] if isinstance(values, str) else values))


def parse_workers(text: str) -> int | None:
    """Return the number that ``--cropdet-workers`` says, ``None`` for ``auto``; ``SpecError`` for anything else.

    >>> parse_workers("auto"), parse_workers("2")
    (None, 2)
    """
    if str(text) == "auto":
        return None
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise SpecError(f"cropdet_workers must be auto, or a number of 1 or more, not {text!r}")
    return number


def parse_tiles(text: str) -> dict[str, Any]:
    """Return the arguments of ``Sliced`` that ``--cropdet-sliced`` says; ``SpecError`` names a setting that is wrong.

    With ``proposals`` or ``margin`` among them they are those of ``Regions``.

    >>> parse_tiles("size=320,overlap=0.1")
    {'size': '320', 'overlap': 0.1}
    """
    from pytest_cropdet.detectors import Sliced, read_region_settings, read_sliced_spec

    keys = {part.partition("=")[0] for part in str(text).split(",")}
    if keys & {"proposals", "margin"}:
        return read_region_settings(str(text))
    if ":" in str(text):
        raise SpecError(
            f"cropdet_sliced has settings only, such as size=320,overlap=0.2, not {str(text)!r}; the model is that of "
            "--cropdet-model"
        )
    if "=" not in str(text):
        raise SpecError(f"cropdet_sliced must be KEY=VALUE, such as size=320,overlap=0.2,merge=nms, not {str(text)!r}")
    found, _ = read_sliced_spec(f"{text}:model")
    Sliced(lambda images: [], **found)
    return found


def parse_description(values: Sequence[str], model: str, models: Sequence[str]) -> dict[str, str]:
    """Return the ``KEY=VALUE`` of ``--cropdet-detector`` that are for ``model``; one with its name comes first."""
    general, own = dict[str, str](), dict[str, str]()
    for value in values:
        head, equals, text = value.partition("=")
        name, colon, key = head.rpartition(":")
        if not equals or not key:
            raise SpecError(f"cropdet_detector must be KEY=VALUE or NAME:KEY=VALUE, not {value!r}")
        if colon and name not in models:
            raise SpecError(f"cropdet_detector {value!r}: no model is called {name!r}; there are {', '.join(models)}")
        if not colon or name == model:
            (own if colon else general)[key] = text
    return {**general, **own}


def resolve_paths(name: str, value: Any, base: Path) -> Any:
    """Return an option's value with its paths made absolute, as seen from ``base``; other values as they are."""
    each = option(name)
    if name in _MAY_BE_URLS and is_url(value):
        return value
    holds_paths = name == "detector" or _PATHS.search(each.metavar)
    if value is None or not holds_paths or (each.kind == "string" and value in ("", "off")):
        return value
    if isinstance(value, (str, Path)):
        slash = "/" if name == "report" and str(value).endswith(("/", os.sep)) else ""  # pictures beside the page
        return f"{base / Path(value).expanduser()}{slash}"
    return [_resolve_spec(str(one), base, name) for one in value]


def _resolve_spec(text: str, base: Path, name: str) -> str:
    if name == "detector":
        key, _, file = text.partition("=")
        is_file = key.rpartition(":")[2] in ("labels", "anchors") and "," not in file
        return f"{key}={base / file}" if is_file and (base / file).exists() else text
    if name in _MAY_BE_URLS and is_url(text):
        return text
    given = _NAME.fullmatch(text)
    if given and not (base / text).exists():
        return f"{given.group(1)}={_resolve_spec(given.group(2), base, name)}"
    kind, colon, rest = text.partition(":")
    if colon and kind == "sliced" and name in ("model", "against"):
        model = _inner_model(rest)
        return f"{text.removesuffix(model)}{_resolve_spec(model, base, name)}"
    if colon and kind in DETECTOR_KINDS:
        return f"{kind}:{base / Path(rest).expanduser()}"
    path = base / Path(text).expanduser()
    what = "model" if name == "against" else name
    is_factory = colon and what == "model" and not path.exists()
    return text if is_factory or (not path.exists() and _is_plugin(text, what)) else str(path)


def _is_plugin(text: str, what: str) -> bool:
    """Whether a model or data set is named as an installed package names it; a model may be one that is missing."""
    if what == "model" and text.isidentifier():
        return True
    return "/" not in text and any(each.name == text for each in entry_points(group=_PLUGINS.get(what, "")))


def as_mapping(values: Mapping[str, Any], unnamed: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the marker's arguments by option name; ``SpecError`` names one that is none."""
    known = [each.name for each in OPTIONS if each.name not in NOT_FOR_MARKERS] + [*BY_CATEGORY.values()]
    unknown = [repr(value) for value in unnamed] + sorted(set(values) - set(known))
    if unknown:
        near = did_you_mean(unknown[0], known)
        raise SpecError(
            f"the marker cropdet takes {', '.join(f'{name}=' for name in known)} not {', '.join(unknown)}{near}"
        )
    return dict(values)


def check_type(each: Option, value: Any) -> Any:
    """Return a marker's value as the option's type; ``SpecError`` when it is none."""
    if each.kind == "lines":
        several = list(value) if isinstance(value, (list, tuple)) else [value]
        if each.name == "crops" and all(isinstance(one, str) or hasattr(one, "spec") for one in several):
            return several
        if not all(isinstance(one, (str, int, float, Path)) and not isinstance(one, bool) for one in several):
            raise SpecError(f"{each.name}={value!r} in the marker cropdet: must be text, a number, or a list of them")
        return several
    wanted: tuple[type, ...] = {"int": (int,), "float": (int, float), "flag": (bool,)}.get(each.kind, (str, Path))
    if not isinstance(value, wanted) or (isinstance(value, bool) and each.kind != "flag"):
        raise SpecError(f"{each.name}={value!r} in the marker cropdet: must be {_KIND_NAMES[each.kind]}")
    return value


_KIND_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "flag": "True or False",
    "string": "text",
    "path": "a path",
}
