"""The data of the table of all crops: what is in it, and how large it is."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet.report.crop_rows import PLACE_LETTERS, crop_order, crop_rows
from pytest_cropdet.report.html import html_page
from pytest_cropdet.report.html.crop_table import shortened
from tests.report.made import told, varied

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "report.py"


@pytest.fixture(scope="module")
def run():
    return varied()


@pytest.fixture(scope="module")
def gate(run):
    return told(run)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("benchmark_of_the_report", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def data_of(page):
    return json.loads(page.partition('id="crops-data">')[2].partition("</script>")[0])


def test_the_rows_are_the_run_s_objects_that_changed(run, gate):
    rows = gate[1]["gallery"]["rows"]
    table = run.to_frame()
    changed = table[table["fate"].isin(["lost", "gained"])]
    assert rows["total"] == len(rows["place"]) == len(changed.groupby(["image", "left", "top", "width", "height"]))
    assert sum(rows["lost"]) == (changed["fate"] == "lost").sum() == rows["fate"].count("L")
    assert sum(rows["gained"]) == (changed["fate"] == "gained").sum() == rows["fate"].count("G")
    assert sorted(rows["categories"][each] for each in rows["category"]) == sorted(changed["category"])
    steps = [rows["steps"][PLACE_LETTERS.index(each)] for each in rows["step"]]
    assert sorted(steps) == sorted(changed["step"])
    assert sorted(rows["annotation"]) == sorted(changed["object"])


def test_the_bins_are_those_of_the_record(gate):
    """The bars count all objects of a bin, the table the changed ones: their difference is the net loss."""
    rows, where, compared = gate[1]["gallery"]["rows"], gate[0]["where"], 0
    for name in ("visibility", "distance_to_cut", "distance_to_border", "size"):
        for place, label in enumerate(rows["labels"][name]):
            (each,) = (bin_ for bin_ in where[name] if bin_["label"] == label)
            fates = [
                fate
                for fate, letter in zip(rows["fate"], rows["bins"][name], strict=True)
                if letter == PLACE_LETTERS[place]
            ]
            net, found = fates.count("L") - fates.count("G"), list(each["found"].values())
            if each["objects"] and found[0] is not None:  # too few objects have no share
                assert net == round(each["objects"] * (found[0] - found[-1]))
                compared += 1
            assert each["objects"] or not fates
    assert compared > 10
    lost = np.zeros(64, dtype=int)
    for fate, letter in zip(rows["fate"], rows["bins"]["cell"], strict=True):
        lost[PLACE_LETTERS.index(letter)] += fate == "L"
    assert lost.reshape(8, 8).tolist() == where["map"]["lost"]


def test_the_worst_crops_come_first_and_only_as_many_as_are_wanted(run, monkeypatch):
    rows = crop_rows(run, *crop_order(run))
    assert rows["lost"] == sorted(rows["lost"], reverse=True)
    assert run.worst.crop.left == rows["window"][0]
    monkeypatch.setattr("pytest_cropdet.report.crop_rows.MOST_ROWS", 5)
    few = crop_rows(run, *crop_order(run))
    assert few["total"] == rows["total"] > len(few["place"]) == 5
    assert few["fate"] == rows["fate"][: sum(rows["objects"][:5])]
    assert [few["files"][each] for each in few["file"]] == [rows["files"][each] for each in rows["file"][:5]]


def test_a_shorter_table_is_the_beginning_of_the_longer(gate):
    rows = gate[1]["gallery"]["rows"]
    short = shortened(rows, 7)
    objects = sum(rows["objects"][:7])
    assert short["place"] == rows["place"][:7]
    assert short["box"] == rows["box"][: 4 * objects]
    assert short["bins"]["cell"] == rows["bins"]["cell"][:objects]
    assert short["total"] == rows["total"]


def test_a_page_of_20_000_crops_is_below_6_mb_and_the_table_of_5_000_below_1_mb(script, gate):
    page = html_page(*([each] for each in script.many_crops(gate, 20_000, script.photograph())))
    assert len(page.encode()) < script.MOST_BYTES
    assert "lost least are left out" in page or len(data_of(page)["gates"][0]["place"]) == 20_000
    page = html_page(*([each] for each in script.many_crops(gate, 5_000, script.photograph())))
    assert len(data_of(page)["gates"][0]["place"]) == 5_000
    assert len(page.partition('id="crops-data">')[2].partition("</script>")[0]) < 1_000_000


def test_pictures_of_examples_have_their_share_of_a_full_page(script, gate):
    record, left = copy.deepcopy(script.many_crops(gate, 500, "A" * 100_000))
    page = html_page([record], [left])
    assert page.count("data:image/jpeg") == 2 * 17 + 2  # 3.4 MB, and the first screen's
    assert page.count('class="example-of"') >= 5
