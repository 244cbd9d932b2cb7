"""The charts of a page one by one, for notebooks and other documents."""

from collections.abc import Mapping
from typing import Any

from pytest_cropdet.figures import Svg, verdict_axis
from pytest_cropdet.gate import Run, run_record
from pytest_cropdet.report.html import causes
from pytest_cropdet.report.html.blocks import Chart
from pytest_cropdet.report.html.page import AFTER
from pytest_cropdet.report.limit_rows import drop_verdict

__all__ = ["figures"]


def figures(run: Run | Mapping[str, Any]) -> dict[str, Svg]:
    """Return the charts of a run, or of its record in the JSON, by name: ``verdict``, ``why``, ``where: category`` ...

    Each is text, an SVG element, and shows itself in a notebook. What is not known has no chart.
    """
    told = run_record(run) if isinstance(run, Run) else run
    found = {"verdict": verdict_axis({**told, "verdict": drop_verdict(told)})}
    sections = [causes.chain_section(told), causes.fates_section(told, None), *(each(told) for each in AFTER)]
    for section in filter(None, sections):
        charts = [block for block in section.blocks if isinstance(block, Chart)]
        for chart in charts:
            name = f"{section.id}: {chart.caption.partition(' (')[0].lower()}"
            found[name if len(charts) > 1 else section.id] = chart.svg
    return found
