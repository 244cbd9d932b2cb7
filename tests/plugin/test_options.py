"""Marker over command line over ini file, for every option there is, in every form of the ini file."""

import json
import os
import shutil

import pytest

from pytest_cropdet.plugin.option_values import named_specs, parse_description
from pytest_cropdet.plugin.options import NOT_FOR_MARKERS, OPTIONS

# a value for the marker, the command line and the ini file; other options get theirs from their type
VALUES = {
    "model": ("fakes:make", "big=cli_model", "ini_model"),
    "detector": ("batch=4", "labels=cli_labels.txt", "labels=ini_labels.txt"),
    "data": ("marker_data", "cli_data", "small=ini_data"),
    "images": ("marker_images", "cli_images", "ini_images"),
    "train_data": ("marker_data", "cli_data", "ini_data"),
    "crops": ("tile", "random:keep=0.5", "tile:size=64"),
    "max_drop": ("0.3", "0.2", "0.1"),
    "max_worse": ("0.3", "0.2", "0.1"),
    "max_drop_worse": ("0.3", "0.2", "0.1"),
    "against": ("marker_model", "new=cli_model", "ini_model"),
    "baseline": ("marker.json", "cli.json", "ini.json"),
    "data_labels": ("marker_labels.txt", "cli_labels.txt", "ini_labels.txt"),
    "categories": ("red", "green", "blue"),
    "alias": ("red=ruby", "green=lime", "blue=navy,azure"),
    "group": ("warm=red,green", "cold=green,blue", "all=red,green,blue"),
    "min_visibility": (0.4, 0.3, 0.0),
    "seed": (12, 11, 0),
    "fill": ("gray", "blur", "mean"),
    "benchmark_families": ("tile", "random,tile", "edge"),
    "sliced": ("size=320", "size=640", "size=100,overlap=0.2"),
    "checks": ("gate", "search", "gate,invariants"),
    "workers": ("1", "2", "auto"),
    "tolerance": ("lost=0.1", "lost=0.2,mine=3", "stride=32"),
    "assume": ("ms=1", "ms=2", "ms=3,images=100"),
    "cluster": ("local:1", "tcp://127.0.0.1:8786", "local:2"),
    "cache": ("off", "cli_model", "ini_model"),
    "dir": ("marker_data", "cli_data", "ini_data"),
    "plan": ("marker_labels.txt", "cli_labels.txt", "ini_labels.txt"),
    "json": ("marker.json", "cli.json", "ini.json"),
    "history": ("marker.jsonl", "cli.jsonl", "ini.jsonl"),
    "history_time": ("now", "2026-01-31T12:00:00Z", "2026-01-31"),
    "history_commit": ("a", "b", "c"),
    "report": ("off", "cli_model", "ini_model"),
    "detections": ("marker_data", "cli_data", "ini_data"),
    "objects": ("marker.csv", "cli.csv", "ini.csv"),
}
BY_KIND = {"int": (12, 11, 10), "float": (0.4, 0.3, 0.2), "flag": (False, True, True)}
PYTEST = tuple(map(int, pytest.__version__.split(".")[:2]))


def values_of(option):
    """Return what marker, command line and ini file say of an option."""
    if option.choices:
        return option.choices[0], option.choices[-1], option.choices[min(1, len(option.choices) - 1)]
    return VALUES.get(option.name) or BY_KIND[option.kind]


def expected(option, value, folder):
    """Return what an option is looked up as: with absolute paths, several as a list."""
    name, equals, path = str(value).rpartition("=")
    if (folder / path).exists() or option.name in ("json", "objects", "baseline", "history"):
        value = f"{name}{equals}{folder / path}"
    return [value] if option.kind == "lines" else value


LOOKUP = """
import json, pathlib, pytest
from pytest_cropdet.plugin.configuration import setting
SHOULD = json.loads(pathlib.Path(__file__).with_name("should.json").read_text())

@pytest.mark.parametrize("name", SHOULD["session"])
def test_session(request, name):
    assert setting(request.config, name, request.node) == SHOULD["session"][name]

@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.cropdet(**{n: v})) for n, v in MARKERS.items()])
def test_marker(request, name):
    assert setting(request.config, name, request.node) == SHOULD["marker"][name]
"""


def ini_text(form):
    """Return an ini file that sets every option, in one of the forms pytest reads."""
    lines = []
    for option in OPTIONS:
        value = values_of(option)[2]
        if form == "[tool.pytest]":
            value = json.dumps([value] if option.kind == "lines" else value)
        elif form == "[tool.pytest.ini_options]":
            value = json.dumps(str(value))
        lines.append(f"cropdet_{option.name} = {value}")
    return "\n".join([form, *lines, ""])


@pytest.fixture
def layout(project, monkeypatch):
    """An ini file in one folder, pytest started in another, and in each the paths that are relative to it."""
    sub = project.path / "sub"
    sub.mkdir()
    for folder, names in ((project.path, ("ini", "marker")), (sub, ("cli",))):
        for name in names:
            for what in ("data", "images", "model"):
                (folder / f"{name}_{what}").mkdir()
            (folder / f"{name}_model" / "saved_model.pb").write_text("")
            (folder / f"{name}_labels.txt").write_text("red\n")
    monkeypatch.chdir(sub)
    monkeypatch.setenv("PYTHONPATH", str(project.path), prepend=os.pathsep)

    def look_up(session, form, *arguments, workers=0):
        markers = {each.name: values_of(each)[0] for each in OPTIONS if each.name not in NOT_FOR_MARKERS}
        folder = project.path if session == 2 else sub
        should = {
            "session": {each.name: expected(each, values_of(each)[session], folder) for each in OPTIONS},
            "marker": {each.name: expected(each, values_of(each)[0], project.path) for each in OPTIONS},
        }
        (project.path / "should.json").write_text(json.dumps(should))
        project.write(**{FORMS[form]: ini_text(form), "test_lookup": f"MARKERS = {markers}\n{LOOKUP}"})
        result = project.pytest("../test_lookup.py", *arguments, workers=workers)
        result.assert_outcomes(passed=len(OPTIONS) + len(markers))

    return look_up


FORMS = {"[pytest]": "pytest_ini", "[tool.pytest.ini_options]": "pyproject_toml", "[tool.pytest]": "pyproject_toml"}


@pytest.mark.parametrize("form", FORMS)
def test_each_ini_key_is_read_in_each_form_with_paths_relative_to_the_file(layout, form):
    if form == "[tool.pytest]" and PYTEST < (9, 0):
        pytest.skip("pytest reads [tool.pytest] from 9.0 on")
    layout(2, form)


def test_the_marker_wins_over_the_command_line_and_that_over_the_ini_file(layout, workers):
    flags = []
    for each in OPTIONS:
        flag, value = f"--cropdet-{each.name.replace('_', '-')}", values_of(each)[1]
        flags.append(flag if each.kind == "flag" else f"{flag}={value}")
    layout(1, "[pytest]", *flags, workers=workers)


def test_a_marker_names_model_data_and_limit_of_one_test(project):
    shutil.copytree(project.data, project.path / "near" / "other")
    project.write(
        near__test_own="""
import pytest

@pytest.mark.cropdet(model="fakes:perfect", data="other", crops="tile:size=40", max_drop=0.01)
def test_here(cropdet, cropdet_crops):
    cropdet.gate(cropdet_crops)

@pytest.mark.cropdet(max_drop=0.9)
def test_there(cropdet):
    cropdet.gate()
"""
    )
    result = project.pytest(
        "near",
        "--cropdet-model=fakes:make",
        f"--cropdet-data={project.data}",
        "--cropdet-json=out.json",
        "--cropdet-crops=random:keep=0.7-0.9,per_image=1",
    )
    result.assert_outcomes(passed=2)
    here, there = sorted(project.gates, key=lambda gate: gate["test"])
    assert here["test"] == "near/test_own.py::test_here[tile]"
    assert (here["limit"], here["drop"]["value"]) == (0.01, 0.0)
    assert here["dataset"] == str(project.path / "near" / "other" / "shapes.json")
    assert (there["limit"], there["dataset"]) == (0.9, str(project.data / "shapes.json"))
    assert sorted(project.notes) == ["loaded make", "loaded perfect"]


def test_models_are_called_by_the_shortest_name_that_tells():
    values = ["a/saved_model", "saved_model:b/saved_model", "big=m.pkg:make", "my.pkg.detectors:small", "x/net.tflite"]
    assert [each.name for each in named_specs(values, "model")] == ["a", "b", "big", "small", "net"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_convention_with_a_models_name_comes_before_one_for_all_whatever_their_order(order):
    values = ["old:range=0..1", "range=0..255", "boxes=xyxy"][::order]
    assert parse_description(values, "old", ["new", "old"]) == {"range": "0..1", "boxes": "xyxy"}
    assert parse_description(values, "new", ["new", "old"]) == {"range": "0..255", "boxes": "xyxy"}
