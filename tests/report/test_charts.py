"""The charts of the page, one by one."""

from __future__ import annotations

import copy

from pytest_cropdet.report.charts import figures
from tests.figures.test_svg import read


def test_figures_are_there_one_by_one(run, gate):
    found = figures(run)
    assert {"verdict", "why", "map", "where: category", "where: visible share of the object", "errors"} <= set(found)
    for each in found.values():
        assert each._repr_html_() == str(each)
        read(each)
    bare = copy.deepcopy(gate[0])
    bare.update(steps=None, fates=None, where=None, errors=None, shift=None, controls=None)
    assert set(figures(bare)) == {"verdict", "where"}
