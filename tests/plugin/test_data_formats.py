"""Data sets of other formats under pytest: the header names the format, options reach the reader."""

import json
import shutil

import pytest

from pytest_cropdet.data import load_dataset
from tests.data import writers

QUICK = ("--cropdet-explain=off", "--cropdet-undecided=pass", "--cropdet-max-drop=0")


@pytest.fixture
def formats(project, tmp_path):
    """The project's pictures in every format."""
    data = load_dataset(project.data)
    samples, names = list(data), dict(data.categories)
    return {
        name: write(tmp_path / name.replace(" ", "_"), samples, names)
        for name, write in writers.FORMATS.items()
        if not (tmp_path / name.replace(" ", "_")).mkdir()
    }


@pytest.mark.parametrize("name", ["voc", "tfrecord"])
def test_the_header_names_the_format_and_the_gate_is_the_same(project, formats, said, name):
    path = formats[name]
    labels = writers.label_map(path.parent / "ids.pbtxt", dict(load_dataset(project.data).categories))
    more = (f"--cropdet-data-labels={labels}",) if name == "voc" else ()
    project.data = path
    result = project.gate("fakes:perfect", *QUICK, *more)
    assert result.ret == 0, said(result)
    layout = load_dataset(path).layout
    assert f"cropdet: data {path}: {layout}" in said(result)
    (gate,) = project.gates
    assert gate["drop"]["value"] == 0
    assert gate["dataset"] == str(path)


def test_a_pattern_names_shards_and_one_that_fits_nothing_is_one_failure(project, formats, said, tmp_path):
    data = load_dataset(project.data)
    shards = writers.tfrecord(tmp_path / "shards", list(data), dict(data.categories), shards=2)
    project.data = shards / "val.tfrecord-*"
    assert project.gate("fakes:perfect", *QUICK).ret == 0
    project.data = shards / "none-*"
    result = project.gate("fakes:perfect", *QUICK)
    assert result.ret == 1
    assert "No such file" in said(result)


def test_a_data_set_without_ids_needs_a_detector_with_names(project, formats, said):
    project.data = formats["voc"]
    result = project.gate("fakes:perfect", *QUICK)
    assert result.ret == 1
    assert "the data set gives no ids, so they cannot be paired" in said(result)
    assert "--cropdet-data-labels FILE" in said(result)


def test_a_fixture_may_return_a_list_of_samples(project, said):
    project.write(
        conftest=f"""
            import pytest
            from pytest_cropdet import dataset_from_records, load_dataset

            @pytest.fixture(scope="session")
            def cropdet_dataset():
                return list(load_dataset({str(project.data)!r}))
        """.replace("\n            ", "\n"),
        test_own="""
            def test_it(cropdet):
                assert cropdet.run("random:keep=0.8,per_image=1", explain="off").drop.value == 0
        """.replace("\n            ", "\n"),
    )
    result = project.pytest("test_own.py", "--cropdet-model=fakes:perfect")
    result.assert_outcomes(passed=1)


def test_a_folder_that_is_no_data_set_is_one_failure_and_has_no_line_in_the_header(project, said, without_tracebacks):
    folder = project.path / "nothing"
    folder.mkdir()
    (folder / "notes.md").write_text("x")
    project.data = folder
    result = project.gate("fakes:perfect", *QUICK)
    assert result.ret == 1
    assert "Recognised are:" in said(result)
    assert "cropdet: data " not in said(result)
    assert without_tracebacks(result)


def test_a_coco_json_is_named_too(project, said):
    shutil.copytree(project.data, project.path / "copy")
    assert json.loads((project.path / "copy" / "shapes.json").read_text())["images"]
    project.data = project.path / "copy"
    assert f"cropdet: data {project.data}: COCO JSON, shapes.json" in said(project.gate("fakes:perfect", *QUICK))


def test_a_second_run_on_a_tfrecord_calls_no_detector(project, formats):
    project.data = formats["tfrecord"]
    project.write(
        keeping="import fakes\n\nclass Kept(fakes.Finder):\n    fingerprint = 'finder 1'\n\n"
        "def make():\n    return Kept(loses_cut=True)\n"
    )
    found = []
    for _ in range(2):
        project.gate("keeping:make", "--cropdet-max-drop=0.9", "--cropdet-explain=off").assert_outcomes(passed=1)
        found.append((project.gates[0]["model_calls"], project.gates[0]["drop"]["value"]))
    assert found[0][0] > 0
    assert found[1] == (0, found[0][1])
