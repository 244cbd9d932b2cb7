"""TFRecords of the TF Object Detection API: shards, gzip, label maps, checksums, and what is refused."""

from __future__ import annotations

import gzip
import os
import pickle
import re
import struct
import time

import numpy as np
import pytest

from pytest_cropdet.data import GroundTruth, Sample, load_dataset
from pytest_cropdet.data.category_files import read_category_file
from pytest_cropdet.errors import DataError
from tests.data.pictures import encoded, quadrants, with_exif
from tests.data.writers import example, label_map, masked, png, record, tfrecord

NAMES = {1: "cat", 2: "dog"}


def features(**changes):
    """The features of an image of 48 x 32 with two objects, with changes; ``None`` leaves one out."""
    content = {
        "image__encoded": png(quadrants()),
        "image__filename": b"a.png",
        "image__width": 48,
        "image__height": 32,
        "image__object__bbox__xmin": [0.0, 0.25],
        "image__object__bbox__xmax": [0.5, 0.75],
        "image__object__bbox__ymin": [0.0, 0.5],
        "image__object__bbox__ymax": [0.5, 1.0],
        "image__object__class__label": [2, 1],
        "image__object__class__text": [b"dog", b"cat"],
        **changes,
    }
    return {key: value for key, value in content.items() if value is not None}


def write(folder, *examples, name="val.tfrecord"):
    (folder / name).write_bytes(b"".join(record(example(**each)) for each in examples))
    return folder / name


def only(path, **options):
    (sample,) = load_dataset(path, **options)
    return sample


def sample(number):
    pixels = np.full((32, 48, 3), number, np.uint8)
    return Sample(f"{number}.png", 48, 32, GroundTruth([[0.0, 0.0, 12.0, 8.0]], [1 + number % 2]), lambda: pixels)


def test_a_record_is_an_image_with_its_objects(tmp_path):
    data = load_dataset(write(tmp_path, features()))
    assert data[0].truth.boxes.tolist() == [[0, 0, 24, 16], [12, 16, 36, 32]]
    assert data[0].truth.categories.tolist() == [2, 1]
    assert dict(data.categories) == NAMES
    assert (data[0].id, data[0].path) == ("a.png", None)
    np.testing.assert_array_equal(data[0].image(), quadrants())


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("given", ["folder", "pattern", "file"])
def test_shards_are_read_in_order_and_images_in_any(tmp_path, zipped, given):
    samples = [sample(number) for number in range(7)]
    folder = tfrecord(tmp_path, samples, NAMES, shards=3, zipped=zipped)
    path = {"folder": folder, "pattern": folder / "val.tfrecord-*", "file": folder / "val.tfrecord-00001-of-00003"}[
        given
    ]
    data = pickle.loads(pickle.dumps(load_dataset(path)))
    expected = samples[3:6] if given == "file" else samples
    assert [each.id for each in data] == [each.id for each in expected]
    for row in (2, 0, 1, 0, len(data) - 1):
        assert data[row].image()[0, 0, 0] == int(data[row].id[:-4])


def test_a_file_is_known_by_its_content(tmp_path):
    assert len(load_dataset(write(tmp_path, features(), name="validation"))) == 1
    (tmp_path / "zipped").write_bytes(gzip.compress((tmp_path / "validation").read_bytes()))
    assert len(load_dataset(tmp_path / "zipped")) == 1


def test_missing_shards_and_several_sets_are_refused(tmp_path):
    folder = tfrecord(tmp_path, [sample(number) for number in range(6)], NAMES, shards=3)
    (folder / "val.tfrecord-00001-of-00003").unlink()
    with pytest.raises(DataError, match=r"2 of 3 shards of val\.tfrecord are there"):
        load_dataset(folder)
    write(folder, features(), name="train.tfrecord-00000-of-00001")
    with pytest.raises(DataError, match=r"several sets \(train\.tfrecord-\*, val\.tfrecord-\*\)"):
        load_dataset(folder)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("a.tfrecord", "b.tfrecord"):
        write(other, features(), name=name)
    with pytest.raises(DataError, match="several TFRecords: name one of"):
        load_dataset(other)


@pytest.mark.parametrize(
    "text",
    [
        "item { id: 7 name: 'cat' } item { name: \"dog\" id: 3 }",
        "item < id: 7, name: 'cat' >\nitem { id:3 name:'dog' }",
    ],
)
def test_the_text_decides_and_the_label_map_gives_the_ids(tmp_path, text):
    path = write(tmp_path, features(image__object__class__label=None))
    (tmp_path / "map.pbtxt").write_text(text)
    data = load_dataset(path)
    assert dict(data.categories) == {7: "cat", 3: "dog"}
    assert data[0].truth.categories.tolist() == [3, 7]
    assert data.layout == "TFRecord, val.tfrecord with map.pbtxt"


def test_display_names_are_shown_and_both_names_are_understood(tmp_path):
    path = write(tmp_path, features(image__object__class__text=[b"/m/0bt9lr", b"cat"]))
    (tmp_path / "map.pbtxt").write_text(
        '# a map\nitem { name: "/m/0bt9lr" id: 5 display_name: "dog" keypoints { id: 1 } }\nitem { name: "cat" id: 9 }'
    )
    data = load_dataset(path)
    assert dict(data.categories) == {5: "dog", 9: "cat"}
    assert data[0].truth.categories.tolist() == [5, 9]


def test_labels_alone_are_ids_and_texts_alone_have_none(tmp_path):
    assert dict(load_dataset(write(tmp_path, features(image__object__class__text=None))).categories) == {1: "1", 2: "2"}
    data = load_dataset(write(tmp_path, features(image__object__class__label=None)))
    assert dict(data.categories) == {1: "cat", 2: "dog"}
    assert type(data.categories).__name__ == "NamedCategories"


def test_labels_that_contradict_their_texts_need_a_label_map(tmp_path):
    path = write(tmp_path, features(), features(image__filename=b"b", image__object__class__label=[1, 2]))
    with pytest.raises(DataError, match=r"pair labels and texts in several ways.*--cropdet-data-labels FILE"):
        load_dataset(path)
    assert len(load_dataset(path, labels=label_map(tmp_path / "ids.pbtxt", NAMES))) == 2


def test_flags_areas_and_groups_are_read(tmp_path):
    truth = only(
        write(
            tmp_path,
            features(
                image__object__is_crowd=[0, 0],
                image__object__group_of=[1, 0],
                image__object__difficult=[0, 1],
                image__object__area=[100.0, 90.5],
            ),
        )
    ).truth
    assert truth.crowd.tolist() == [True, False]
    assert truth.ignored.tolist() == [False, True]
    assert truth.areas.tolist() == [100.0, 90.5]


def test_an_image_without_a_size_has_that_of_its_header(tmp_path):
    jpeg = with_exif(encoded(quadrants(), ".jpg"), 6)
    changes = {"image__encoded": jpeg, "image__width": None, "image__height": None}
    found = only(write(tmp_path, features(**changes)))
    assert (found.width, found.height) == (32, 48)
    assert found.image().shape == (48, 32, 3)


def test_images_of_one_name_or_none_are_called_by_their_record(tmp_path):
    path = write(tmp_path, features(), features(), features(image__filename=None))
    assert [each.id for each in load_dataset(path)] == ["a.png", f"{path}: record 2", f"{path}: record 3"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image__encoded": None}, r"record 1 has no image/encoded, .*; it has image/filename"),
        ({"image__encoded": [b"", b""]}, "has no image/encoded"),
        ({"image__encoded": b"", "image__width": None, "image__height": None}, "is an empty file"),
        (
            {"image__encoded": b"no image", "image__width": None, "image__height": None},
            "cannot read the size of the image in",
        ),
        ({"image__width": 10**6, "image__height": 10**6}, "a size of 1000000 x 1000000 pixels"),
        ({"image__width": -4}, "a size of -4 x 32"),
        ({"image__width": [1, 2]}, "must be one whole number each"),
        ({"image__object__bbox__xmin": [0.0]}, "xmin, ymin, xmax, ymax have 1, 2, 2, 2 values"),
        ({"image__object__bbox__xmin": [b"a", b"b"]}, "must be numbers, is text"),
        ({"image__object__bbox__xmin": [float("nan"), 0.1]}, "object 1: box nan 0 0.5 0.5 is outside of 0 to 1"),
        ({"image__object__bbox__xmax": [24.0, 36.0]}, "is outside of 0 to 1; boxes of a TFRecord are in sides"),
        ({"image__object__bbox__xmax": [0.5, 0.1]}, "object 2: box .* has its second corner before its first"),
        ({"image__object__class__label": [1]}, "class/label has 1 values for 2 boxes"),
        ({"image__object__class__text": [b"a"] * 3}, "class/text has 3 values for 2 boxes"),
        ({"image__object__class__text": None, "image__object__class__label": None}, "have neither"),
        ({"image__object__is_crowd": [1]}, "is_crowd has 1 values for 2 boxes"),
        ({"image__object__mask": [b"x"]}, "mask has 1 PNGs for 2 boxes"),
        ({"image__object__mask": [1.0, 0.0]}, "mask has numbers; masks are read as PNGs"),
        ({"image__object__mask": [png(np.zeros((9, 9), np.uint8))] * 2}, "not of the image's size, 48 x 32"),
        ({"image__object__mask": [png(quadrants())] * 2}, "it must be a grayscale PNG"),
    ],
)
def test_a_record_that_cannot_be_an_image_is_refused_with_its_place(tmp_path, changes, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        load_dataset(write(tmp_path, features(**changes)))
    assert "val.tfrecord" in str(caught.value)


def damaged(kind):
    """The bytes of a file of two records, of which something is wrong."""
    whole = record(example(**features())) + record(example(**features(image__filename=b"b.png")))
    length = struct.pack("<Q", 1 << 60)
    return {
        "zeros": b"\0" * 5000,
        "empty": b"",
        "cut in a content": whole[:-200],
        "cut in a length": whole + b"\1\0\0",
        "bit of a content": whole[:300] + bytes([whole[300] ^ 1]) + whole[301:],
        "bit of a length": bytes([whole[0] ^ 1]) + whole[1:],
        "length of 2^60": length + masked(length) + b"x" * 100,
        "no Example": record(b"\xff" * 50),
        "no gzip": b"\x1f\x8b" + b"x" * 100,
        "gzip cut": gzip.compress(whole)[:-30],
        "gzip of zeros": gzip.compress(b"\0" * 10_000_000),
        "gzip of 2^60": gzip.compress(length + masked(length)),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("zeros", "record 1: the checksum of its length is wrong"),
        ("empty", "lists no images"),
        ("cut in a content", "record 2 is cut off"),
        ("cut in a length", "record 3 is cut off: the file ends in its length"),
        ("bit of a content", "record 1: the checksum of its content is wrong"),
        ("bit of a length", "record 1: the checksum of its length is wrong"),
        ("length of 2^60", "record 1 has a length of 1,152,921,504,606,846,976 bytes; at most"),
        ("no Example", "record 1 is no tf.train.Example"),
        ("no gzip", "record 1: cannot be read"),
        ("gzip cut", "cannot be read"),
        ("gzip of zeros", "record 1: the checksum of its length is wrong"),
        ("gzip of 2^60", "record 1 has a length of 1,152,921,504,606,846,976 bytes"),
    ],
)
def test_a_damaged_file_is_one_error_with_file_and_record(tmp_path, kind, sentence):
    path = tmp_path / "val.tfrecord"
    path.write_bytes(damaged(kind))
    begun = time.perf_counter()
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        load_dataset(path)
    assert time.perf_counter() - begun < 5
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_that_changed_since_it_was_opened_is_refused(tmp_path, zipped):
    path = tfrecord(tmp_path, [sample(number) for number in range(3)], NAMES, zipped=zipped)
    data = load_dataset(path)
    plain = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    path.write_bytes(gzip.compress(plain[:100]) if zipped else plain[:100])
    with pytest.raises(DataError, match=r"the record at byte .* (cut off|missing)"):
        data[2].image()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "the id 1 is given twice"),
        ("item { id: 1 name: 'a' } item { id: 2 name: 'a' }", "the name 'a' is given twice"),
        ("item { name: 'a' }", "an item has no whole number as its id"),
        ("item { id: 1 }", "the category with the id 1 has no name"),
        ("item { id: 1 name: 'a'", "not a label map"),
        ("}{", "not a label map"),
        ("item { id: 1 name: 'a } ", "not a label map"),
        ("", "lists no categories"),
        ("{" * 100_000, "not a label map"),
        ("item { id: 1 name: 'x' }", "unknown category 'dog'; the label map has 1 x"),
    ],
)
def test_a_bad_label_map_is_refused_by_name(tmp_path, text, sentence):
    path = write(tmp_path, features())
    (tmp_path / "map.pbtxt").write_text(text)
    with pytest.raises(DataError, match=sentence):
        load_dataset(path)


def test_a_folder_of_images_beside_a_record_is_refused(tmp_path):
    with pytest.raises(DataError, match="a TFRecord contains its images; leave out --cropdet-images"):
        load_dataset(write(tmp_path, features()), images=tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "val.tfrecord")
    with pytest.raises(DataError, match="it is a named pipe"):
        load_dataset(tmp_path / "val.tfrecord")


@pytest.mark.tensorflow
@pytest.mark.usefixtures("needs_tensorflow")
def test_files_that_tensorflow_wrote_are_read(tmp_path):
    import tensorflow as tf

    def feature(value):
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    named = {key.replace("__", "/"): feature(value) for key, value in features().items()}
    content = tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()
    for kind in ("", "GZIP"):
        path = tmp_path / f"{kind}val.tfrecord"
        with tf.io.TFRecordWriter(str(path), kind) as writer:
            writer.write(content)
        assert only(path).truth.boxes.tolist() == [[0, 0, 24, 16], [12, 16, 36, 32]]
    assert not [each for each in tf.data.TFRecordDataset(str(write(tmp_path, features()))) if not each.numpy()]


def test_what_was_detected_in_a_record_is_known_again_as_that_in_the_same_file(tmp_path):
    from pytest_cropdet.inference import Cache

    data = load_dataset(write(tmp_path, features()))
    (tmp_path / "a.png").write_bytes(png(quadrants()))
    cache = Cache(tmp_path / "cache")
    file = Sample("a.png", 48, 32, data[0].truth, data[0].image, tmp_path / "a.png")
    assert cache.content_hash(data[0]) == cache.content_hash(file)
    other = load_dataset(write(tmp_path, features(image__encoded=png(quadrants()[::-1]))))
    assert cache.content_hash(other[0]) != cache.content_hash(file)
    assert cache.content_hash(Sample("a", 48, 32, data[0].truth, data[0].image)) is None


@pytest.mark.parametrize("written", [r"\303\204 \'x\'", r"\xc3\x84 'x'", r"\u00c4 \U00000027x'", "Ä 'x'"])
def test_names_in_a_label_map_have_the_escapes_of_protobuf(tmp_path, written):
    path = tmp_path / "map.pbtxt"
    path.write_text(f'item {{\n  id: 1\n  name: "{written}"\n}}\n', encoding="utf-8")
    assert read_category_file(path).names == {1: "Ä 'x'"}
