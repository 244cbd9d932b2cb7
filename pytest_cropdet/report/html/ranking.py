"""A ranking of several models as sections: each model with its numbers, and how they differ from one another."""

from collections.abc import Sequence
from typing import Any

from pytest_cropdet.figures import Axis, Gap, bounded_text, gap_chart
from pytest_cropdet.report.html.blocks import Block, Chart, Section, Table, TableCell, Text, cell, number_cell, sentence
from pytest_cropdet.report.ranking_lines import matrix_of, rank_text, ranking_intro
from pytest_cropdet.terms import Record

__all__ = ["ranking_headline", "ranking_numbers", "ranking_sections"]

_MEASURES = (("crop_ap", "on crops"), ("whole_ap", "on whole images"), ("drop", "lost by crops (the drop)"))
_LEGEND = (("whole", "the same objects in the whole image"), ("crop", "in the crop"))
_MOST_COLUMNS = 12  # of a matrix; more models are listed pair by pair


def ranking_headline(ranking: Record) -> str:
    """Return what a ranking says in a sentence."""
    return sentence(ranking_intro(ranking))


def ranking_numbers(ranking: Record) -> list[tuple[str, str]]:
    """Return the numbers at the head: ``(words, value)``."""
    numbers = [("models", len(ranking["models"])), ("images", ranking.get("images")), ("crops", ranking.get("crops"))]
    return [(words, f"{value:,}") for words, value in numbers if value is not None]


def ranking_sections(ranking: Record) -> list[Section]:
    """Return the sections of a ranking."""
    return [_models(ranking), *([_differences(ranking)] if ranking["pairs"] else [])]


def _models(ranking: Record) -> Section:
    metric, models = ranking.get("metric", "AP"), ranking["models"]
    gaps = [Gap(each["name"], each["ap"]["reference"], each["ap"]["crop"]) for each in models]
    scale = Axis.around([0.0, *(value for each in gaps for value in (each.reference, each.crop))], 0.02)
    rows = [
        [
            TableCell(rank_text(each["rank"]), float(each["rank"][0] + each["rank"][1]), number=True),
            cell(each["name"]),
            number_cell(each["ap"]["crop"]),
            number_cell(each["ap"]["reference"]),
            number_cell(each["drop"]),
            cell(each["detector"]["name"]),
        ]
        for each in models
    ]
    blocks: list[Block] = []
    if models:
        blocks.append(Chart(gap_chart(f"{metric} of each model", gaps, scale), legend=_LEGEND))
        head = ("rank", "model", f"{metric} on crops", "on whole images", "drop", "detector")
        blocks.append(Table("Models", head, rows, open=True))
    blocks += [Text(f"{each['name']}: {each['why']}.", warn=True, head="Left out:") for each in ranking["left_out"]]
    blocks += [] if ranking["note"] is None else [Text(sentence(ranking["note"]), warn=True)]
    lead = (
        f"In the order of {metric} on crops. A rank such as 1-2 says that the model may be the first or the second: "
        "its difference from a neighbour cannot be shown."
    )
    return Section("models", "Models", lead, blocks)


def _differences(ranking: Record) -> Section:
    metric, level = ranking["metric"], ranking["level"]
    wide = len(ranking["models"]) > _MOST_COLUMNS
    blocks = [
        (_list if wide else _matrix)(ranking, measure, f"{metric} {words}", fold=measure != "crop_ap")
        for measure, words in _MEASURES
    ]
    lead = (
        f"{'First minus second' if wide else 'The row minus the column'}, both models in the same resamples, with "
        f"{level:.0%} bounds. They are corrected for the number of pairs in a table by Holm's rule, so that one lucky "
        "pair among many does not count. A coloured sign marks a difference that can be shown."
    )
    return Section("differences", "Differences", lead, blocks)


def _matrix(ranking: Record, measure: str, caption: str, fold: bool) -> Table:
    cells, names = matrix_of(ranking, measure), [each["name"] for each in ranking["models"]]
    rows = [[cell(name), *(_difference(cells.get((name, other)), measure) for other in names)] for name in names]
    return Table(f"Differences of {caption}", ("row minus column", *names), rows, fold=fold, open=not fold)


def _list(ranking: Record, measure: str, caption: str, fold: bool) -> Table:
    rows: Sequence[Sequence[TableCell]] = [
        [
            cell(pair["first"]),
            cell(pair["second"]),
            _difference(pair[measure], measure),
            number_cell(pair[measure]["p_holm"]),
        ]
        for pair in ranking["pairs"]
    ]
    head = ("first", "second", "first minus second", "p, corrected")
    return Table(f"Differences of {caption}", head, rows, fold=fold, open=not fold)


def _difference(each: Any, measure: str) -> TableCell:
    if each is None:
        return TableCell("", None, number=True)
    text = bounded_text(each["value"], each["corrected_low"], each["corrected_high"])
    is_good = (each["value"] or 0.0) > 0.0
    if measure == "drop":
        is_good = not is_good
    dot = "" if not each["distinguishable"] else "pass" if is_good else "fail"
    return TableCell(text, each["value"], number=True, dot=dot)
