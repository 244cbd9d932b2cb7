"""The measures of one's own on a gate, as a section."""

from pytest_cropdet.report.html.blocks import Section, Table, bounded_cell, cell
from pytest_cropdet.report.limit_rows import limit_text
from pytest_cropdet.terms import Record, one_line

__all__ = ["measures_section"]

MEASURE_COLUMNS = ("measure", "value", "unit", "better", "limit")


def measures_section(gate: Record) -> Section | None:
    """Return the numbers that tests measured by functions of their own or by name; ``None`` without any."""
    measures = gate.get("measures")
    if not measures:
        return None
    rows = [
        [
            cell(one_line(each["name"])),
            bounded_cell(each),
            cell(one_line(each["unit"])),
            cell("larger" if each["good"] else "smaller"),
            cell(limit_text(gate, each["name"])),
        ]
        for each in measures
    ]
    lead = "Numbers that the test measured beside the drop, with bounds from the same resamples of source images."
    return Section("measures", "Further measures", lead, [Table("Further measures", MEASURE_COLUMNS, rows)])
