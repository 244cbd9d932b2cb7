"""Pascal VOC: where its parts are, how coordinates count, and what is refused."""

from __future__ import annotations

import os
import re
import time

import numpy as np
import pytest

from pytest_cropdet.data import load_dataset
from pytest_cropdet.data.data_warnings import DataWarning
from pytest_cropdet.errors import DataError
from tests.data.pictures import encoded, quadrants, with_exif

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def thing(name="dog", box=(1, 1, 10, 20), more=""):
    return f"<object><name>{name}</name>{BOX.format(*box)}{more}</object>"


def xml(*things, file="a.png", size=(48, 32)):
    sides = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{file}</filename>{sides}{''.join(things)}</annotation>"


def write(folder, files, xmls="Annotations", images="JPEGImages", picture="{}.png"):
    """An XML and an image for each stem."""
    (folder / xmls).mkdir(parents=True, exist_ok=True)
    (folder / images).mkdir(parents=True, exist_ok=True)
    for stem, text in files.items():
        (folder / xmls / f"{stem}.xml").write_text(text, encoding="utf-8")
        (folder / images / picture.format(stem)).write_bytes(encoded(quadrants()))
    return folder


def only(folder):
    (sample,) = load_dataset(folder)
    return sample.truth


@pytest.mark.parametrize(
    ("xmls", "images"),
    [
        ("Annotations", "JPEGImages"),
        ("annotations", "images"),
        ("Annotation", "Images"),
        ("xml", "imgs"),
        (".", "."),
        ("Annotations", "."),
    ],
)
def test_its_folders_may_have_any_usual_name(tmp_path, xmls, images):
    data = load_dataset(write(tmp_path, {"a": xml(thing()), "b": xml(file="b.png")}, xmls, images))
    assert [sample.id for sample in data] == ["a.png", "b.png"]
    assert [len(sample.truth) for sample in data] == [1, 0]
    assert data.layout == "Pascal VOC, every XML"
    np.testing.assert_array_equal(data[0].image(), quadrants())


def test_coordinates_count_from_1_and_include_the_last_pixel(tmp_path):
    things = (thing(box=(1, 1, 48, 32)), thing(box=(7, 9, 7, 9)), thing(box=("3.5", "2.25", "10.5", "20")))
    truth = only(write(tmp_path, {"a": xml(*things)}))
    assert truth.boxes.tolist() == [[0, 0, 48, 32], [6, 8, 7, 9], [2.5, 1.25, 10.5, 20]]


def test_a_set_that_counts_from_0_is_named(tmp_path):
    with pytest.warns(
        DataWarning, match=r"1 box begins at 0, but Pascal VOC counts pixels from 1 \(image a\.png: object 1\)"
    ):
        truth = only(write(tmp_path, {"a": xml(thing(box=(0, 0, 10, 10)))}))
    assert truth.boxes.tolist() == [[0, 0, 10, 10]]


def test_difficult_objects_are_ignored_and_parts_are_no_objects(tmp_path):
    part = f"<part><name>head</name>{BOX.format(2, 2, 4, 4)}</part>"
    things = (
        thing(more="<difficult>1</difficult><truncated>1</truncated>"),
        thing(more=f"<occluded>1</occluded>{part}"),
    )
    truth = only(write(tmp_path, {"a": xml(*things)}))
    assert (truth.ignored.tolist(), truth.crowd.tolist()) == ([True, False], [False, False])
    assert truth.counted.tolist() == [False, True]


@pytest.mark.parametrize(
    ("there", "chosen", "ids"),
    [
        (("train", "val", "test"), "val", ["b.png"]),
        (("train", "test"), "test", ["c.png"]),
        (("train",), "train", ["a.png"]),
        (("dog_val",), None, ["a.png", "b.png", "c.png"]),
    ],
)
def test_a_list_chooses_the_images_val_first(tmp_path, there, chosen, ids):
    write(tmp_path, {stem: xml(thing(), file=f"{stem}.png") for stem in "abc"})
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name in there:
        (lists / f"{name}.txt").write_text({"train": "a\n", "val": "b\n\n", "test": "c"}.get(name, "a 1\nb -1\n"))
    data = load_dataset(tmp_path)
    assert [sample.id for sample in data] == ids
    assert data.layout == f"Pascal VOC, {'every XML' if chosen is None else f'Main/{chosen}.txt'}"
    if "test" in there:
        assert [sample.id for sample in load_dataset(lists / "test.txt")] == ["c.png"]
    if chosen is None:
        with pytest.raises(DataError, match="lists the images of one category"):
            load_dataset(lists / "dog_val.txt")


@pytest.mark.parametrize("written", ["b", "b.png", "b.JPG", "b.jpeg", "b.xml", "b.XML"])
@pytest.mark.parametrize("ending", ["xml", "XML"])
def test_lists_may_have_endings_and_xml_any_case(tmp_path, written, ending):
    write(tmp_path, {stem: xml(thing(), file=f"{stem}.png") for stem in "ab"})
    for stem in "ab":
        (tmp_path / "Annotations" / f"{stem}.xml").rename(tmp_path / "Annotations" / f"{stem}.{ending}")
    assert [sample.id for sample in load_dataset(tmp_path)] == ["a.png", "b.png"]
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text(f"{written}\n")
    assert [sample.id for sample in load_dataset(tmp_path)] == ["b.png"]


def test_a_list_may_name_an_xml_that_is_called_as_its_image(tmp_path):
    write(tmp_path, {"a.png": xml(thing(), file="a.png.png")})
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "val.txt").write_text("a.png\n")
    assert [sample.id for sample in load_dataset(tmp_path)] == ["a.png.png"]


def test_a_kit_with_one_year_is_that_year_and_with_two_one_must_be_named(tmp_path):
    write(tmp_path / "VOC2007", {"a": xml(thing())})
    assert len(load_dataset(tmp_path)) == 1
    write(tmp_path / "VOC2012", {"a": xml(thing())})
    with pytest.raises(DataError, match=r"several Pascal VOC sets: .*VOC2007, .*VOC2012"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("named", ["a.jpg", "other.jpg", "C:\\photos\\a.png", "/home/x/y.jpg", "", "../a.png"])
def test_the_image_is_that_with_the_name_of_the_xml_whatever_its_ending(tmp_path, named):
    assert len(load_dataset(write(tmp_path, {"a": xml(thing(), file=named)}))) == 1


def test_an_xml_that_names_another_image_than_its_own_is_counted(tmp_path):
    files = {"a": xml(thing(), file="b.png"), "b": xml(thing(), file="b.png")}
    with pytest.warns(DataWarning, match="1 annotation names another image than its own name does"):
        data = load_dataset(write(tmp_path, files))
    assert [sample.id for sample in data] == ["a.png", "b.png"]


def test_an_image_is_found_by_the_name_in_the_xml_where_its_own_name_has_none(tmp_path):
    write(tmp_path, {"a": xml(thing(), file="b.jpg")}, picture="b.png")
    assert load_dataset(tmp_path)[0].id == "b.png"


def test_images_without_an_xml_are_counted_and_left_out(tmp_path):
    write(tmp_path, {"a": xml(thing())})
    (tmp_path / "JPEGImages" / "z.png").write_bytes(encoded(quadrants()))
    with pytest.warns(DataWarning, match=r"1 image has no annotation and is left out \(image z\.png\)"):
        assert len(load_dataset(tmp_path)) == 1


@pytest.mark.parametrize("size", [None, (0, 0)])
def test_a_size_that_is_missing_is_read_from_the_image_as_it_is_shown(tmp_path, size):
    write(tmp_path, {"a": xml(thing(), size=size)})
    (tmp_path / "JPEGImages" / "a.png").unlink()
    (tmp_path / "JPEGImages" / "a.jpg").write_bytes(with_exif(encoded(quadrants(), ".jpg"), 6))
    (sample,) = load_dataset(tmp_path)
    assert (sample.width, sample.height) == (32, 48)
    assert sample.image().shape == (48, 32, 3)


def test_categories_are_numbered_by_name_and_a_list_gives_them_ids(tmp_path):
    write(tmp_path, {"a": xml(thing("zebra"), thing("ant"))})
    assert dict(load_dataset(tmp_path).categories) == {1: "ant", 2: "zebra"}
    names = tmp_path / "names.txt"
    names.write_text("zebra\nbee\nant\n")
    data = load_dataset(tmp_path, labels=names)
    assert dict(data.categories) == {0: "zebra", 1: "bee", 2: "ant"}
    assert data[0].truth.categories.tolist() == [0, 2]
    names.write_text("zebra\n")
    with pytest.raises(DataError, match=r"object 2: the category 'ant' is not in .*names\.txt, which has zebra"):
        load_dataset(tmp_path, labels=names)


@pytest.mark.parametrize(
    ("things", "sentence"),
    [
        ([thing(box=(20, 1, 10, 20))], "xmax < xmin or ymax < ymin"),
        ([thing(box=("a", 1, 10, 20))], r"bndbox needs four numbers xmin ymin xmax ymax, is 'a 1 10 20'"),
        ([thing(box=("nan", 1, 10, 20))], "is not finite"),
        ([thing(box=(1, 1, 1e300, 20))], "outside its image of 48 x 32"),
        ([thing(box=(1, 1, 60, 20))], r"is 12 px outside its image of 48 x 32"),
        ([thing(name="")], "the name of its category is missing"),
        ([f"<object>{BOX.format(1, 2, 3, 4)}</object>"], "the name of its category is missing"),
        (["<object><name>a</name></object>"], "no bndbox"),
        (["<object><name>a</name><robndbox><cx>1</cx></robndbox></object>"], r"an oriented box \(robndbox\)"),
        ([thing(more="<difficult>maybe</difficult>")], "difficult must be 0 or 1, is 'maybe'"),
        ([thing(box=(0.1, 0.2, 0.3, 0.4))] * 3, None),
        ([thing(box=(1, 1, 60, 20)), thing(name="")], "2 annotations are wrong"),
    ],
)
def test_an_object_that_cannot_be_one_is_refused_with_its_place(tmp_path, things, sentence):
    path = write(tmp_path, {"a": xml(*things)})
    if sentence is None:
        with pytest.raises(DataError, match="look normalised"):
            load_dataset(path)
        return
    with pytest.raises(DataError, match=sentence) as caught:
        load_dataset(path)
    assert "image a.png: object 1" in str(caught.value)


def test_boxes_that_stick_out_are_clipped_where_that_is_asked_for(tmp_path):
    path = write(tmp_path, {"a": xml(thing(box=(1, 1, 60, 20)))})
    with pytest.warns(DataWarning, match="1 box sticks out of its image and is clipped"):
        (sample,) = load_dataset(path, errors="clip")
    assert sample.truth.boxes.tolist() == [[0, 0, 48, 20]]


BOMB = '<!DOCTYPE a [<!ENTITY a0 "x">{}]><annotation><filename>&a9;</filename></annotation>'.format(
    "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
)
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "is not XML"),
        (b"\0" * 200, "is not XML"),
        (xml(thing()).encode()[:-20], "is not XML"),
        (b"<a/>", "is no Pascal VOC XML: it begins with <a>"),
        (BOMB.encode(), "defines or loads entities"),
        (EXTERNAL.encode(), "defines or loads entities"),
        (b"<?xml version='1.0' encoding='none'?><annotation/>", "is not XML"),
        (b"<annotation>" + b"<object>" * 200_000, "is not XML"),
        (xml(size=("x", 3)).encode(), "the size is no number: 'x', '3'"),
        (xml(size=(10**6, 10**6)).encode(), "a size of 1000000 x 1000000 pixels"),
        (xml(size=("inf", 3)).encode(), "the size is no number"),
    ],
)
def test_a_bad_xml_is_one_error_with_its_name(tmp_path, text, sentence):
    path = write(tmp_path, {"a": xml(thing())})
    (path / "Annotations" / "a.xml").write_bytes(text)
    begun = time.perf_counter()
    with pytest.raises(DataError, match=re.escape(sentence)):
        load_dataset(path)
    assert time.perf_counter() - begun < 5


def test_an_xml_of_gigabytes_is_not_read(tmp_path):
    path = write(tmp_path, {"a": xml(thing())})
    with (path / "Annotations" / "a.xml").open("r+b") as stream:
        stream.truncate(1 << 32)
    with pytest.raises(DataError, match="it has 4,294,967,296 bytes, more than"):
        load_dataset(path)


@pytest.mark.parametrize("line", ["../secret", "/etc/passwd", "a/../../b"])
def test_a_list_that_leads_out_of_the_folder_is_refused(tmp_path, line):
    write(tmp_path, {"a": xml(thing())})
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text(f"a\n{line}\n")
    with pytest.raises(DataError, match=r"line 2: .* leads out of the folder"):
        load_dataset(tmp_path)


def test_missing_images_are_listed(tmp_path):
    write(tmp_path, {stem: xml(file=f"{stem}.png") for stem in "abcde"})
    for stem in "bcde":
        (tmp_path / "JPEGImages" / f"{stem}.png").unlink()
    with pytest.raises(DataError, match=r"for b \(b\.png\), c \(c\.png\), d \(d\.png\) and 1 more \(of 5 XML files\)"):
        load_dataset(tmp_path)


def test_two_images_of_one_name_are_refused_unless_the_xml_names_one(tmp_path):
    write(tmp_path, {"a": xml(thing(), file="a.gif")})
    (tmp_path / "JPEGImages" / "a.jpg").write_bytes(encoded(quadrants(), ".jpg"))
    with pytest.raises(DataError, match=r"several images have its name: a\.jpg, a\.png"):
        load_dataset(tmp_path)
    (tmp_path / "Annotations" / "a.xml").write_text(xml(thing(), file="a.png"))
    with pytest.warns(DataWarning, match="1 image has no annotation"):
        assert load_dataset(tmp_path)[0].id == "a.png"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_place_of_an_xml_is_refused(tmp_path):
    path = write(tmp_path, {"a": xml(thing())})
    (path / "Annotations" / "a.xml").unlink()
    os.mkfifo(path / "Annotations" / "a.xml")
    with pytest.raises(DataError, match="it is a named pipe"):
        load_dataset(path)
