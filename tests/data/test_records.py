"""Data sets that are Python objects: dicts as TFDS and Hugging Face have them, MAITE's tuples, lists of samples."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import pytest_cropdet
from pytest_cropdet import Dataset, Sample, dataset_from_records, run
from pytest_cropdet.data import GroundTruth, as_dataset
from pytest_cropdet.errors import DataError
from tests.data.pictures import encoded, quadrants
from tests.support import loses_cut, made, opinions, small_run

PIXELS = quadrants()  # 48 x 32
NAMES = ["cat", "dog"]
BOX = [12.0, 4.0, 36.0, 20.0]
TFDS = {"boxes": "yxyx", "units": "normalized", "categories": NAMES}
HF = {"boxes": "xywh", "units": "pixels"}


def tfds(**changes):
    """A record as TFDS has it: bbox is ymin xmin ymax xmax, in sides of the image."""
    objects = {
        "bbox": np.array([[4 / 32, 12 / 48, 20 / 32, 36 / 48]], np.float32),
        "label": np.array([1]),
        "is_difficult": np.array([True]),
        "is_crowd": np.array([False]),
        **changes,
    }
    return {"image": PIXELS, "image/filename": b"a.jpg", "objects": objects}


class ClassLabel:
    names = NAMES


class Features(dict):
    pass


class HuggingFace(list):
    """A list with features, as a Hugging Face data set has them; ``nested``: as Sequence(feature=dict) wraps them."""

    def __init__(self, records, nested=True):
        super().__init__(records)
        label = {"bbox": None, "category": ClassLabel()}
        self.features = {"image": None, "objects": SimpleNamespace(feature=label) if nested else [label]}


class Pil:
    """A picture as PIL has it, which decodes when its pixels are asked for."""

    size = (48, 32)

    def __init__(self):
        self.decoded = 0

    def getbands(self):
        return ("R", "G", "B")

    def convert(self, mode):
        assert mode == "RGB"
        self.decoded += 1
        return PIXELS


def hf(image, **changes):
    return {"image_id": 7, "image": image, "objects": {"bbox": [[12.0, 4.0, 24.0, 16.0]], "category": [1], **changes}}


def test_records_of_tensorflow_datasets():
    data = dataset_from_records([tfds(), tfds()], **TFDS)
    assert isinstance(data, Dataset)
    assert [sample.id for sample in data] == ["record 0 (a.jpg)", "record 1 (a.jpg)"]
    truth = data[0].truth
    assert truth.boxes.tolist() == [BOX]
    assert (truth.categories.tolist(), truth.ignored.tolist()) == ([1], [True])
    np.testing.assert_array_equal(data[-1].image(), PIXELS)


@pytest.mark.parametrize("nested", [True, False])
def test_records_of_hugging_face_state_their_categories_and_decode_nothing_early(nested):
    picture = Pil()
    data = dataset_from_records(HuggingFace([hf(picture)], nested), **HF)
    assert dict(data.categories) == {0: "cat", 1: "dog"}
    assert data[0].truth.boxes.tolist() == [BOX]
    assert (data[0].id, data[0].width, picture.decoded) == ("record 0 (7)", 48, 0)
    np.testing.assert_array_equal(data[0].image(), PIXELS)


def test_objects_may_be_a_list_of_dicts_and_the_first_records_may_have_none():
    empty = {"image": PIXELS, "objects": []}
    full = {"image": PIXELS, "objects": [{"bbox": [12, 4, 24, 16], "category": 1}]}
    data = dataset_from_records([empty, full], categories={1: "dog"}, **HF)
    assert [len(each.truth) for each in data] == [0, 1]


@pytest.mark.parametrize(
    "image",
    [
        PIXELS,
        encoded(PIXELS),
        {"bytes": encoded(PIXELS), "path": None},
        PIXELS.astype(np.int64),
        PIXELS.astype(np.float32),
        np.dstack([PIXELS, PIXELS[:, :, 0]]),
    ],
)
def test_images_may_be_arrays_or_encoded(image):
    data = dataset_from_records([hf(image)], categories=NAMES, **HF)
    np.testing.assert_array_equal(data[0].image(), PIXELS)


def test_images_may_be_paths(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(PIXELS))
    for image in (tmp_path / "a.png", str(tmp_path / "a.png"), {"bytes": None, "path": str(tmp_path / "a.png")}):
        np.testing.assert_array_equal(dataset_from_records([hf(image)], categories=NAMES, **HF)[0].image(), PIXELS)


def test_what_only_iterates_is_read_once_and_kept():
    begun = []

    def records():
        begun.append(1)
        for _ in range(3):
            yield tfds()

    data = dataset_from_records(records(), **TFDS)
    assert len(data) == 3
    assert [sample.truth.boxes.tolist() for sample in data] == [[BOX]] * 3
    np.testing.assert_array_equal(data[2].image(), PIXELS)
    assert begun == [1]


def test_labels_may_be_names():
    record = hf(PIXELS, category=["dog"])
    assert dataset_from_records([record], categories={4: "dog"}, **HF)[0].truth.categories.tolist() == [4]


def test_fields_say_where_the_parts_are():
    record = {"picture": PIXELS, "a": {"b": [[12, 4, 36, 20]]}, "kinds": [0]}
    fields = {"image": "picture", "boxes": "a.b", "labels": "kinds"}
    data = dataset_from_records([record], boxes="xyxy", units="pixels", categories=NAMES, fields=fields)
    assert data[0].truth.boxes.tolist() == [BOX]


def maite(metadata=None, channels=True):
    image = np.moveaxis(PIXELS, 2, 0) if channels else PIXELS
    target = SimpleNamespace(boxes=np.array([BOX]), labels=np.array([1]), scores=np.array([[0.0, 1.0]]))

    class Data:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            if not 0 <= index < 2:
                raise IndexError(index)
            return image, target, {"id": index}

    data = Data()
    data.metadata = {"id": "set", "index2label": {0: "cat", 1: "dog"}} if metadata is None else metadata
    return data


def test_a_data_set_of_maite_needs_no_description():
    data = as_dataset(maite())
    assert (data.name, dict(data.categories), data.layout) == ("set", {0: "cat", 1: "dog"}, "MAITE")
    assert [sample.id for sample in data] == ["record 0 (0)", "record 1 (1)"]
    assert data[1].truth.boxes.tolist() == [BOX]
    np.testing.assert_array_equal(data[0].image(), PIXELS)
    with pytest.raises(DataError, match="without index2label in its metadata"):
        as_dataset(maite({"id": "set"}))
    assert dict(dataset_from_records(maite({"id": "set"}), categories=NAMES).categories) == {0: "cat", 1: "dog"}
    with pytest.raises(DataError, match=r"shape \(32, 48, 3\), expected \(3, height, width\)"):
        as_dataset(maite(channels=False))[0]


KNOWN = made(30)
WHOLE = opinions(KNOWN, loose=0.1)


def test_a_run_takes_a_list_of_samples_and_a_data_set_of_maite():
    expected = small_run(loses_cut(WHOLE), KNOWN).drop.value
    assert small_run(loses_cut(WHOLE), list(KNOWN)).drop.value == expected
    named = dataset_from_records(list(KNOWN), categories=KNOWN.categories)
    assert dict(named.categories) == KNOWN.categories
    assert small_run(loses_cut(WHOLE), named).drop.value == expected


def test_what_is_no_data_set_is_told_how_to_become_one():
    for given in ([tfds()], {"train": [tfds()]}, 7, "path", None, []):
        with pytest.raises(DataError, match=r"is no data set; make one: pytest_cropdet\.dataset_from_records"):
            run(loses_cut(WHOLE), given)


def test_the_helper_is_public():
    assert pytest_cropdet.dataset_from_records is dataset_from_records


@pytest.mark.parametrize(
    ("records", "options", "sentence"),
    [
        ([tfds()], {}, "state the format of the boxes: .* TensorFlow Datasets have boxes='yxyx', units='normalized'"),
        ([tfds()], {**TFDS, "boxes": "yxxy"}, "state the format of the boxes"),
        ([tfds()], {**TFDS, "categories": None}, "the names of the categories are not known"),
        ([], TFDS, "has no records"),
        ({"train": [tfds()]}, TFDS, r"name one split, such as records\['validation'\]"),
        (7, TFDS, "int is neither a sequence of records nor iterates any"),
        ([7], TFDS, "a record is int, not a dict"),
        ([{"image": PIXELS}], TFDS, r"no boxes found in a record with image; set fields=\{'boxes'"),
        ([{**tfds(), "boxes": [], "labels": []}], TFDS, "the boxes may be objects.bbox or boxes; set fields="),
        ([tfds()], {**TFDS, "fields": {"box": "x"}}, "fields has box; it takes image, boxes"),
    ],
)
def test_records_that_are_not_described_well_are_refused_when_they_are_given(records, options, sentence):
    with pytest.raises(DataError, match=sentence):
        dataset_from_records(records, **options)


@pytest.mark.parametrize(
    ("record", "options", "sentence"),
    [
        (tfds(bbox=[[0, 0, 2, 1]]), TFDS, r"object 0: .* are boxes= and units= right\?"),
        (tfds(bbox=[[0.5, 0, 0.1, 1]]), TFDS, "has its second corner before its first"),
        (tfds(bbox=[[np.nan, 0, 0.1, 1]]), TFDS, "is not finite"),
        (tfds(bbox=[[0, 0, 1]]), TFDS, r"expected shape \(n, 4\), got \(1, 3\)"),
        (tfds(bbox=[["a", 0, 1, 1]]), TFDS, "could not convert"),
        (tfds(label=[2]), TFDS, "unknown category 2; the set has 0 cat, 1 dog"),
        (tfds(label=[1, 1]), TFDS, r"1 boxes and labels of shape \(2,\)"),
        (tfds(label=[0.5]), TFDS, "labels are no whole numbers"),
        (tfds(label=["bird"]), TFDS, "the label 'bird' is none of the categories cat, dog"),
        (tfds(is_crowd=[True, False]), TFDS, r"objects\.is_crowd has shape \(2,\) for 1 boxes"),
        (
            tfds(bbox=[[0.1, 0.1, 0.5, 0.5]] * 2, label=[1, 1], is_crowd=[0, 0], is_difficult=[0, 0]),
            {**TFDS, "units": "pixels"},
            "so they are not units='pixels'",
        ),
        ({**tfds(), "image": np.moveaxis(PIXELS, 2, 0)}, TFDS, r"shape \(3, 32, 48\), .*numpy\.moveaxis"),
        ({**tfds(), "image": PIXELS / 255}, TFDS, "expected uint8, 0 to 255"),
        ({**tfds(), "image": np.zeros((0, 0, 3), np.uint8)}, TFDS, "has shape"),
        ({**tfds(), "image": b"none"}, TFDS, "cannot read the size of the image"),
        ({**tfds(), "image": None}, {**TFDS, "fields": {"image": "image"}}, "has no image"),
    ],
)
def test_a_record_that_is_wrong_is_named(record, options, sentence):
    data = (
        dataset_from_records([tfds(), record], name="mine", **options)
        if options["units"] != "pixels"
        else dataset_from_records([record], name="mine", **options)
    )
    with pytest.raises(DataError, match=sentence) as caught:
        [sample.image() for sample in data]
    assert f"mine: record {len(data) - 1}" in str(caught.value)


def test_samples_of_one_id_are_refused():
    sample = Sample("a", 4, 4, GroundTruth.empty(), lambda: PIXELS)
    with pytest.raises(DataError, match="two samples have the id 'a'"):
        as_dataset([sample, sample])
