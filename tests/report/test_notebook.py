"""What a notebook shows of a run, of a number, and of a comparison."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree

from pytest_cropdet import Crop, compare
from tests.report.made import HOSTILE, lossy
from tests.support import made, perfect


def test_a_run_shows_its_verdict_axis_and_steps(run):
    html = run._repr_html_()
    assert run.verdicts[0].headline.replace(">", "&gt;") in html
    assert html.count("<svg") == 2
    ElementTree.fromstring(html)
    unexplained = lossy(explain="off")
    before = unexplained.spent.model_calls
    assert unexplained._repr_html_().count("<svg") == 1
    assert unexplained.spent.model_calls == before  # to look at it asks the detector nothing


def test_names_are_text(run):
    for name in HOSTILE:
        html = dataclasses.replace(run, name=name, dataset=name)._repr_html_()
        ElementTree.fromstring(html)
        assert "<script>" not in html
        assert "<img" not in html


def test_a_drop_shows_its_value_and_bounds(run):
    html = run.drop._repr_html_()
    assert f"{run.drop.value:.3f} [{run.drop.low:.3f}, {run.drop.high:.3f}]" in html
    assert "mAP" in html
    assert "undefined" in dataclasses.replace(run.drop, value=None)._repr_html_()


def test_a_comparison_shows_a_table():
    data = made(images=1)
    image = data[0].image()
    html = compare(perfect(data), image, Crop(0, 0, 100, 80), score=0.1)._repr_html_()
    assert html.startswith("<table>")
