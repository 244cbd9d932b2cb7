"""CSV: columns, delimiters, encodings, lists of classes, and what is refused."""

from __future__ import annotations

import os
import re
import time

import pytest

from pytest_cropdet.data import load_dataset
from pytest_cropdet.errors import DataError
from tests.data.pictures import encoded, quadrants

HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
ROWS = "a.png,48,32,dog,1,2,10,20\na.png,48,32,cat,3,4.5,30,31\nb.png,48,32,dog,0,0,48,32\n"


def write(folder, text, name="labels.csv", encoding="utf-8", images="ab"):
    for stem in images:
        (folder / f"{stem}.png").write_bytes(encoded(quadrants()))
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return folder / name


def read(path, **options):
    data = load_dataset(path, **options)
    return [
        (each.id, data.categories[key], box)
        for each in data
        for key, box in zip(each.truth.categories.tolist(), each.truth.boxes.tolist(), strict=True)
    ]


EXPECTED = [("a.png", "dog", [1, 2, 10, 20]), ("a.png", "cat", [3, 4.5, 30, 31]), ("b.png", "dog", [0, 0, 48, 32])]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ROWS,
        (HEAD + ROWS).replace("\n", "\r\n"),
        (HEAD + ROWS).replace(",", ";"),
        (HEAD + ROWS).replace(",", "\t"),
        (HEAD + ROWS).replace(",", ";").replace("4.5", "4,5"),
        (HEAD + ROWS).replace("dog", '"dog"'),
        HEAD.upper() + ROWS,
        "class,filename,xmin,xmax,ymin,ymax,extra\ndog,a.png,1,10,2,20,x\ncat,a.png,3,30,4.5,31,\ndog,b.png,0,48,0,32,\n",
        "a.png,1,2,10,20,dog\na.png,3,4.5,30,31,cat\nb.png,0,0,48,32,dog\n",
        "image_path,x1,y1,x2,y2,label\na.png,1,2,10,20,dog\na.png,3,4.5,30,31,cat\nb.png,0,0,48,32,dog\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_columns_delimiters_and_encodings(tmp_path, text, encoding):
    assert read(write(tmp_path, text, encoding=encoding)) == EXPECTED


@pytest.mark.parametrize(
    "text", [HEAD + "a.png,48,32,dog,1,2,10,20\nb.png,48,32,,,,,\n", "a.png,1,2,10,20,dog\nb.png,,,,,\n"]
)
def test_an_image_without_objects_has_a_row_without_a_box(tmp_path, text):
    data = load_dataset(write(tmp_path, text))
    assert [(each.id, len(each.truth)) for each in data] == [("a.png", 1), ("b.png", 0)]


def test_a_list_of_classes_gives_the_ids(tmp_path):
    path = write(tmp_path, "a.png,1,2,10,20,dog\n")
    assert type(load_dataset(path).categories).__name__ == "NamedCategories"
    (tmp_path / "classes.csv").write_text("cat,0\ndog,1\n")
    for given in (path, tmp_path):
        data = load_dataset(given)
        assert dict(data.categories) == {0: "cat", 1: "dog"}
        assert data[0].truth.categories.tolist() == [1]
    assert data.layout == "CSV, labels.csv with classes.csv"
    other = tmp_path / "other.pbtxt"
    other.write_text("item { id: 4 name: 'dog' }")
    assert dict(load_dataset(path, labels=other).categories) == {4: "dog"}
    yaml = tmp_path / "data.yaml"
    yaml.write_text("path: .\nval: images/val\nnames:\n  0: cat\n  1: dog\n")
    assert dict(load_dataset(path, labels=yaml).categories) == {0: "cat", 1: "dog"}


@pytest.mark.parametrize("place", ["images/a.png", "images\\a.png", "a.png", "a"])
def test_images_are_found_beside_the_csv_in_images_and_by_their_path(tmp_path, place):
    (tmp_path / "images").mkdir()
    write(tmp_path / "images", b"")
    (tmp_path / "images" / "labels.csv").unlink()
    path = tmp_path / "labels.csv"
    path.write_text(f"{place},1,2,10,20,dog\n")
    assert len(load_dataset(path)[0].truth) == 1
    assert load_dataset(path)[0].image().shape == (32, 48, 3)


def test_absolute_paths_and_another_folder_are_taken(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere", "")
    path = tmp_path / "labels.csv"
    path.write_text(f"{tmp_path}/elsewhere/a.png,1,2,10,20,dog\n")
    assert len(load_dataset(path)) == 1
    path.write_text("a.png,1,2,10,20,dog\n")
    assert len(load_dataset(path, images=tmp_path / "elsewhere")) == 1
    with pytest.raises(
        DataError, match=r"missing in .*: a\.png \(of 1 images\); name the folder: --cropdet-images DIR"
    ):
        load_dataset(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is an empty file; a CSV was expected"),
        ("\0\0\0", "the first row is|NUL"),
        ("ImageID,Source,LabelName,Confidence,XMin\nx,y,z,1,2\n", "expected the columns filename,width,height"),
        ("a,b\n1,2\n", "the first row is 'a,b'"),
        (b"\xff\xfe\xff", "it is not UTF-8 text"),
        (b"caf\xe9.png,1,2,3,4,dog\n", "it is not UTF-8 text"),
        (HEAD + "a.png,48,32,dog,1,2,x,20\n", "row 2: the box needs four numbers, is '1 2 x 20'"),
        (HEAD + "a.png,48,32,dog,1,2,,20\n", "row 2: the box needs four numbers"),
        (HEAD + "a.png,48,32,dog,nan,2,10,20\n", "row 2: box nan 2 10 20 is not finite"),
        (HEAD + "a.png,48,32,dog,1e999,2,10,20\n", "is not finite"),
        (HEAD + "a.png,48,32,dog,10,2,1,20\n", "has its second corner before its first"),
        (HEAD + "a.png,48,32,dog,1,2,60,20\n", "is 12 px outside its image of 48 x 32"),
        (HEAD + "a.png,48,32,,1,2,10,20\n", "row 2: the name of the category is missing"),
        (HEAD + ",48,32,dog,1,2,10,20\n", "row 2: the name of the image is missing"),
        (HEAD + "a.png,48,x,dog,1,2,10,20\n", "width and height must be numbers"),
        (HEAD + "a.png,inf,1,dog,1,2,10,20\n", "width and height must be numbers"),
        (HEAD + "a.png,99999999,99999999,dog,1,2,10,20\n", "a size of 99999999 x 99999999"),
        (
            HEAD + "a.png,48,32,dog,1,2,10,20\na.png,32,48,dog,1,2,10,20\n",
            "row 3: a.png has a size of 32 x 48, in a row before 48 x 32",
        ),
        (HEAD + "../a.png,48,32,dog,1,2,10,20\n", "row 2: '../a.png' leads out of the folder"),
        (HEAD + "a.png,48,32,dog,0.1,0.2,0.5,0.6\n" * 3, "look normalised"),
        (HEAD, "lists no images"),
        (HEAD + 'a.png,48,32,"' + "d" * 200_000 + '",1,2,10,20\n', "field larger than field limit"),
    ],
)
def test_a_row_that_cannot_be_an_object_is_refused_with_its_place(tmp_path, text, sentence):
    begun = time.perf_counter()
    with pytest.raises(DataError, match=sentence if "|" in sentence else re.escape(sentence)) as caught:
        load_dataset(write(tmp_path, text))
    assert "labels.csv" in str(caught.value)
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("start", ['"' * 4000, "a" * 100_000, '",' * 50_000, ", " * 50_000, "'\"" * 20_000])
def test_the_search_for_the_delimiter_ends_soon(tmp_path, start):
    begun = time.perf_counter()
    with pytest.raises(DataError):
        load_dataset(write(tmp_path, start))
    assert time.perf_counter() - begun < 5


def test_several_csv_files_are_listed(tmp_path):
    write(tmp_path, HEAD + ROWS)
    write(tmp_path, HEAD + ROWS, "other.csv")
    with pytest.raises(DataError, match=r"several CSV files: name one of .*labels\.csv, .*other\.csv"):
        load_dataset(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_refused(tmp_path):
    path = write(tmp_path, HEAD + ROWS, images="b")
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"the image .*a\.png: it is a named pipe"):
        load_dataset(path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match=r"pipe\.csv: it is a named pipe"):
        load_dataset(tmp_path / "pipe.csv")


def test_an_image_without_a_readable_size_is_named_with_the_file_and_the_row(tmp_path):
    other = tmp_path / "elsewhere.txt"
    other.write_text("no image")
    path = write(tmp_path, f"a.png,1,2,10,20,dog\n{other},1,2,10,20,dog\n")
    with pytest.raises(
        DataError, match=rf"labels\.csv, row 2: cannot read the size of the image {re.escape(str(other))}"
    ):
        load_dataset(path)
