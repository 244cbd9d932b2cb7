"""A ranking of several models in lines for the terminal, and as Markdown for the summary of a job."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_cropdet.evaluation import bounds_text, digits
from pytest_cropdet.terms import fold, one_line

__all__ = ["matrix_of", "rank_text", "ranking_intro", "ranking_rows", "ranking_table"]

_LONGEST_NAME = 26  # letters of a model in the terminal
_MOST_LINES = 12  # pairs that the terminal lists where the matrix is too wide for it
_HEAD = ("rank", "model", "on crops", "whole image", "drop")


def rank_text(rank: Sequence[int]) -> str:
    """Return a rank, or between which two it lies.

    >>> rank_text([1, 1]), rank_text([2, 3])
    ('1', '2-3')
    """
    best, worst = rank
    return f"{best}" if best == worst else f"{best}-{worst}"


def ranking_rows(ranking: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each model: rank, name, AP on crops, AP on whole images, drop."""
    return [
        (
            rank_text(each["rank"]),
            one_line(each["name"]),
            digits(each["ap"]["crop"]),
            digits(each["ap"]["reference"]),
            digits(each["drop"]),
        )
        for each in ranking["models"]
    ]


def ranking_intro(ranking: Mapping[str, Any]) -> str:
    """Return what a ranking says in a sentence."""
    pairs, metric = ranking["pairs"], ranking.get("metric", "AP")
    if not pairs:
        return "no two models can be compared"
    sure = [each for each in pairs if each["crop_ap"]["distinguishable"]]
    if not sure:
        return f"no difference of {metric} on crops can be shown between any two of these models"
    models = ranking["models"]
    first = one_line(models[0]["name"])
    if models[0]["rank"][1] == 1:
        others = "that of every other model" if len(models) > 2 else f"that of {one_line(models[1]['name'])}"
        return f"the highest {metric} on crops: {first}, clearly higher than {others}"
    *most, last = [one_line(each["name"]) for each in models if each["rank"][0] == 1]
    return f"the highest {metric} on crops: {', '.join(most)} or {last}, whose differences cannot be shown"


def matrix_of(ranking: Mapping[str, Any], measure: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the difference row - column of every two models, as a record's pair has it, in both directions."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for pair in ranking["pairs"]:
        first, second, each = pair["first"], pair["second"], pair[measure]
        found[first, second] = each
        found[second, first] = {
            **each,
            **{
                name: None if each[other] is None else 0.0 - each[other]
                for name, other in (
                    ("value", "value"),
                    ("low", "high"),
                    ("high", "low"),
                    ("corrected_low", "corrected_high"),
                    ("corrected_high", "corrected_low"),
                )
            },
        }
    return found


def ranking_table(ranking: Mapping[str, Any], width: int) -> list[str]:
    """Return a ranking in lines, none longer than ``width`` where that has room for its numbers; long names are cut."""
    metric, pairs = ranking.get("metric", "AP"), len(ranking["pairs"])
    lines = fold(_sentence(ranking_intro(ranking)), width)
    if len(ranking["models"]) > 1:
        rows = [(rank, _cut(name), *numbers) for rank, name, *numbers in ranking_rows(ranking)]
        lines += _aligned([_HEAD, *rows], 2)
    if pairs:
        head = (
            f"Differences of {metric} on crops, row minus column, with {ranking['level']:.0%} bounds"
            f"{f' corrected for {pairs} pairs' if pairs > 1 else ''}; * can be shown:"
        )
        matrix = _aligned(_matrix_rows(ranking), 1)
        fits = max(map(len, matrix)) <= width
        lines += ["", *fold(head if fits else head.replace("row minus column", "first minus second"), width)]
        lines += matrix if fits else _pair_lines(ranking)
    for each in ranking["left_out"]:
        lines += fold(f"left out: {one_line(each['name'])}: {one_line(each['why'])}", width, rest="  ")
    return lines if ranking["note"] is None else [*lines, *fold(f"note: {ranking['note']}", width)]


def _cut(name: str) -> str:
    """Return a name as the terminal has room for it: its end says more than its middle.

    >>> _cut("nets/v3"), _cut("a" * 20 + "/checkpoint-12000")
    ('nets/v3', 'aaaaaaaa...heckpoint-12000')
    """
    name = one_line(name)
    return name if len(name) <= _LONGEST_NAME else f"{name[:8]}...{name[11 - _LONGEST_NAME :]}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _matrix_rows(ranking: Mapping[str, Any]) -> list[tuple[str, ...]]:
    cells = matrix_of(ranking, "crop_ap")
    names = [each["name"] for each in ranking["models"]]
    rows = [("", *map(_cut, names[:-1]))]
    for place, name in enumerate(names[1:], 1):
        rows.append((_cut(name), *(_difference(cells[name, other]) for other in names[:place])))
    return [row + ("",) * (len(names) - len(row)) for row in rows]


def _difference(each: Mapping[str, Any]) -> str:
    sign = "" if digits(each["value"]).startswith(("-", "0.000", "u")) else "+"
    sure = "*" if each["distinguishable"] else " "
    return f"{sign}{digits(each['value'])}{bounds_text(each['corrected_low'], each['corrected_high'])}{sure}"


def _pair_lines(ranking: Mapping[str, Any]) -> list[str]:
    pairs = sorted(ranking["pairs"], key=lambda pair: (pair["crop_ap"]["p_holm"], -abs(pair["crop_ap"]["value"] or 0)))
    lines = [
        f"{_cut(each['first'])} - {_cut(each['second'])}: {_difference(each['crop_ap'])}".rstrip() for each in pairs
    ]
    more = len(lines) - _MOST_LINES
    return lines if more <= 0 else [*lines[:_MOST_LINES], f"and {more} more pairs, in the report and the JSON"]


def _aligned(rows: Sequence[tuple[str, ...]], left: int) -> list[str]:
    """Return rows as lines; the first ``left`` columns begin in line, the others end in line."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(wide) if place < left else cell.rjust(wide)
            for place, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
