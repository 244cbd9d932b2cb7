"""Data sets of plug-ins: what an entry point's function may return, and how mistakes in it are named."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from pytest_cropdet import GroundTruth, load_dataset
from pytest_cropdet.data.samples import Sample
from pytest_cropdet.errors import DataError
from tests.painted import Painted, sample


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package that does not need to be built: a module and the metadata of its entry points."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    made = ModuleType("made_plugin")
    monkeypatch.setitem(sys.modules, "made_plugin", made)

    def install(name="zoo-data", value="made_plugin:make", package="zoo", **attributes):
        info = site / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[pytest_cropdet.datasets]\n{name} = {value}\n")
        for key, each in attributes.items():
            setattr(made, key, each)

    return install


def two():
    return [sample("a.png", 20, 10, {1: (2, 2, 9, 9)}), sample("b.png", 20, 10, {})]


def test_a_plug_ins_data_set_is_opened_by_its_name(plugin):
    data = Painted(two())
    plugin(make=lambda: data)
    assert load_dataset("zoo-data") is data


def test_a_list_of_samples_is_a_data_set_with_the_functions_categories(plugin):
    def make():
        yield from two()

    make.categories = {1: "red", 2: "green"}
    plugin(make=make)
    data = load_dataset("zoo-data")
    assert (data.name, data.categories, len(data)) == ("zoo-data", {1: "red", 2: "green"}, 2)
    assert [each.id for each in data] == [data[0].id, data[1].id] == ["a.png", "b.png"]


def test_a_path_that_is_there_is_meant_before_a_plug_in(plugin, tmp_path, monkeypatch):
    plugin(make=lambda: pytest.fail("opened"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo-data").mkdir()
    with pytest.raises(DataError, match=r"the folder zoo-data is not recognised as a data set"):
        load_dataset("zoo-data")


def named(samples, names):
    def make():
        return samples

    make.categories = names
    return make


TWICE = [Sample("a.png", 9, 9, GroundTruth.empty(), lambda: np.zeros((9, 9, 3), np.uint8))] * 2


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (7, "is not a function that returns a data set but int"),
        (lambda: 7, "returned int; it must return a Dataset"),
        (lambda: ["a.png"], "returned str; it must return a Dataset"),
        (lambda: {"a": 1}, "returned dict; it must return a Dataset"),
        (lambda: 1 / 0, "failed: ZeroDivisionError: division by zero"),
        (two, r"returned samples without names of their categories \(1\); give the function an attribute `categories`"),
        (named(two(), {2: "green"}), "has objects of category 1, for which its `categories` have no name"),
        (named(TWICE, {}), "has two samples with the id 'a.png'"),
    ],
)
def test_what_is_no_data_set_is_named_with_the_plug_in(plugin, make, sentence):
    plugin(make=make)
    with pytest.raises(DataError, match=sentence) as caught:
        load_dataset("zoo-data")
    assert "the data set 'zoo-data' of the plug-in made_plugin:make" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [("no_such_module:make", "ModuleNotFoundError: No module named"), ("made_plugin:no", "AttributeError")],
)
def test_an_entry_point_that_leads_nowhere_is_named(plugin, value, sentence):
    plugin(value=value)
    with pytest.raises(DataError, match=f"the plug-in {value} cannot be loaded: {sentence}"):
        load_dataset("zoo-data")


def test_two_plug_ins_of_one_name_are_refused(plugin):
    plugin(make=two)
    plugin(value="made_plugin:other", package="zoo_two", other=two)
    with pytest.raises(
        DataError, match="several plug-ins have a data set 'zoo-data': made_plugin:make, made_plugin:other"
    ):
        load_dataset("zoo-data")


@pytest.mark.parametrize("said", [{"images": "folder"}, {"errors": "clip"}])
def test_options_about_files_do_not_apply_to_a_plug_ins_data(plugin, said):
    plugin(make=lambda: Painted(two()))
    with pytest.raises(DataError, match="is a plug-in's, which reads its own images and annotations"):
        load_dataset("zoo-data", **said)
