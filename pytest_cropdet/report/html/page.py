"""From records and what runs left to the page: order, sections, templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_cropdet.figures import verdict_axis
from pytest_cropdet.gate import one_per_limit
from pytest_cropdet.report.check_texts import checks_text, count_verdicts
from pytest_cropdet.report.html import breakdown, causes, mistakes
from pytest_cropdet.report.html.benchmark import benchmark_headline, benchmark_numbers, benchmark_sections
from pytest_cropdet.report.html.blocks import Section
from pytest_cropdet.report.html.checks import invariants_section, search_section
from pytest_cropdet.report.html.crop_table import CropGate, crop_filter, crop_table, ranked
from pytest_cropdet.report.html.decision import decide
from pytest_cropdet.report.html.head_and_foot import (
    benchmark_rows,
    gate_run_section,
    in_short,
    operating_point_numbers,
    origin_rows,
    run_section,
    verdict_numbers,
)
from pytest_cropdet.report.html.measures import measures_section
from pytest_cropdet.report.html.old_and_new import against_section
from pytest_cropdet.report.html.ranking import ranking_headline, ranking_numbers, ranking_sections
from pytest_cropdet.report.html.remedies import remedies
from pytest_cropdet.report.html.rendering import render_page
from pytest_cropdet.report.html.sliced import sliced_facts, sliced_sections
from pytest_cropdet.report.html.verdict_counts import session_text
from pytest_cropdet.report.limit_rows import drop_verdict, limit_line, note
from pytest_cropdet.report.records import MissingResult
from pytest_cropdet.report.sliced_texts import only_sliced, without_sliced
from pytest_cropdet.terms import PHRASES

__all__ = ["html_page"]

RECORD_ORDER = {"fail": 0, "error": 1, "undecided": 2, "none": 3, "pass": 4}
AFTER = (
    measures_section,
    *(breakdown.where_section, breakdown.miss_map_section, breakdown.labels_section, breakdown.shift_section),
    *(mistakes.anchors_section, mistakes.errors_section, mistakes.bias_section, causes.controls_section),
)
# numbers at the operating point, and the crops that they count
POINT_FILTERS = {
    "objects missed": crop_filter(fate="lost"),
    "newly found": crop_filter(fate="gained"),
    "other label": crop_filter(fate="lost", label="any"),
}
EXAMPLES_SHARE = 0.4  # of the pictures of a gate: of what the worst crops do not show
MOST_PICTURES = 3_400_000  # letters of base64 on one page, so that it stays below 5 MB


@dataclass(frozen=True, slots=True)
class _Gate:
    """One gate as the templates see it."""

    id: str
    record: Mapping[str, Any]
    data_warnings: Sequence[str]
    short: Sequence[tuple[str, str]]
    axis: Any
    facts: Sequence[tuple[str, str]]
    hidden: Sequence[tuple[str, str]]
    before: Sequence[Section]
    after: Sequence[Section]
    gallery: Mapping[str, Any] | None
    shown: int
    examples: Sequence[Mapping[str, Any]] = ()
    filters: Mapping[str, str] = field(default_factory=lambda: POINT_FILTERS)
    kind: str = "gate"

    @property
    def phrases(self) -> Mapping[str, str]:
        """The steps of the chain in words."""
        return PHRASES

    @property
    def name(self) -> str:
        """What it is called: by its name, else by its windows."""
        return str(self.record["name"] or self.record["plan"])

    @property
    def verdict(self) -> str:
        """``pass``, ``fail``, ``undecided``, ``none`` where nothing was judged, ``error`` where the test failed."""
        return str(self.record["verdict"])

    @property
    def lines(self) -> list[str]:
        """A line for each limit, and what else is to be known of the verdict."""
        lines = [limit_line(each) for each in one_per_limit(self.record["verdicts"])]
        return [*lines, *filter(None, [note(self.record)])]

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


@dataclass(frozen=True, slots=True)
class _Article:
    """The checks, or one benchmark, as the templates see them."""

    id: str
    name: str
    verdict: str
    headline: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    data_warnings: Sequence[str]
    kind: str = "sections"

    @property
    def parts(self) -> list[tuple[str, str]]:
        """What its navigation lists: ``(id, title)``."""
        return [(each.id, each.title) for each in self.sections]


def html_page(
    records: Sequence[Mapping[str, Any]],
    left: Sequence[Mapping[str, Any]] = (),
    unfinished: Sequence[MissingResult] = (),
    command: str = "",
    versions: Sequence[tuple[str, str]] = (),
    *,
    benchmarks: Sequence[Mapping[str, Any]] = (),
    checks: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[str | None] = (),
    rankings: Sequence[Mapping[str, Any]] = (),
    origin: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the page as HTML, in one file without any address in it.

    ``records``, ``benchmarks``, ``checks``, ``rankings``: as in the JSON; failures are shown first. ``left``: what
    each gate left of pictures (its :func:`~pytest_cropdet.report.gallery` under ``gallery``), and ``pictures``: of each
    check, as base64 PNG, in the same order. ``origin``: date and commit, ``(words, value)``.
    ``CropdetError`` if Jinja2 is missing.
    """
    left = left or [{}] * len(records)
    shown, budget = _within(pictures or [None] * len(checks), MOST_PICTURES)
    order = sorted(range(len(records)), key=lambda place: RECORD_ORDER.get(records[place]["verdict"], 0))
    articles: list[_Gate | _Article] = []
    for number, place in enumerate(order, 1):
        gallery = ranked(left[place].get("gallery"))
        (count, more), cost = _affordable(gallery, budget, len(order) - number)
        budget -= cost
        articles.append(_gate(f"g{number}", records[place], gallery, (count, more), command, versions))
    drawn = [picture for check, picture in zip(checks, shown, strict=True) if check["kind"] == "sliced"]
    for number, (each, picture) in enumerate(zip(only_sliced(checks), drawn, strict=True), 1):
        articles.append(_sliced(f"s{number}", each, picture, command, versions))
    if without_sliced(checks):
        articles.append(_checks("c1", checks, shown, command, versions))
    articles += [_ranking(f"r{number}", each) for number, each in enumerate(rankings, 1)]
    articles += [_benchmark(f"b{number}", each, command, versions) for number, each in enumerate(benchmarks, 1)]
    gates = [each for each in articles if isinstance(each, _Gate)]
    counts = session_text([str(record["verdict"]) for record in records], checks, benchmarks, len(unfinished))
    shown_gates = [(each.id, each.record, each.gallery) for each in gates]
    galleries = [_crop_gate(each) for each in gates if each.gallery is not None]
    return render_page(
        "page.html",
        table=crop_table(galleries),
        beside=any(each.gallery.get("files") for each in galleries),
        articles=articles,
        unfinished=unfinished,
        decision=decide(shown_gates, checks, counts, len(unfinished), origin, benchmarks, dict(versions)),
        remedies=remedies([(each.id, each.record) for each in gates], checks),
    )


def _crop_gate(gate: _Gate) -> CropGate:
    gallery = gate.gallery or {}
    pictured = [*gallery["entries"][: gate.shown], *gate.examples]
    return CropGate(gate.id, gate.name, gate.record, gallery, pictured, causes.score_reason(gate.record))


def _affordable(gallery: Mapping[str, Any] | None, budget: int, others: int) -> tuple[tuple[int, int], int]:
    """Return how many of a gallery's worst crops and examples fit, and their cost.

    Gates that come later get their share of what is left.
    """
    if gallery is None:
        return (0, 0), 0
    allowed = budget // 2 if others else budget
    examples = gallery.get("examples") or ()
    for_worst = allowed - sum(_cost(entry) for entry in examples)
    count, spent = _fitting(gallery["entries"], max(for_worst, round(allowed * (1 - EXAMPLES_SHARE))))
    more, cost = _fitting(examples, allowed - spent)
    return (count, more), spent + cost


def _fitting(entries: Sequence[Mapping[str, Any]], allowed: int) -> tuple[int, int]:
    """Return how many of the first entries fit, and their cost."""
    spent, count = 0, 0
    for entry in entries:
        if spent + _cost(entry) > allowed:
            break
        spent, count = spent + _cost(entry), count + 1
    return count, spent


def _cost(entry: Mapping[str, Any]) -> int:
    return sum(map(len, (entry["pictures"] or {}).values()))


def _gate(
    key: str,
    record: Mapping[str, Any],
    gallery: Mapping[str, Any] | None,
    count: tuple[int, int],
    command: str,
    versions: Sequence[tuple[str, str]],
) -> _Gate:
    counts = None if gallery is None else gallery["fates"]
    before = [against_section(record), causes.chain_section(record), causes.fates_section(record, counts)]
    after = [each(record) for each in AFTER]
    after.append(gate_run_section(record, command, versions))
    return _Gate(
        id=key,
        record=record,
        data_warnings=_data_warnings([record]),
        short=in_short(record),
        axis=verdict_axis({**record, "verdict": drop_verdict(record)}),
        facts=verdict_numbers(record),
        hidden=operating_point_numbers(record),
        before=[each for each in before if each is not None],
        after=[each for each in after if each is not None],
        gallery=gallery,
        shown=count[0],
        examples=[] if gallery is None else (gallery.get("examples") or [])[: count[1]],
    )


def _within(pictures: Sequence[str | None], budget: int) -> tuple[list[str | None], int]:
    """Return the pictures that fit into half of a budget, in their order, and what is left of it."""
    allowed, shown = budget // 2, list[str | None]()
    for each in pictures:
        fits = each is not None and len(each) <= allowed
        shown.append(each if fits else None)
        allowed -= len(each) if each is not None and fits else 0
    return shown, budget - sum(len(each or "") for each in shown)


def _checks(
    key: str,
    checks: Sequence[Mapping[str, Any]],
    pictures: Sequence[str | None],
    command: str,
    versions: Sequence[tuple[str, str]],
) -> _Article:
    """Return all invariants and searches of a session; a search that failed stands before the invariants."""
    pairs = [pair for pair in zip(checks, pictures, strict=True) if pair[0]["kind"] != "sliced"]
    checks, pictures = [check for check, _ in pairs], [picture for _, picture in pairs]
    count = count_verdicts(checks)
    searches = [(check, each) for check, each in zip(checks, pictures, strict=True) if check["kind"] == "search"]
    searches.sort(key=lambda pair: pair[0]["verdict"] != "fail")
    several = len(searches) > 1
    found = [
        search_section(check, picture, f"search{number}", f"Search: {check['name']}" if several else "Search")
        for number, (check, picture) in enumerate(searches, 1)
    ]
    judged = invariants_section(checks)
    sections = (
        [*found, judged] if count["fail"] and searches and searches[0][0]["verdict"] == "fail" else [judged, *found]
    )
    made = dict.fromkeys(
        (words, str(value)) for check in checks for words, value in origin_rows(check) if words != "test"
    )
    sections.append(run_section([*made], command, versions))
    said_of_all = checks_text(checks)
    return _Article(
        id=key,
        name="Checks",
        verdict="fail" if count["fail"] else "pass" if count["pass"] else "undecided",
        headline=f"{said_of_all[0].upper()}{said_of_all[1:]}.",
        facts=(),
        sections=[each for each in sections if each is not None],
        data_warnings=_data_warnings(checks),
    )


def _sliced(
    key: str, record: Mapping[str, Any], picture: str | None, command: str, versions: Sequence[tuple[str, str]]
) -> _Article:
    return _Article(
        id=key,
        name=record["name"],
        verdict=record["verdict"],
        headline=record["text"],
        facts=sliced_facts(record),
        sections=sliced_sections(record, picture, command, versions),
        data_warnings=_data_warnings([record]),
    )


def _ranking(key: str, ranking: Mapping[str, Any]) -> _Article:
    return _Article(
        id=key,
        name=f"Ranking: {ranking['name']}",
        verdict="",
        headline=ranking_headline(ranking),
        facts=ranking_numbers(ranking),
        sections=ranking_sections(ranking),
        data_warnings=(),
    )


def _benchmark(key: str, record: Mapping[str, Any], command: str, versions: Sequence[tuple[str, str]]) -> _Article:
    return _Article(
        id=key,
        name=record["name"],
        verdict="",
        headline=benchmark_headline(record),
        facts=benchmark_numbers(record),
        sections=[*benchmark_sections(record), run_section(benchmark_rows(record), command, versions)],
        data_warnings=_data_warnings([record]),
    )


def _data_warnings(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is odd in the data, each sentence once."""
    return [*dict.fromkeys(each["text"] for record in records for each in record.get("data_warnings") or ())]
