"""Every option, once: its name, type, default and help; and the one way to look a value up.

An option ``x`` is ``--cropdet-x`` on the command line, ``cropdet_x`` in the ini file, and ``x=`` in the marker
``@pytest.mark.cropdet(...)``; the marker wins over the command line, and that over the ini file. Only the standard
library is imported here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pytest_cropdet.errors import SpecError
from pytest_cropdet.terms import DETECTOR_KINDS

__all__ = [
    "CHECKS",
    "INVARIANTS",
    "OPTIONS",
    "Named",
    "Option",
    "named_specs",
    "option",
    "parse_checks",
    "parse_limits",
    "resolve_paths",
]

Kind = Literal["string", "int", "float", "path", "lines", "flag"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option. ``kind`` "lines" may be given several times (one a line in the ini file).

    ``alone``: what it means on the command line without a value; ``None`` where it needs one.
    """

    name: str
    kind: Kind
    default: Any
    metavar: str
    help: str
    choices: tuple[str, ...] = ()
    alone: str | None = None


OPTIONS: tuple[Option, ...] = (
    Option("model", "lines", (), "[NAME=]PATH", "detector to gate: a path, kind:path or package.module:factory"),
    Option("detector", "lines", (), "KEY=VALUE", "a convention of the detector, such as units=pixels; NAME:KEY=VALUE"),
    Option("data", "lines", (), "[NAME=]PATH", "data set to gate on: a COCO JSON, or a folder with exactly one"),
    Option("images", "path", None, "DIR", "folder of the pictures (default: beside the JSON, or images/ there)"),
    Option(
        "data_errors",
        "string",
        "fail",
        "POLICY",
        "what is done about boxes that stick out of their image: refuse the data set, or clip them",
        ("fail", "clip"),
    ),
    Option(
        "train_data", "path", None, "PATH", "COCO JSON the detector was trained on, to tell how far crops are from it"
    ),
    Option("crops", "lines", ("random:keep=0.3-0.9,per_image=4",), "SPEC", "windows to cut, a gate for each SPEC"),
    Option("max_crops", "int", 1_000_000, "N", "most crops of one gate; more are refused before any is made"),
    Option("max_drop", "lines", ("0.05",), "X", "largest allowed drop, 0 to 1; person=0.03 for one category"),
    Option("min_ratio", "float", None, "X", "smallest allowed AP(crop) / AP(reference)"),
    Option("min_crop_ap", "float", None, "X", "smallest allowed AP(crop)"),
    Option("metric", "string", "mAP", "METRIC", "what is gated", ("mAP", "AP50", "AP75")),
    Option("categories", "lines", (), "NAME[,NAME]", "categories that count (default: all of the data set)"),
    Option("min_visibility", "float", 0.5, "X", "visible share from which on an object must be found"),
    Option("sample_images", "int", None, "N", "use N images of the data set, chosen by the seed"),
    Option("seed", "int", 0, "N", "seed of windows and resamples"),
    Option("undecided", "string", "fail", "POLICY", "what an undecided gate does", ("fail", "pass", "point")),
    Option("min_images", "int", 50, "N", "source images needed for a verdict on the mean"),
    Option("min_ap", "float", 0.05, "X", "how far AP(reference) must lie above the limit"),
    Option("max_detections", "int", 100, "N", "detections per image and category that AP counts (COCO: 100)"),
    Option("cap", "string", "refuse", "POLICY", "a pass while the detector's cap binds", ("refuse", "accept")),
    Option("score_threshold", "float", None, "X", "the score that is acted upon (default: best F1 on whole images)"),
    Option("looks", "string", "off", "POLICY", "stop as soon as every stated limit is decided", ("off", "auto")),
    Option(
        "explain", "string", "auto", "WHEN", "say why it dropped: when a gate does not pass", ("auto", "always", "off")
    ),
    Option("fill", "lines", ("mean",), "FILL", "what stands for taken pixels: mean, blur or gray; more are compared"),
    Option("both_orders", "flag", False, "", "switch on context and cut in both orders: a detector call a crop more"),
    Option(
        "try_mitigations",
        "flag",
        False,
        "",
        "with the causes, measure what changes at inference win back",
    ),
    Option("plan", "path", None, "FILE", "take the windows that a strategy drew from FILE, not from cropdet_dir"),
    Option("checks", "lines", ("gate",), "CHECK", "what the suite does: gate, invariants, search; several with commas"),
    Option("examples", "int", 100, "N", "windows that the search and the invariants may try, each"),
    Option("no_shrink", "flag", False, "", "the search stops at the first window that loses an object"),
    Option("dry_run", "flag", False, "", "tell what a run would do and could tell; nothing is gated"),
    Option("cache", "string", "", "DIR|off", "where detections are kept from run to run (default: in cropdet_dir)"),
    Option("dir", "path", None, "DIR", "folder of everything that is kept (default: .cropdet in the rootdir)"),
    Option("verify", "flag", False, "", "recompute the point numbers with pycocotools; fail if they differ"),
    Option(
        "benchmark",
        "string",
        None,
        "MODE",
        "the suite runs the crop benchmark, not the gate; write quick with = (alone: full)",
        ("quick", "full"),
        alone="full",
    ),
    Option("json", "path", None, "PATH", "write the results of all gates there"),
    Option("report", "string", "", "DIR|off", "where the HTML page is written (default: report/ in cropdet_dir)"),
    Option("objects", "path", None, "FILE", "write a row for each object in each crop there: .csv or .parquet"),
    Option("detections", "path", None, "DIR", "write COCO detections of every rendering there, and their truth"),
)

NOT_FOR_MARKERS = (
    "checks",
    "json",
    "dry_run",
    "cache",
    "dir",
    "report",
    "objects",
    "detections",
    "benchmark",
)  # what belongs to the whole session
HOLD_PATHS = (
    "model",
    "data",
    "images",
    "train_data",
    "detector",
    "dir",
    "cache",
    "json",
    "report",
    "objects",
    "detections",
    "plan",
)


CHECKS = ("gate", "invariants", "search")  # modules of the suite
INVARIANTS = (
    "D1-repeatable",
    "D2-alone-as-in-a-batch",
    "D3-padding",
    "D4-shift-by-strides",
    "D5-shift-by-pixels",
    "D6-interior-object-found",
    "D7-nothing-made-up",
    "D8-score-kept",
    "D9-category-kept",
    "D10-no-duplicates",
    "D11-inside-frame",
    "D12-truncated-object-found",
    "D13-score-falls-with-cut",
    "D14-empty-picture",
    "D15-conventions",
)


def parse_checks(values: Sequence[str]) -> tuple[str, ...]:
    """Return the checks that are asked for, in the suite's order; one that there is not is a ``SpecError``.

    >>> parse_checks(["search, gate"])
    ('gate', 'search')
    """
    named = [name.strip() for value in values for name in str(value).split(",") if name.strip()]
    for name in named:
        if name not in CHECKS:
            raise SpecError(f"cropdet_checks {name!r}: the suite has {', '.join(CHECKS)}")
    return tuple(name for name in CHECKS if name in named)


def option(name: str) -> Option:
    """Return an option by its name."""
    return next(each for each in OPTIONS if each.name == name)


@dataclass(frozen=True, slots=True)
class Named:
    """A model or a data set as given: a short name for ids, and what it stands for."""

    name: str
    spec: str


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
    kind, _, rest = spec.partition(":")
    path = Path(rest if kind in DETECTOR_KINDS else spec)
    generic = ("saved_model", "instances", "annotations", "model")
    stem = path.name.split(":")[-1] if ":" in path.name or path.suffix == "" else path.stem
    return path.parent.name if stem in generic and path.parent.name else stem


def parse_limits(values: Sequence[str] | float | str) -> tuple[float | None, dict[str, float]]:
    """Return the limit on the mean (``None`` if not given) and those on single categories.

    >>> parse_limits(["0.05", "person=0.03"])
    (0.05, {'person': 0.03})
    """
    mean, single = None, {}
    for value in [values] if isinstance(values, (str, int, float)) else values:
        name, equals, text = str(value).rpartition("=")
        try:
            number = float(text)
        except ValueError:
            raise SpecError(f"cropdet_max_drop must be a number or CATEGORY=NUMBER, not {value!r}") from None
        if not 0 <= number <= 1:
            hint = f" (percent? write {number / 100:g})" if 1 < number <= 100 else ""
            raise SpecError(f"cropdet_max_drop must lie between 0 and 1, not {number:g}{hint}")
        if equals:
            single[name.strip()] = number
        else:
            mean = number
    return mean, single


def parse_description(values: Sequence[str], model: str, models: Sequence[str]) -> dict[str, str]:
    """Return the ``KEY=VALUE`` of ``--cropdet-detector`` that are meant for ``model``."""
    found = {}
    for value in values:
        head, equals, text = value.partition("=")
        name, colon, key = head.rpartition(":")
        if not equals or not key:
            raise SpecError(f"cropdet_detector must be KEY=VALUE or NAME:KEY=VALUE, not {value!r}")
        if colon and name not in models:
            raise SpecError(f"cropdet_detector {value!r}: no model is called {name!r}; there are {', '.join(models)}")
        if not colon or name == model:
            found[key] = text
    return found


def resolve_paths(name: str, value: Any, base: Path) -> Any:
    """Return an option's value with its paths made absolute, as seen from ``base``; other values as they are."""
    if value is None or name not in HOLD_PATHS:
        return value
    if name in ("cache", "report") and value in ("", "off"):
        return value
    if isinstance(value, (str, Path)):
        return str(base / Path(value).expanduser())
    return [_resolve_spec(str(each), base, name) for each in value]


def _resolve_spec(text: str, base: Path, name: str) -> str:
    if name == "detector":
        key, _, file = text.partition("=")
        is_file = key.rpartition(":")[2] in ("labels", "anchors") and "," not in file
        return f"{key}={base / file}" if is_file and (base / file).exists() else text
    given = _NAME.fullmatch(text)
    if given and not (base / text).exists():
        return f"{given.group(1)}={_resolve_spec(given.group(2), base, name)}"
    kind, colon, rest = text.partition(":")
    if colon and kind in DETECTOR_KINDS:
        return f"{kind}:{base / Path(rest).expanduser()}"
    path = base / Path(text).expanduser()
    is_factory = colon and name == "model" and not path.exists()
    bare_entry_point = name == "model" and not path.exists() and text.isidentifier()
    return text if is_factory or bare_entry_point else str(path)


def ini_type(each: Option) -> Any:
    """Return the type pytest reads an option's ini key as."""
    return {"lines": "linelist", "path": "string", "flag": "bool"}.get(each.kind, each.kind)


def as_mapping(values: Mapping[str, Any], unnamed: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the marker's arguments by option name; ``SpecError`` names one that is none."""
    known = [each.name for each in OPTIONS if each.name not in NOT_FOR_MARKERS] + ["by_category"]
    unknown = [repr(value) for value in unnamed] + sorted(set(values) - set(known))
    if unknown:
        raise SpecError(f"the marker cropdet takes {', '.join(f'{name}=' for name in known)} not {', '.join(unknown)}")
    return dict(values)


def check_value(each: Option, value: Any) -> Any:
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
