"""Data sets and images in zip and tar archives: the same samples as from folders, and bad archives refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import pickle
import shutil
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet.data import load_annotations, load_dataset, load_images, name_layout
from pytest_cropdet.data.archives import open_archive
from pytest_cropdet.data.data_warnings import DataWarning
from pytest_cropdet.errors import DataError
from pytest_cropdet.inference import Cache
from tests.data import writers
from tests.data.pictures import coco, encoded, quadrants, write_set
from tests.support import made

KNOWN = made(4)
PACKED = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


def pack(folder: Path, path: Path, top: str = "") -> Path:
    """Everything below a folder in an archive, in a folder ``top``."""
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    names = [str(Path(top) / each.relative_to(folder)) for each in files]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, name in zip(files, names, strict=True):
                archive.write(file, name)
        return path
    mode = {".tar": "w", ".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix]
    with tarfile.open(path, mode) as archive:
        for file, name in zip(files, names, strict=True):
            archive.add(file, name)
    return path


def zip_of(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def same(one, other):
    """Two data sets are the same in all that a run reads of them."""
    assert dict(one.categories) == dict(other.categories)
    assert [each.id for each in one] == [each.id for each in other]
    for sample, twin in zip(one, other, strict=True):
        assert (sample.width, sample.height, repr(sample.truth)) == (twin.width, twin.height, repr(twin.truth))
        np.testing.assert_array_equal(sample.image(), twin.image())


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "zip") for name in writers.FORMATS), ("voc", "tar"), *(("coco", kind) for kind in PACKED[1:])],
)
def test_a_whole_set_in_an_archive_is_the_set(tmp_path, name, kind):
    folder = tmp_path / "set"
    folder.mkdir()
    writers.FORMATS[name](folder, list(KNOWN), KNOWN.categories)
    archive = pack(folder, tmp_path / f"packed.{kind}", "deep/set")
    found, known = load_dataset(archive), load_dataset(folder)
    same(found, known)
    assert found.name == str(archive)
    assert found.layout == known.layout
    assert name_layout(archive) == "in an archive"
    assert len(load_annotations(archive)) == len(load_annotations(folder))
    if name != "tfrecord":
        assert [each.content_hash() for each in found] == [
            hashlib.sha256(each.path.read_bytes()).hexdigest() for each in known
        ]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("top", ["", "images"])
@pytest.mark.parametrize("name", ["coco", "voc", "csv tutorial"])
def test_the_folder_of_images_may_be_an_archive(tmp_path, name, top, kind):
    path = writers.FORMATS[name](tmp_path, list(KNOWN), KNOWN.categories)
    known = list(load_dataset(path))
    pixels = [each.image() for each in known]
    writers.copy(tmp_path / "photos", known)
    archive = pack(tmp_path / "photos", tmp_path / f"packed.{kind}", top)
    for each in known:
        each.path.unlink()
    found = load_dataset(path, archive)
    assert [(each.id, repr(each.truth)) for each in found] == [(each.id, repr(each.truth)) for each in known]
    for sample, picture in zip(found, pixels, strict=True):
        assert sample.path is None
        np.testing.assert_array_equal(sample.image(), picture)


@pytest.mark.parametrize("place", ["images.zip", "images.tar"])
def test_an_archive_beside_a_coco_json_is_found_by_its_name(tmp_path, place):
    path = writers.coco(tmp_path, list(KNOWN), KNOWN.categories)
    archive = pack(tmp_path / "images", tmp_path / place)
    shutil.rmtree(tmp_path / "images")
    assert [each.image().shape for each in load_dataset(path)] == [each.image().shape for each in KNOWN]
    archive.rename(tmp_path / "others.zip")
    with pytest.raises(DataError, match="no picture found"):
        load_dataset(path)


def test_an_archive_in_the_manner_of_coco_is_found_by_its_split(tmp_path):
    (tmp_path / "annotations").mkdir()
    path = writers.coco(tmp_path, list(KNOWN), KNOWN.categories)
    path = path.rename(tmp_path / "annotations" / "instances_val2017.json")
    pack(tmp_path / "images", tmp_path / "val2017.zip", "val2017")
    shutil.rmtree(tmp_path / "images")
    assert len(load_dataset(path)) == len(KNOWN)


def test_a_file_in_an_archive_is_named_by_its_path(tmp_path):
    for split in ("train", "val"):
        (tmp_path / "set").mkdir(exist_ok=True)
        writers.coco(tmp_path / "set", list(KNOWN), KNOWN.categories).rename(tmp_path / "set" / f"{split}.json")
    archive = pack(tmp_path / "set", tmp_path / "set.zip")
    with pytest.raises(DataError, match=r"set\.zip is not recognised .* exactly one \.json .*train\.json, val\.json"):
        load_dataset(archive)
    assert len(load_dataset(archive / "val.json")) == len(KNOWN)
    with pytest.raises(DataError, match=r"set\.zip/gone\.json: no such file or folder"):
        load_dataset(archive / "gone.json")


def test_images_alone_may_be_an_archive(tmp_path):
    writers.copy(tmp_path / "photos", KNOWN)
    archive = pack(tmp_path / "photos", tmp_path / "photos.zip", "photos")
    same(load_images(archive), load_images(tmp_path / "photos"))
    with pytest.raises(DataError, match=r"empty\.zip contains no images"):
        load_images(zip_of(tmp_path / "empty.zip", **{"a.txt": b""}))


def test_images_of_yolo_are_not_taken_from_an_archive_without_labels(tmp_path):
    path = writers.yolo(tmp_path, list(KNOWN), KNOWN.categories)
    archive = pack(tmp_path / "images", tmp_path / "images.zip")
    with pytest.raises(DataError, match="name the whole set: --cropdet-data with an archive or a URL of both"):
        load_dataset(path, archive)


def test_messages_and_warnings_name_the_archive_not_the_copies(tmp_path):
    content = coco()
    content["annotations"][0]["segmentation"] = [1, 2, 3]
    folder = write_set(tmp_path / "set", content).parent
    archive = pack(folder, tmp_path / "set.zip")
    with pytest.warns(DataWarning, match=rf"^{archive}/instances\.json: .*segmentation"):
        load_dataset(archive)
    content["annotations"][0]["bbox"] = [0, 0, -1, 1]
    write_set(tmp_path / "set", content)
    with pytest.raises(DataError, match=rf"^{archive}/\S+\.json: .*negative size"):
        load_dataset(pack(folder, archive))


def test_nothing_is_decoded_when_a_set_is_opened_and_copies_go_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "set").mkdir()
    writers.coco(tmp_path / "set", list(KNOWN), KNOWN.categories)
    archive = pack(tmp_path / "set", tmp_path / "set.zip")
    monkeypatch.setattr("cv2.imdecode", None)
    found = load_dataset(archive)
    copied = sorted(each.name for each in (tmp_path / "temporary").rglob("*") if each.is_file())
    assert copied == ["instances.json"]
    del found
    assert not list((tmp_path / "temporary").iterdir())


def test_what_macos_adds_to_a_zip_is_no_image(tmp_path):
    picture = encoded(quadrants(), ".png")
    archive = zip_of(tmp_path / "a.zip", **{"a.png": picture, "__MACOSX/._a.png": b"x", "._b.png": b"x"})
    assert [each.id for each in load_images(archive)] == ["a.png"]


def test_backslashes_of_windows_separate_folders(tmp_path):
    archive = zip_of(tmp_path / "a.zip", **{"x\\a.png": encoded(quadrants(), ".png"), "y\\b.png": b""})
    assert open_archive(str(archive)).names() == ["x/a.png", "y/b.png"]


def test_detections_in_images_of_an_archive_are_kept_under_the_same_key_as_those_in_files(tmp_path):
    writers.copy(tmp_path / "photos", KNOWN)
    packed = load_images(pack(tmp_path / "photos", tmp_path / "photos.tar"))
    cache = Cache(tmp_path / "cache")
    for sample, twin in zip(packed, load_images(tmp_path / "photos"), strict=True):
        assert cache.content_hash(sample) == cache.content_hash(twin) is not None
    cache.close()


# Threads and processes


def _sum(sample) -> int:
    return int(sample.image().sum())


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_threads_and_other_processes_read_the_right_images(tmp_path, kind):
    writers.copy(tmp_path / "photos", KNOWN)
    found = load_images(pack(tmp_path / "photos", tmp_path / f"photos.{kind}"))
    known = [_sum(each) for each in KNOWN]
    store = found[0].read.args[0]
    wrong: list[int] = []

    def read(number: int) -> None:
        for turn in range(40):
            row = (turn * 7 + number) % len(known)
            store._recent.clear()
            if _sum(found[row]) != known[row]:
                wrong.append(row)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    assert not wrong
    assert [_sum(each) for each in pickle.loads(pickle.dumps(list(found)))] == known


class _Slow:
    """A file between whose seeks and reads others have their turn."""

    def __init__(self, path: Path) -> None:
        self.stream = path.open("rb")

    def __getattr__(self, name):
        time.sleep(0.0001)
        return getattr(self.stream, name)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_threads_have_their_turns_one_after_another(tmp_path, kind):
    for number in range(8):
        (tmp_path / f"{number}.txt").write_bytes(b"%d" % number * 3000)
    path = pack(tmp_path, tmp_path.parent / f"turns.{kind}")
    archive = open_archive(str(path), lambda: _Slow(path))
    wrong: list[int] = []

    def read(number: int) -> None:
        wrong.extend(number for _ in range(5) if archive.read(f"{number}.txt") != b"%d" % number * 3000)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    archive.close()
    assert not wrong


@pytest.mark.subprocess
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_after_a_fork_each_process_has_the_archive_open_for_itself(tmp_path, kind):
    content = np.random.default_rng(0).bytes(300_000)  # more than any buffer of the file has
    (tmp_path / "a.txt").write_bytes(content)
    archive = open_archive(str(pack(tmp_path, tmp_path.parent / f"fork.{kind}")))
    assert archive.read("a.txt") == content
    inherited = archive._raw.fileno()
    os.lseek(inherited, 7, os.SEEK_SET)  # as this process may be in the middle of a read
    queue = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(archive.read("a.txt")))
    child.start()
    assert queue.get() == content
    child.join()
    assert os.lseek(inherited, 0, os.SEEK_CUR) == 7
    archive.close()


# Bad archives


def test_names_that_lead_out_of_an_archive_are_refused(tmp_path):
    for name in ("../a.png", "/etc/a.png", "x/../../a.png", "..\\a.png", "C:\\a.png"):
        with pytest.raises(DataError, match="a name that leads out of the archive: refused"):
            load_images(zip_of(tmp_path / "a.zip", **{name: encoded(quadrants(), ".png")}))
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("../../a.png"), io.BytesIO())
    with pytest.raises(DataError, match="leads out of the archive"):
        load_images(path)


def test_links_and_devices_in_a_tar_are_followed_inside_it_alone(tmp_path):
    picture = encoded(quadrants(), ".png")
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("x/a.png")
        info.size = len(picture)
        archive.addfile(info, io.BytesIO(picture))
        for name, kind, target in [
            ("x/hard.png", tarfile.LNKTYPE, "x/a.png"),
            ("soft.png", tarfile.SYMTYPE, "x/a.png"),
            ("out.png", tarfile.SYMTYPE, "../../../etc/passwd"),
            ("far.png", tarfile.SYMTYPE, "/etc/passwd"),
            ("pipe.png", tarfile.FIFOTYPE, ""),
            ("zero.png", tarfile.CHRTYPE, ""),
        ]:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            archive.addfile(link)
    assert [each.id for each in load_images(path)] == ["soft.png", "x/a.png", "x/hard.png"]


def test_an_encrypted_zip_is_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", **{"a.png": encoded(quadrants(), ".png")})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip is encrypted \(a\.png\): unpack it with its password"):
        load_images(path)


def test_a_damaged_image_is_named_with_its_archive(tmp_path):
    picture = encoded(quadrants(), ".png")
    path = zip_of(tmp_path / "images.zip", **{"a.png": picture, "b.png": picture})
    data = bytearray(path.read_bytes())
    data[data.index(picture) + len(picture) // 2] ^= 0xFF
    path.write_bytes(data)
    (tmp_path / "a.json").write_text(json.dumps(coco()))
    found = load_dataset(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"images\.zip: a\.png cannot be read: it is damaged \(Bad CRC-32"):
        found[0].image()
    assert found[1].image().shape == quadrants().shape


@pytest.mark.parametrize("kind", PACKED)
def test_an_archive_that_is_cut_off_is_refused(tmp_path, kind):
    writers.copy(tmp_path / "photos", KNOWN)
    path = pack(tmp_path / "photos", tmp_path / f"photos.{kind}")
    data = path.read_bytes()
    end = data.rindex(b"IEND") + 512 if kind == "tar" else len(data)
    for length in (0, 1, 100, end // 3, end // 2, end - 700 if end > 1400 else end // 4):
        path.write_bytes(data[:length])
        with pytest.raises(DataError, match=r"damaged|cut off|empty|no archive"):
            load_images(path)


def test_a_tar_with_a_broken_head_in_its_middle_does_not_lose_what_follows_silently(tmp_path):
    writers.copy(tmp_path / "photos", KNOWN)
    path = pack(tmp_path / "photos", tmp_path / "photos.tar")
    data = bytearray(path.read_bytes())
    at = data.index(b"ustar", 600) - 257
    data[at : at + 8] = b"\xffbroken\xff"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"damaged"):
        load_images(path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_what_is_no_archive_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"hello, this is only a text " * 50)
    with pytest.raises(DataError, match="it is damaged, or no archive"):
        load_images(tmp_path / name)
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 6000000\n")
    with pytest.raises(DataError, match="is a Git LFS pointer"):
        load_dataset(tmp_path / name)


@pytest.mark.parametrize("place", ["a.json", "a.png"])
def test_a_zip_bomb_is_refused_at_once(tmp_path, place):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(place, "w") as member:
        for _ in range(260):
            member.write(bytes(1 << 20))
    begun = time.process_time()
    with pytest.raises(DataError, match=r"more than|at most 268,435,456 are read of one file"):
        load_images(path)[0].image() if place == "a.png" else load_dataset(path)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(("packer", "ending"), [(gzip.compress, "gz"), (bz2.compress, "bz2")])
def test_a_compressed_tar_that_grows_without_end_is_refused(tmp_path, packer, ending):
    path = tmp_path / f"bomb.tar.{ending}"
    path.write_bytes(packer(bytes(80 << 20)))
    with pytest.raises(DataError, match=r"grows to more than 67,108,864 bytes .* refused"):
        load_images(path)


def test_a_name_twice_and_what_cannot_be_copied_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", b"2")
    with pytest.raises(DataError, match=r"contains 'a\.png' twice"):
        load_images(tmp_path / "a.zip")
    with pytest.raises(DataError, match="cannot be copied to"):
        load_dataset(zip_of(tmp_path / "b.zip", **{"a": b"1", "a/b.json": b"2"}))


def test_a_coco_name_that_leads_out_is_not_found_in_an_archive(tmp_path):
    content = coco()
    write_set(tmp_path / "set", content)
    content["images"][0]["file_name"] = "../../a.png"
    (tmp_path / "set" / "instances.json").write_text(json.dumps(content))
    (tmp_path / "a.png").write_bytes(encoded(quadrants()))
    with pytest.raises(DataError, match=r"outside of the data set \S*set\.zip: \.\./\.\./a\.png\. .*--cropdet-images"):
        load_dataset(pack(tmp_path / "set", tmp_path / "set.zip"))
