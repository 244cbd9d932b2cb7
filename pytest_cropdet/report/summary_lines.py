"""Lines of the terminal's section beside its table: verdicts where no table fits, and the mAP of whole images."""

from collections.abc import Mapping
from typing import Any

from pytest_cropdet.evaluation import bounds_text, digits
from pytest_cropdet.report.limit_rows import limit_rows
from pytest_cropdet.terms import fold

__all__ = ["VERDICT_WORDS", "narrow_rows", "shows_failures", "whole_image_text"]

VERDICT_WORDS = {"pass": "PASS", "fail": "FAIL", "error": "ERROR", "undecided": "UNDECIDED", "none": "MEASURED"}
LEAST_WIDTH = 12  # columns into which words are wrapped at the least


def narrow_rows(record: Mapping[str, Any], width: int) -> list[str]:
    """Return for each limit of a gate its verdict, value and limit, then its name, in lines no longer than ``width``.

    One string for each limit, with line breaks in it.
    """
    operators = {each["measure"]: each.get("operator", "<=") for each in record["verdicts"]}
    rows = []
    for row in limit_rows(record):
        bounds = bounds_text(row.low, row.high)
        limit = "" if row.limit is None else f", limit {operators.get(row.measure, '<=')} {digits(row.limit)}"
        text = f"{VERDICT_WORDS.get(row.verdict, row.verdict)} {row.measure} {digits(row.value)}{bounds}{limit}"
        rows.append("\n".join(fold(f"{text}; {row.gate}", max(LEAST_WIDTH, width), rest="  ")))
    return rows


def shows_failures(config: object) -> bool:
    """Whether pytest shows the text of each failure: then the steps of a gate are on the terminal already."""
    return getattr(getattr(config, "option", None), "tbstyle", "auto") not in ("no", "line")


def whole_image_text(record: Mapping[str, Any]) -> str | None:
    """Return mAP of the whole images by COCO's rules; ``None`` without ground truth."""
    whole = record.get("whole_images")
    if not whole or whole["mAP"] is None:
        return None
    numbers = f"{digits(whole['mAP'])}, AP50 {digits(whole['AP50'])}"
    return f"COCO mAP of whole images {numbers} ({whole['images']:,} images, uncut objects)"
