"""Data sets in archives and at URLs under pytest: options keep URLs as they are, gates are those of the folder."""

import shutil
import zipfile

import pytest

from pytest_cropdet.data import load_dataset
from pytest_cropdet.plugin.option_values import named_specs, resolve_paths

QUICK = ("--cropdet-explain=off", "--cropdet-undecided=pass", "--cropdet-max-drop=0")


@pytest.fixture
def packed(project, tmp_path):
    """The project's data set in a zip, and its images in another one."""
    pictures = sorted({each.path for each in load_dataset(project.data)})
    path, images = tmp_path / "set.zip", tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive, zipfile.ZipFile(images, "w") as other:
        json = project.data if project.data.is_file() else next(project.data.glob("*.json"))
        archive.write(json, "instances.json")
        for file in pictures:
            archive.write(file, f"images/{file.name}")
            other.write(file, file.name)
    return path, images


def numbers(project):
    (gate,) = project.gates
    return gate["drop"], gate["ap"] if "ap" in gate else gate.get("crop_ap")


def test_a_gate_on_an_archive_is_that_of_the_folder_and_its_detections_are_kept(project, packed, said):
    result = project.gate("fakes:perfect", *QUICK)
    assert result.ret == 0, said(result)
    known = numbers(project)
    folder, project.data = project.data, packed[0]
    for _ in range(2):
        result = project.gate("fakes:perfect", *QUICK)
        assert result.ret == 0, said(result)
        assert numbers(project) == known
        assert f"cropdet: data {packed[0]}: in an archive" in said(result)
    assert project.gates[0]["dataset"] == str(packed[0])
    json = project.path / "alone.json"
    shutil.copy(folder if folder.is_file() else next(folder.glob("*.json")), json)
    project.data = json
    assert project.gate("fakes:perfect", *QUICK, f"--cropdet-images={packed[1]}").ret == 0
    assert numbers(project) == known


def test_a_gate_on_a_url_is_that_of_the_folder_under_a_name_and_in_the_ini_file(project, said):
    assert project.gate("fakes:perfect", *QUICK).ret == 0
    known = numbers(project)
    url = project.data.absolute().as_uri()
    project.data = f"far={url}"
    result = project.gate("fakes:perfect", *QUICK)
    assert result.ret == 0, said(result)
    assert f"cropdet: data {url}: read through fsspec" in said(result)
    assert numbers(project) == known


@pytest.mark.parametrize("name", ["data", "images", "train_data"])
@pytest.mark.parametrize("url", ["s3://bucket/set", "https://host/a.zip?sig=a=b", "zip://set::gs://bucket/a.zip"])
def test_urls_stay_as_they_are(tmp_path, name, url):
    assert resolve_paths(name, url, tmp_path) == url
    if name == "data":
        assert resolve_paths(name, [url, f"far={url}"], tmp_path) == [url, f"far={url}"]
        assert [each.spec for each in named_specs([f"far={url}"], "data")] == [url]
    assert resolve_paths(name, "a/set.zip", tmp_path) == str(tmp_path / "a" / "set.zip")


def test_names_of_urls_are_short_and_have_no_secrets():
    values = [
        "s3://bucket/coco/instances.json",
        "https://host/deep/set.zip?X-Signature=secret.word",
        "gs://bucket/voc/",
    ]
    assert [each.name for each in named_specs(values, "data")] == ["coco", "set", "voc"]


def test_what_is_no_folder_and_no_archive_is_refused(project, said):
    (project.path / "notes.txt").write_text("x")
    result = project.gate("fakes:perfect", *QUICK, f"--cropdet-images={project.path / 'notes.txt'}")
    assert "notes.txt: no such folder or archive" in said(result)


def test_a_url_that_cannot_be_read_is_one_failure(project, said):
    project.data = "memory://nowhere/instances.json"
    result = project.gate("fakes:perfect", *QUICK)
    assert result.ret == 1
    assert "memory://nowhere" in said(result)
    assert "Traceback" not in said(result)
