"""From records and what runs left to the page: order, sections, templates."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from pytest_cropdet.charts import verdict_axis
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.report.html import mistakes, places, why
from pytest_cropdet.report.html.blocks import Section
from pytest_cropdet.report.html.told import facts, hidden_facts, in_short, what_was_run

__all__ = ["Unfinished", "page"]

ORDER = {"fail": 0, "undecided": 1, "pass": 2}
AFTER = (
    *(places.where, places.miss_map, places.labels, places.shift),
    *(mistakes.anchors, mistakes.errors, mistakes.bias, why.controls),
)
MOST_PICTURES = 3_400_000  # letters of base64 on one page, so that it stays below 5 MB


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A test that gave no result, and why."""

    test: str
    why: str


@dataclass(frozen=True, slots=True)
class _Gate:
    """One gate as the templates see it."""

    id: str
    record: Mapping[str, Any]
    short: Sequence[tuple[str, str]]
    axis: Any
    facts: Sequence[tuple[str, str]]
    hidden: Sequence[tuple[str, str]]
    before: Sequence[Section]
    after: Sequence[Section]
    gallery: Mapping[str, Any] | None
    shown: int

    @property
    def parts(self) -> list[tuple[str, str]]:
        """What its navigation lists: ``(id, title)``."""
        crops = [] if self.gallery is None else [("crops", "Worst crops")]
        return [
            ("verdict", "Verdict"),
            *((each.id, each.title) for each in self.before),
            *crops,
            *((each.id, each.title) for each in self.after),
        ]


def page(
    records: Sequence[Mapping[str, Any]],
    left: Sequence[Mapping[str, Any]] = (),
    unfinished: Sequence[Unfinished] = (),
    command: str = "",
    versions: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the page as HTML, in one file without any address in it.

    ``records``: as in the JSON, in the order in which they ran; failures are shown first. ``left``: what each of
    them left of pictures (its :func:`~pytest_cropdet.report.gallery.gallery` under ``gallery``), in the same order.
    ``CropdetError`` if Jinja2 is missing.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise CropdetError(f"the HTML report needs Jinja2 ({error}): pip install 'pytest-cropdet[report]'") from error
    left = left or [{}] * len(records)
    order = sorted(range(len(records)), key=lambda place: ORDER.get(records[place]["verdict"], 0))
    budget, gates = MOST_PICTURES, []
    for number, place in enumerate(order, 1):
        shown = left[place].get("gallery")
        count, cost = _affordable(shown, budget, len(order) - number)
        budget -= cost
        gates.append(_gate(f"g{number}", records[place], shown, count, command, versions))
    environment = Environment(
        loader=PackageLoader("pytest_cropdet.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = _file("script.js"), _file("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        gates=gates,
        unfinished=unfinished,
        title=_title(records, unfinished),
        counts={name: sum(each["verdict"] == name for each in records) for name in ORDER},
        script=script,
        style=style,
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
    )


def _file(name: str) -> str:
    return (
        resources.files("pytest_cropdet.report.html").joinpath("templates").joinpath(name).read_text(encoding="utf-8")
    )


def _affordable(gallery: Mapping[str, Any] | None, budget: int, others: int) -> tuple[int, int]:
    """Return how many crops of a gallery fit, and their cost; gates that come later get their share of what is left."""
    spent, count = 0, 0
    if gallery is None:
        return 0, 0
    allowed = budget // 2 if others else budget
    for entry in gallery["entries"]:
        cost = sum(map(len, (entry["pictures"] or {}).values()))
        if spent + cost > allowed:
            break
        spent, count = spent + cost, count + 1
    return count, spent


def _gate(
    key: str,
    record: Mapping[str, Any],
    gallery: Mapping[str, Any] | None,
    count: int,
    command: str,
    versions: Sequence[tuple[str, str]],
) -> _Gate:
    counts = None if gallery is None else gallery["fates"]
    before = [why.chain(record), why.fates(record, counts)]
    after = [each(record) for each in AFTER]
    after.append(what_was_run(record, command, versions))
    return _Gate(
        id=key,
        record=record,
        short=in_short(record),
        axis=verdict_axis(record),
        facts=facts(record),
        hidden=hidden_facts(record),
        before=[each for each in before if each is not None],
        after=[each for each in after if each is not None],
        gallery=gallery,
        shown=count,
    )


def _title(records: Sequence[Mapping[str, Any]], unfinished: Sequence[Unfinished]) -> str:
    verdicts = [record["verdict"] for record in records]
    total, failed = len(verdicts), len(verdicts) - verdicts.count("pass")
    if not total:
        said = "no gate came to an end"
    elif total == 1:
        said = {"pass": "the gate passes", "fail": "the gate fails"}.get(verdicts[0], "the gate is undecided")
    else:
        said = f"{failed} of {total} gates do not pass" if failed else f"all {total} gates pass"
    return f"{said}, {len(unfinished)} without result" if unfinished else said
