"""From the lines of a history to what is drawn of them."""

from collections.abc import Sequence

from pytest_cropdet.comparison import Trend
from pytest_cropdet.figures import TrendPanel, TrendPoint, chain_metric
from pytest_cropdet.terms import one_line

__all__ = ["trend_panels"]


def trend_panels(trends: Sequence[Trend]) -> list[TrendPanel]:
    """Return the panel of each gate's trend."""
    return [
        TrendPanel(
            title=one_line(trend.gate),
            metric=one_line(chain_metric(trend.lines[-1].content["metric"])),
            points=[
                TrendPoint(
                    label=one_line(line.label),
                    day=line.day,
                    value=line.drop["value"],
                    low=line.drop["low"],
                    high=line.drop["high"],
                    limit=line.content["limit"],
                    verdict=line.verdict,
                )
                for line in trend.lines
            ],
            breaks=trend.breaks,
            larger=[(part.first, part.until) for part in trend.larger],
        )
        for trend in trends
    ]
