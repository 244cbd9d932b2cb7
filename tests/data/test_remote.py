"""Data sets and images at URLs: fsspec's file systems of memory and disk, and one that fails as networks do."""

from __future__ import annotations

import json
import pickle
import sys
import time
from typing import ClassVar

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from pytest_cropdet.data import load_annotations, load_dataset, load_images, name_layout, remote
from pytest_cropdet.data.data_warnings import DataWarning
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import is_url, shown_url
from tests.data import writers
from tests.data.pictures import coco, encoded, quadrants, write_set
from tests.data.test_archives import pack, same
from tests.support import made

KNOWN = made(4)


class Flaky(MemoryFileSystem):
    """The memory of fsspec, of which calls fail as often as said, or take too long, or are refused."""

    protocol = "flaky"
    errors: ClassVar[list[Exception]] = []  # each raised by one call
    calls = 0
    hang = 0.0  # seconds of the next call

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("flaky://", "memory://"))

    @classmethod
    def stumble(cls):
        cls.calls += 1
        seconds, cls.hang = cls.hang, 0.0
        time.sleep(seconds)
        if cls.errors:
            raise cls.errors.pop(0)

    def cat_file(self, path, start=None, end=None, **more):
        self.stumble()
        return super().cat_file(path, start, end, **more)

    def find(self, path, *given, **more):
        self.stumble()
        return super().find(path, *given, **more)


class Shop(Flaky):
    """A web server: it lists nothing."""

    protocol = ("https", "http")

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.replace("https://host/", "memory://set/").partition("?")[0])

    def find(self, path, *given, **more):
        raise AssertionError("a web server does not list its files")

    ls = glob = walk = find


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.001)
    Flaky.errors, Flaky.calls, Flaky.hang = [], 0, 0.0
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    yield
    fsspec.filesystem("memory").rm("/", recursive=True)


def upload(folder, url="memory://set"):
    """The files of a folder at a URL of the memory."""
    memory = fsspec.filesystem("memory")
    for file in folder.rglob("*"):
        if file.is_file():
            memory.pipe_file(f"{url}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return url


def written(tmp_path, name="coco"):
    (tmp_path / "local").mkdir()
    return writers.FORMATS[name](tmp_path / "local", list(KNOWN), KNOWN.categories)


@pytest.mark.parametrize("name", writers.FORMATS)
def test_a_set_at_a_url_is_the_set(tmp_path, name):
    path = written(tmp_path, name)
    known = load_dataset(path)
    upload(tmp_path / "local")
    inside = path.relative_to(tmp_path / "local").as_posix()
    for url in dict.fromkeys(("memory://set", f"memory://set/{inside}".removesuffix("/."))):
        found = load_dataset(url)
        same(found, known)
        assert (found.name, found.layout) == (url, known.layout)
        assert all(each.content_hash() is not None for each in found)
    assert len(load_annotations(url)) == len(load_annotations(path))
    assert name_layout(url) == "read through fsspec"


def test_a_set_on_a_disk_may_be_named_by_its_url(tmp_path):
    path = written(tmp_path)
    same(load_dataset(f"file://{path}"), load_dataset(path))
    same(load_dataset(path, f"file://{tmp_path}/local/images"), load_dataset(path))


def test_a_json_in_annotations_has_its_images_beside_that_folder(tmp_path):
    path = written(tmp_path)
    (path.parent / "annotations").mkdir()
    path.rename(path.parent / "annotations" / "instances_val.json")
    upload(tmp_path / "local")
    assert len(load_dataset("memory://set/annotations/instances_val.json")) == len(KNOWN)


def test_only_images_are_at_a_url_or_only_annotations(tmp_path):
    path = written(tmp_path)
    known = load_dataset(path)
    url = upload(tmp_path / "local")
    images = tmp_path / "local" / "images"
    same(load_dataset(path, f"{url}/images"), known)
    same(load_dataset(f"{url}/instances.json", images), known)
    same(load_images(f"{url}/images"), load_images(images))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_archives_may_be_at_a_url(tmp_path, kind):
    path = written(tmp_path)
    known = load_dataset(path)
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/set.packed/a." + kind, pack(tmp_path / "local", tmp_path / f"a.{kind}", "top").read_bytes())
    same(load_dataset(f"memory://set.packed/a.{kind}"), known)
    memory.pipe_file("/images." + kind, pack(tmp_path / "local/images", tmp_path / f"b.{kind}").read_bytes())
    same(load_dataset(path, f"memory://images.{kind}"), known)
    if kind == "zip":
        same(load_dataset("zip://top::memory://set.packed/a.zip"), known)


def test_an_image_is_fetched_once_for_its_hash_and_its_pixels_and_none_when_the_set_is_opened(tmp_path):
    path = written(tmp_path)
    upload(tmp_path / "local")
    found = load_dataset("flaky://set/instances.json")
    opened = Flaky.calls
    assert opened <= 4
    for sample in found:
        sample.content_hash()
        sample.image()
    assert Flaky.calls == opened + len(KNOWN)
    assert path.exists()


def test_a_data_set_at_a_url_goes_to_other_processes(tmp_path):
    written(tmp_path)
    url = upload(tmp_path / "local")
    for sample, twin in zip(pickle.loads(pickle.dumps(list(load_dataset(url)))), KNOWN, strict=True):
        np.testing.assert_array_equal(sample.image(), twin.image())


# What goes wrong


PASSING = [TimeoutError("slow"), ConnectionResetError("reset by peer"), OSError("network is unreachable")]


@pytest.mark.parametrize("errors", [PASSING[:1], PASSING])
def test_what_may_pass_is_tried_again(tmp_path, errors):
    written(tmp_path)
    upload(tmp_path / "local")
    found = load_dataset("flaky://set")
    Flaky.errors = list(errors)
    np.testing.assert_array_equal(found[0].image(), KNOWN[0].image())
    Flaky.errors = list(errors)
    same(load_dataset("flaky://set"), found)
    assert not Flaky.errors


def test_after_four_attempts_the_error_names_the_url(tmp_path):
    written(tmp_path)
    upload(tmp_path / "local")
    found = load_dataset("flaky://set")
    name = found[0].id
    Flaky.errors, Flaky.calls = [ConnectionResetError("reset by peer")] * 9, 0
    with pytest.raises(
        DataError, match=rf"^cannot read flaky://set/images/{name}: \S+Error: reset by peer, after 4 attempts$"
    ):
        found[0].image()
    assert Flaky.calls == 4


@pytest.mark.parametrize("error", [PermissionError("403"), FileNotFoundError("gone"), ValueError("odd")])
def test_what_cannot_pass_is_not_tried_again(tmp_path, error):
    written(tmp_path)
    upload(tmp_path / "local")
    found = load_dataset("flaky://set")
    Flaky.errors, Flaky.calls = [error] * 9, 0
    with pytest.raises(DataError, match=r"^cannot read flaky://set/images/\S+: "):
        found[0].image()
    assert Flaky.calls == 1


def test_a_call_that_hangs_is_left_behind_and_made_again(tmp_path, monkeypatch):
    written(tmp_path)
    upload(tmp_path / "local")
    found = load_dataset("flaky://set")
    monkeypatch.setattr(remote, "CALL_SECONDS", 0.1)
    Flaky.hang, begun = 1.0, time.monotonic()
    np.testing.assert_array_equal(found[0].image(), KNOWN[0].image())
    assert time.monotonic() - begun < 0.9
    time.sleep(max(0.0, begun + 1.1 - time.monotonic()))  # the call that was left behind has ended


def test_a_long_file_is_read_in_pieces_each_of_which_is_tried_again(tmp_path, monkeypatch):
    path = written(tmp_path)
    upload(tmp_path / "local")
    monkeypatch.setattr(remote, "_CHUNK", 500)
    monkeypatch.setattr("pytest_cropdet.data.staging._SMALL", 1)
    known = load_dataset(path)
    Flaky.errors = [TimeoutError("slow")] * 2
    same(load_dataset("flaky://set"), known)
    assert path.stat().st_size > 1500
    assert Flaky.calls > path.stat().st_size // 500


def test_what_is_not_there_is_named_by_its_url(tmp_path):
    with pytest.raises(DataError, match=r"memory://none"):
        load_dataset("memory://none/instances.json")
    write_set(tmp_path)
    upload(tmp_path)
    fsspec.filesystem("memory").rm("/set/a.png")
    with pytest.raises(
        DataError, match=r"^memory://set/instances\.json: missing in memory://set: a\.png \(of 2 images\)"
    ):
        load_dataset("memory://set/instances.json")
    with pytest.raises(DataError, match=r"^memory://nothing contains no images"):
        load_images("memory://nothing")


def test_warnings_name_the_url(tmp_path):
    content = coco()
    content["annotations"][0]["segmentation"] = [1, 2, 3]
    write_set(tmp_path, content)
    upload(tmp_path)
    with pytest.warns(DataWarning, match=r"^memory://set/instances\.json: 1 mask is malformed"):
        load_dataset("memory://set/instances.json")


def test_a_picture_that_is_damaged_is_named_by_its_url(tmp_path):
    write_set(tmp_path)
    (tmp_path / "b.png").write_bytes(encoded(quadrants())[:-20])
    upload(tmp_path)
    with pytest.raises(DataError, match=r"the image memory://set/b\.png is cut off"):
        load_dataset("memory://set/instances.json")[1].image()


def test_a_file_larger_than_an_image_may_be_is_refused(tmp_path, monkeypatch):
    write_set(tmp_path)
    upload(tmp_path)
    monkeypatch.setattr(remote, "LARGEST_MEMBER", 10)
    with pytest.raises(DataError, match=r"memory://set/a\.png has [\d,]+ bytes; at most 10 are read"):
        load_dataset("memory://set/instances.json")[0].image()


# Web servers


@pytest.fixture
def _web():
    fsspec.register_implementation("https", Shop, clobber=True)
    yield
    _registry.pop("https", None)


@pytest.mark.usefixtures("_web")
def test_a_web_server_gives_single_files_and_lists_none(tmp_path):
    path = written(tmp_path)
    known = load_dataset(path)
    upload(tmp_path / "local")
    same(load_dataset("https://host/instances.json"), known)
    same(load_dataset(path, "https://host/images/"), known)
    with pytest.raises(DataError, match="a web server does not list its files; name one file"):
        load_dataset("https://host/")
    fsspec.filesystem("memory").rm(f"/set/images/{known[1].id}")
    with pytest.raises(DataError, match=rf"^cannot read https://host/images/{known[1].id}: no such file$"):
        load_dataset("https://host/instances.json")[1].image()


@pytest.mark.usefixtures("_web")
def test_secrets_in_a_url_are_in_no_message(tmp_path):
    path = written(tmp_path)
    upload(tmp_path / "local")
    found = load_dataset("https://host/instances.json?X-Signature=secret", path.parent / "images")
    assert (found.name, len(found)) == ("https://host/instances.json?...", len(KNOWN))
    with pytest.raises(DataError) as caught:
        load_dataset("https://host/gone.json?X-Signature=secret")
    assert "secret" not in str(caught.value)
    assert "https://host/gone.json" in str(caught.value)
    assert shown_url("s3://key:word@bucket/a") == "s3://bucket/a"


@pytest.mark.usefixtures("_web")
def test_a_url_inside_a_data_set_is_not_followed(tmp_path):
    content = coco()
    write_set(tmp_path, content)
    content["images"][0]["file_name"] = "https://host/a.png"
    (tmp_path / "instances.json").write_text(json.dumps(content))
    upload(tmp_path)
    with pytest.raises(DataError, match=r"missing in .*: https://host/a\.png \(of 2 images\)"):
        load_dataset("memory://set/instances.json")
    with pytest.raises(DataError, match=r"missing in .*: https://host/a\.png \(of 2 images\)"):
        load_dataset(tmp_path / "instances.json")


@pytest.mark.usefixtures("_web")
def test_a_name_that_leads_out_is_not_read_from_a_web_server(tmp_path):
    content = coco()
    write_set(tmp_path, content)
    content["images"][0]["file_name"] = "../other/a.png"
    (tmp_path / "instances.json").write_text(json.dumps(content))
    upload(tmp_path)
    with pytest.raises(DataError, match=r"outside of the data set https://host: \.\./other/a\.png\. "):
        load_dataset("https://host/instances.json")
    files = remote.RemoteFiles("https://host/images")
    assert "a.png" in files
    assert "../a.png" not in files
    assert "" not in files


# Packages


def test_a_missing_fsspec_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(DataError, match=r"memory://set is read through fsspec: pip install 'pytest-cropdet\[remote\]'"):
        load_dataset("memory://set")


@pytest.mark.parametrize(("url", "package"), [("s3://b/a.json", "s3fs"), ("gs://b/a.json", "gcsfs")])
def test_a_missing_driver_is_named_with_the_line_that_installs_it(monkeypatch, url, package):
    monkeypatch.setitem(sys.modules, package, None)
    line = rf"pip install 'pytest-cropdet\[remote\]' {package}$"
    with pytest.raises(DataError, match=rf"^{url} needs {package} .*{line}"):
        load_dataset(url)


def test_a_scheme_that_nobody_knows_is_refused():
    with pytest.raises(DataError, match=r"cannot open nonsense://a: ValueError: .*nonsense"):
        load_dataset("nonsense://a")


def test_paths_are_no_urls():
    assert not any(map(is_url, ("a/b.json", "/a/b", "C:\\a", "C:/a", "painted:a", None, "tfserving:http://h/v1")))
