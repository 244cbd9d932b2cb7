"""The rows of every table of gates: one for each limit, each with the numbers of its own measure."""

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_cropdet.gate import one_per_limit, worst_verdict
from pytest_cropdet.terms import Record, one_line

__all__ = [
    "WHOLE_TO_CROP",
    "LimitRow",
    "drop_verdict",
    "limit_line",
    "limit_rows",
    "limit_text",
    "named_apart",
    "note",
]


WHOLE_TO_CROP = "whole -> crop"


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit of a gate, or a gate without any: ``limit`` is ``None`` then.

    ``before``, ``after``: the metric in the whole image and the crop, of what the limit is on, ``None`` where they are
    undefined or of another kind; ``objects``, ``images``: what it rests on. ``why``: the reason in words.
    ``change``: what ``before`` and ``after`` are.
    """

    verdict: str
    gate: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    before: float | None
    after: float | None
    images: int
    objects: int
    why: str | None = None
    change: str = WHOLE_TO_CROP

    @property
    def is_drop(self) -> bool:
        """Whether its numbers are of a drop, that of the mean or of a category."""
        return self.measure.startswith("drop") and self.change == WHOLE_TO_CROP

    @property
    def name(self) -> str:
        """The gate, and what its limit is on if that is not the drop of the mean."""
        return self.gate if self.measure == "drop" else f"{self.gate}, {self.measure}"


def named_apart(records: Iterable[Record]) -> list[Record]:
    """Return records of gates; those of one name that are of several tests have the test in their names.

    >>> gates = [{"name": "tile", "test": f"test_a.py::{test}"} for test in ("test_day[tile]", "test_night[tile]")]
    >>> [each["name"] for each in named_apart(gates)]
    ['tile (test_day)', 'tile (test_night)']
    """
    told = list(records)
    tests: dict[str, dict[str, str]] = {}
    for each in told:
        tests.setdefault(str(each["name"]), {})[str(each.get("test"))] = ""
    for of_it in tests.values():
        short = [test.partition("[")[0].rpartition("::")[2] for test in of_it]
        apart = len(set(short)) == len(of_it)
        of_it.update((test, name if apart else test) for test, name in zip(list(of_it), short, strict=True))
    return [
        {**each, "name": f"{each['name']} ({of_it[str(each.get('test'))]})"} if len(of_it) > 1 else each
        for each in told
        for of_it in [tests[str(each["name"])]]
    ]


def limit_rows(record: Record) -> list[LimitRow]:
    """Return a row for each limit of a gate; one row of the drop where it has none."""
    limits = one_per_limit(record["verdicts"]) or [{"measure": "drop", "limit": None}]
    if record["verdict"] == "error" or len(limits) == 1:
        return [_row(record, each, record["verdict"]) for each in limits]
    return [_row(record, each, each["outcome"]) for each in limits]


def _row(record: Record, verdict: Record, shown: str) -> LimitRow:
    measure = verdict["measure"]
    numbers = verdict if "value" in verdict else record["drop"] if measure == "drop" else {}
    metric, against = record["metric"], record.get("against")
    if against is not None and measure.startswith(("worse", "drop_worse")):
        return _change_row(record, verdict, shown)
    of_it: Record = {"images": record["images"], "objects": record["objects"]}
    if metric in ("mAP", "AP50", "AP75"):
        of_it = {**of_it, **record[{"mAP": "ap", "AP50": "ap50", "AP75": "ap75"}[metric]]}
    for category in record["categories"]:
        if measure == f"drop of {category['name']}":
            of_it = category
    further = {each["name"] for each in record.get("measures") or ()}  # AP says nothing of these
    no_ap = metric == "lost" or measure in further
    return LimitRow(
        verdict=shown,
        gate=one_line(record["name"] or record["plan"]),
        measure=one_line(measure),
        value=numbers.get("value"),
        low=numbers.get("low"),
        high=numbers.get("high"),
        limit=verdict["limit"],
        before=None if no_ap else of_it["reference"],
        after=None if no_ap else of_it["crop"],
        images=of_it["images"],
        objects=of_it["objects"],
        why=verdict.get("why") or verdict.get("reason"),
    )


def _change_row(record: Record, verdict: Record, shown: str) -> LimitRow:
    """Return the row of a limit on what changed from an old model: ``before`` and ``after`` are both on crops."""
    against, (_, _, category) = record["against"], verdict["measure"].partition(" of ")
    alone = next((each for each in against["categories"] if each["name"] == category), None)
    ap = against["ap"]
    before, after = (ap["old"]["crop"], ap["new"]["crop"]) if alone is None else (alone["before"], alone["after"])
    return LimitRow(
        verdict=shown,
        gate=one_line(record["name"] or record["plan"]),
        measure=one_line(verdict["measure"]),
        value=verdict["value"],
        low=verdict["low"],
        high=verdict["high"],
        limit=verdict["limit"],
        before=before,
        after=after,
        images=record["images"],
        objects=record["objects"],
        why=verdict.get("why") or verdict.get("reason"),
        change="old -> new",
    )


def limit_line(verdict: Record) -> str:
    """Return a limit in one line: its numbers, its name, and the reason in words where there is one."""
    return ": ".join(filter(None, [verdict["text"], verdict.get("why")]))


def limit_text(record: Record, measure: str) -> str:
    """Return the limit on a measure with its verdict, ``none`` where nothing was compared with it."""
    found = [each for each in one_per_limit(record["verdicts"]) if each["measure"] == measure]
    return ", ".join(f"{each['operator']} {each['limit']:g}: {each['outcome']}" for each in found) or "none"


def note(record: Record) -> str | None:
    """Return what a reader of a gate's verdict has to know beside it, ``None`` where nothing."""
    if record["verdict"] == "none":
        return "measured, not judged: no limit was stated and none was compared"
    trouble = record.get("test_error")
    return None if trouble is None else f"the test failed for another reason: {trouble}"


def drop_verdict(record: Record) -> str:
    """Return the verdict on the drop of the mean, for a chart of it."""
    found = worst_verdict(record)
    return "none" if found is None or record["verdict"] == "error" else str(found["outcome"])
