"""A benchmark as a record, as properties of its test, as a table on the terminal, and as a row of a model card."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_cropdet.evaluation import bounds_text, digits
from pytest_cropdet.terms import one_line

__all__ = ["benchmark_lines", "model_card"]


def benchmark_lines(record: Mapping[str, Any]) -> list[str]:
    """Return the table of one benchmark: a row a cell, the means of each family, mPC and rPC, control lines."""
    found = record["benchmark"]
    level, wide = f"{found['level']:.0%}", _family_width(found)
    return [
        f"{record['name']}: {record['detector']['name']} on {record['dataset']}",
        f"{found['definition']} {found['mode']}, {found['metric']}: {found['crops']:,} crops of {found['images']:,} "
        f"images, {record['model_calls']:,} detector calls, {record['seconds']['total']:.0f} s",
        "",
        f"{'family':<{wide}}{'severity':>8}{'reference':>11}{'crop':>7}  {'bounds':<16}{'drop':>7}  bounds ({level})",
        *_rows(found),
        "",
        *_means(found),
        *(f"left out: {each}" for each in found["left_out"]),
        *(f"note: {each}" for each in found["notes"]),
        *(f"data: {each['text']}" for each in record.get("data_warnings") or ()),
    ]


def _rows(found: Mapping[str, Any]) -> Iterator[str]:
    for family in found["families"]:
        for cell in found["cells"]:
            if cell["family"] == family["family"]:
                yield _row(cell["family"], str(cell["severity"]), cell, _family_width(found))
        yield _row(family["family"], "mean", family, _family_width(found))


def _family_width(found: Mapping[str, Any]) -> int:
    return max([8, *(len(each["family"]) + 1 for each in found["families"])])


def _row(family: str, severity: str, numbers: Mapping[str, Any], wide: int) -> str:
    crop, drop = numbers["crop"], numbers["drop"]
    reference = _number(numbers["reference"]["value"])
    return (
        f"{family:<{wide}}{severity:>8}{reference:>11}{_number(crop['value']):>7}  {_bounds(crop):<16}"
        f"{_number(drop['value']):>7}  {_bounds(drop)}"
    ).rstrip()


def _means(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"mPC {_with_bounds(found['mpc'])}   mean AP of crops"
    yield f"rPC {_with_bounds(found['rpc'])}   mPC / mean AP of references {_number(found['reference']['value'])}"
    yield f"whole images: AP {_with_bounds(found['whole'])}"
    if found["shifts"] is not None:
        worst, best = found["shifts"]["worst"], found["shifts"]["best"]
        yield f"over shifts: AP {_number(worst)} (worst of each image) to {_number(best)} (best)"
    jitter = found["jitter"]
    lost = f"{_with_bounds(jitter['detections'])}, of the truth's own boxes {_with_bounds(jitter['truth'])}"
    yield f"a box error of {jitter['pixels']:g} px alone costs AP {lost}"


def model_card(records: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table to paste into a model card, a row a benchmark; AP is 0 to 1.

    Families are shown as the mean AP of their crops, left out ones as a dash; own ones after the built-in ones.
    """
    built_in = ("random", "tile", "object", "edge", "shift")
    others = [family["family"] for record in records for family in record["benchmark"]["families"]]
    families = tuple(dict.fromkeys([*built_in, *others]))
    names = ("detector", "data", "images", "whole", *families, "mPC", "rPC", "benchmark")
    rows = [" | ".join(names), "|".join("---" for _ in names)]
    for record in records:
        found = record["benchmark"]
        means = {family["family"]: family["crop"]["value"] for family in found["families"]}
        cells = [
            _short(record["detector"]["name"]),
            _short(record["dataset"]),
            str(found["images"]),
            _number(found["whole"]["value"]),
            *(_number(means[family]) if family in means else "-" for family in families),
            _with_bounds(found["mpc"]),
            _with_bounds(found["rpc"]),
            f"{found['definition']} {found['mode']}, {found['metric']}, seed {record['seed']}",
        ]
        rows.append(" | ".join(cells))
    return "\n".join(f"| {row} |" if "---" not in row else f"|{row}|" for row in rows)


def _short(name: str) -> str:
    """Return the last two parts of a path, which say enough and fit a table."""
    return one_line("/".join(name.replace("\\", "/").split("/")[-2:])).replace("|", "\\|")


def _with_bounds(number: Mapping[str, float | None]) -> str:
    return f"{_number(number['value'])}{bounds_text(number['low'], number['high'])}"


def _bounds(number: Mapping[str, float | None]) -> str:
    return bounds_text(number["low"], number["high"]).lstrip()


def _number(value: float | None) -> str:
    return "none" if value is None else digits(value)
