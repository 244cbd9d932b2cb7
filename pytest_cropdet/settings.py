"""What a run is asked to do: one frozen value, checked when it is made, equal on every worker.

A field of ``RunSettings`` is declared in one row: its type, its default, what is allowed, and what its option says. The
option on the command line, in the ini file and in the marker, and the checks of all four ways follow from the row.

And which data set the running test has, for strategies that are given none: whoever runs the test answers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from numbers import Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pytest_cropdet.errors import SpecError
from pytest_cropdet.terms import Metric, did_you_mean

__all__ = [
    "BY_CATEGORY",
    "FILLS",
    "METRICS",
    "Metric",
    "Option",
    "RunSettings",
    "answering",
    "check_choice",
    "check_share",
    "configured_dataset",
    "name_lists",
    "options_of",
    "row",
    "without_change_limits",
]

Kind = Literal["string", "int", "float", "path", "lines", "flag"]
METRICS: tuple[Metric, ...] = get_args(Metric)
FILLS = ("mean", "blur", "gray")
BY_CATEGORY = {  # limits that may be stated for single categories, and the field that has those
    "max_drop": "by_category",
    "max_worse": "worse_by_category",
    "max_drop_worse": "drop_worse_by_category",
}
WINDOWS = "random:keep=0.3-0.9,per_image=4"


def check_share(name: str, value: Any, least: int = 0) -> float:
    """Return a number from 0, or ``least``, to 1; ``SpecError`` when it is none (percent is the usual slip).

    >>> check_share("cropdet_max_drop", 0.05)
    0.05
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not least <= value <= 1:
        hint = f" (percent? write {float(value) / 100:g})" if is_number and 1 < value <= 100 else ""
        raise SpecError(
            f"{name} must lie between {least} and 1, not {f'{float(value):g}' if is_number else repr(value)}{hint}"
        )
    return float(value)


def check_choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Refuse a word that is not among those allowed; ``SpecError`` names them."""
    if value not in allowed:
        raise SpecError(f"{name} must be one of {', '.join(allowed)}, not {value!r}{did_you_mean(value, allowed)}")


def name_lists(name: str, values: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return what ``NAME=OTHER,OTHER`` values say, by NAME; a name that is in two of them is a ``SpecError``.

    >>> name_lists("cropdet_group", ["animal=deer, fox"])
    {'animal': ('deer', 'fox')}
    """
    found: dict[str, tuple[str, ...]] = {}
    owners: dict[str, str] = {}
    for value in values:
        head, _, tail = str(value).partition("=")
        head, others = head.strip(), tuple(each.strip() for each in tail.split(","))
        if not head or not all(others):
            raise SpecError(f"{name} must be NAME=OTHER,OTHER, not {value!r}")
        for each in dict.fromkeys((head, *others)):
            if owners.setdefault(each.casefold(), str(value)) != str(value):
                raise SpecError(f"{name}: {each!r} is in two of them, {owners[each.casefold()]!r} and {value!r}")
        found[head] = others
    return found


@dataclass(frozen=True, slots=True)
class Option:
    """One option: how it is given, what it is if not given, and what is allowed.

    ``kind`` "lines" may be given several times (one a line in the ini file); with ``commas`` each may name several.
    ``alone``: what it means on the command line without a value; ``None`` where it needs one. Allowed are ``choices``,
    or with ``share`` numbers from 0 to 1, with ``signed`` from -1 to 1, or numbers from ``least`` on. With PATH, FILE
    or DIR in the ``metavar`` its values are made absolute. ``reads``: what must be there ("file", "folder");
    ``writes``: what is written there.
    """

    name: str
    kind: Kind
    default: Any
    metavar: str
    help: str
    choices: tuple[str, ...] = ()
    alone: str | None = None
    share: bool = False
    signed: bool = False
    least: float | None = None
    commas: bool = False
    reads: Literal["", "file", "folder", "file or folder", "folder or archive"] = ""
    writes: Literal["", "file", "folder"] = ""

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return f"--cropdet-{self.name.replace('_', '-')}"

    def check(self, value: Any, of: str = "") -> None:
        """Refuse a value that is not allowed: ``SpecError`` says what is. ``None`` states nothing.

        >>> Option("seed", "int", 0, "N", "", least=0).check(-1)
        Traceback (most recent call last):
        pytest_cropdet.errors.SpecError: cropdet_seed must be 0 or more, not -1
        """
        if value is None:
            return
        name, is_list = f"cropdet_{self.name}{of}", self.kind == "lines" and isinstance(value, (list, tuple))
        several = value if is_list else [value]
        for each in several:
            if self.choices:
                check_choice(name, each, self.choices)
            if self.share:
                check_share(name, each)
            if self.signed:
                check_share(name, each, least=-1)
            if self.least is not None and not each >= self.least:
                raise SpecError(f"{name} must be {self.least} or more, not {each}")
        if self.choices and (not several or len(set(several)) < len(several)):
            raise SpecError(f"{name} needs one or more of {', '.join(self.choices)}, each once")


def row(default: Any, metavar: str = "", help: str = "", **more: Any) -> Any:  # noqa: A002  (as Option names it)
    """Return the field of an option that a run reads; ``more``: what else :class:`Option` says of it.

    Kind and choices follow from the field's type where ``more`` does not name them. Without ``help`` it is no option,
    only an argument. ``given``: the option's own default, where it is not that of the argument.
    """
    return field(default=default, metadata={"metavar": metavar, "help": help, **more})


@cache
def options_of(settings: type) -> Mapping[str, Option]:
    """Return what the rows of a class of settings declare, by name."""
    hints, found = get_type_hints(settings), {}
    for each in fields(settings):
        if each.metadata:
            kind, choices = _kind(hints[each.name])
            said = {"kind": kind, "choices": choices, "given": each.default, **each.metadata}
            found[each.name] = Option(name=each.name, default=said.pop("given"), **said)
    return found


def _kind(hint: Any) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(hint) in (Union, UnionType):
        hint = next(each for each in get_args(hint) if each is not NoneType)
    if get_origin(hint) is Literal:
        return "string", get_args(hint)
    kinds: dict[Any, Kind] = {int: "int", float: "float", bool: "flag", str: "string", tuple: "lines"}
    return kinds[get_origin(hint) or hint], ()


@dataclass(frozen=True)
class RunSettings:
    """The settings of a gate; each is also an option, an ini key and an argument of the marker, as ``cropdet_x``.

    Limits: ``max_drop`` for the mean, ``by_category`` for single categories, ``min_ratio`` for
    AP(crop) / AP(reference), ``min_crop_ap`` for AP(crop); ``None`` sets none. With an old model to compare with:
    ``max_worse`` for AP(crop) old - new, ``max_drop_worse`` for drop(new) - drop(old), and both by category. All AP are
    0 to 1. ``fill``: what stands for taken pixels in the renderings that explain a drop; the steps of the first are
    reported, others are compared. ``max_crops``: the most windows that a gate may have.
    ``try_mitigations``: where a drop is explained, measures at inference are tried, too. ``max_detections``: how many
    detections of each crop and category AP counts, the strongest first; COCO counts 100. ``alias``, ``group``:
    ``NAME=OTHER,OTHER``, names of categories that mean the same, and categories that are counted as one.
    """

    crops: str = row(WINDOWS, "SPEC", "windows to cut, a gate for each SPEC", kind="lines", given=(WINDOWS,))
    seed: int = row(0, "N", "seed of windows and resamples")
    sample_images: int | None = row(None, "N", "use N images of the data set, chosen by the seed", least=1)
    max_crops: int = row(1_000_000, "N", "most crops of one gate; more are refused before any is made", least=1)
    min_visibility: float = row(0.5, "X", "an object counts if at least this share of it is visible", share=True)
    metric: Metric = row("mAP", "METRIC", "what is gated")  # noqa: RUF009  (a Literal)
    categories: tuple[str, ...] = row(
        (), "NAME[,NAME]", "categories that count (default: all of the data set)", commas=True
    )
    alias: tuple[str, ...] = row(
        (), "NAME=OTHER[,OTHER]", "names that mean one category of the data set, as vehicle=car,truck,bus"
    )
    group: tuple[str, ...] = row(
        (), "NAME=OTHER[,OTHER]", "categories that are counted as one, as animal=deer,fox,boar"
    )
    max_drop: float | None = row(  # where none is stated, that of the option is a gate's
        None,
        "X",
        "largest allowed drop, 0 to 1; person=0.03 for one category, ssd:0.3 for one model",
        kind="lines",
        given=("0.05",),
        share=True,
    )
    by_category: Mapping[str, float] = field(default_factory=dict)  # of max_drop
    min_ratio: float | None = row(None, "X", "smallest allowed AP(crop) / AP(reference)", share=True)
    min_crop_ap: float | None = row(None, "X", "smallest allowed AP(crop)", share=True)
    max_worse: float | None = row(
        None,
        "X",
        "largest allowed fall of AP on crops from the old model to the new; person=0.03 for one category",
        kind="lines",
        given=(),
        share=True,
    )
    worse_by_category: Mapping[str, float] = field(default_factory=dict)  # of max_worse
    max_drop_worse: float | None = row(
        None,
        "X",
        "largest allowed growth of the drop from the old model to the new; person=0.03 for one category",
        kind="lines",
        given=(),
        share=True,
    )
    drop_worse_by_category: Mapping[str, float] = field(default_factory=dict)  # of max_drop_worse
    undecided: Literal["fail", "pass", "point"] = row(
        "fail",
        "[GATE=]POLICY",
        "what an undecided gate does: fail, pass or point; of one gate by its name",
        kind="lines",
        given=("fail",),
    )
    min_images: int = row(50, "N", "source images needed for a verdict on the mean", least=1)
    min_objects: int = row(30, least=1)
    min_ap: float = row(
        0.05, "X", "minimum AP(reference) above the limit: the detector needs at least limit + X", share=True
    )
    cap: Literal["refuse", "accept"] = row(
        "refuse", "POLICY", "accept: allow a pass although the detector reached its maximum number of boxes"
    )
    score_threshold: float | None = row(
        None,
        "X",
        "score from which on a detection counts at the operating point (default: best F1 on whole images)",
        share=True,
    )
    replicates: int = row(1000, least=100)
    level: float = row(0.95)
    looks: Literal["off", "auto", "often"] = row(
        "off", "POLICY", "stop early when the verdict is clear; often checks more times than auto"
    )
    verify: bool = row(False, "", "recompute the point numbers with pycocotools; fail if they differ")
    explain: Literal["auto", "always", "off"] = row(
        "auto", "WHEN", "when to analyse causes; auto: when a gate does not pass"
    )
    fill: tuple[str, ...] = row(
        ("mean",),
        "FILL",
        "fill for removed pixels: mean, blur or gray; give several to compare",
        choices=FILLS,
        commas=True,
    )
    both_orders: bool = row(False, "", "average both orders of context and cut: one more call per crop")
    max_detections: int = row(100, "N", "detections per image and category that AP counts (COCO: 100)", least=1)
    train_data: str | None = row(
        None,
        "PATH",
        "data set the detector was trained on, to measure how far crops are from it",
        kind="path",
        reads="file or folder",
    )
    try_mitigations: bool = row(False, "", "with the causes, measure how much changes at inference recover")

    @property
    def states_limits(self) -> bool:
        """Whether any limit was stated beforehand."""
        single = (self.max_drop, self.min_ratio, self.min_crop_ap)
        return bool(self.by_category) or any(limit is not None for limit in single)

    @property
    def limited_categories(self) -> list[str]:
        """The names of the categories that have a limit of their own, each once."""
        return list(dict.fromkeys(name for each in BY_CATEGORY.values() for name in getattr(self, each)))

    @property
    def limits_changes(self) -> bool:
        """Whether any limit is on what changed from an old model to the new one."""
        single = (self.max_worse, self.max_drop_worse)
        return bool(self.worse_by_category or self.drop_worse_by_category) or any(each is not None for each in single)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fill", (self.fill,) if isinstance(self.fill, str) else tuple(self.fill))
        for name in ("alias", "group"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
            name_lists(f"cropdet_{name}", getattr(self, name))
        mine: Any = type(self)
        declared = options_of(mine)
        for name, each in declared.items():
            each.check(getattr(self, name))
        for name, of_categories in BY_CATEGORY.items():
            for category, limit in getattr(self, of_categories).items():
                declared[name].check(limit, of=f" {category}=")


def without_change_limits(settings: RunSettings) -> RunSettings:
    """Return settings without limits on what changed from an old model."""
    return replace(settings, max_worse=None, max_drop_worse=None, worse_by_category={}, drop_worse_by_category={})


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
