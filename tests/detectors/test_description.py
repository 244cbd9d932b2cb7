"""What a detector means by its numbers, and the names of its categories."""

from __future__ import annotations

import json
import time

import pytest

from pytest_cropdet.detectors.description import Description, read_labels
from pytest_cropdet.detectors.label_files import Proof, parse_labels
from pytest_cropdet.errors import DetectorError

# Descriptions


def test_texts_of_options_and_values_say_the_same():
    texts = Description.of(batch="4", first_category="0", nms_iou="0.5", boxes="xywh", units="pixels")
    assert texts == Description.of(batch=4, first_category=0, nms_iou=0.5, boxes="xywh", units="pixels")
    assert texts.known() == {"boxes": "xywh", "units": "pixels", "first_category": 0, "batch": 4, "nms_iou": 0.5}


def test_what_is_not_said_is_open_and_defaults_fill_only_that():
    filled = Description.of(boxes="xyxy", batch=None).filled(boxes="yxyx", batch=8)
    assert (filled.boxes, filled.batch, filled.units) == ("xyxy", 8, None)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"box": "xyxy"},
            "description has no 'box'; it has boxes, units, first_category, labels, channels, range, resize",
        ),
        ({"boxes": "xxyy"}, "boxes=xxyy: must be one of xyxy, yxyx, xywh, cxcywh"),
        ({"units": "px"}, "units=px: must be one of normalized, pixels, input"),
        ({"channels": "gbr"}, "channels=gbr: must be one of rgb, bgr"),
        ({"range": "0-1"}, r"range=0-1: must be one of 0\.\.255, 0\.\.1, -1\.\.1"),
        ({"resize": "crop"}, "resize=crop: must be one of inside, stretch, letterbox, keep_aspect"),
        ({"batch": "many"}, "batch=many: must be a number"),
        ({"batch": 0}, "batch=0: must lie between 1 and 4096"),
        ({"first_category": -1}, "first_category=-1: must lie between 0"),
        ({"nms_iou": 1.01}, r"nms_iou=1\.01: must lie between 0 and 1"),
        ({"nms_iou": "nan"}, "nms_iou=nan: must lie between 0 and 1"),
    ],
)
def test_a_key_or_value_that_is_not_known_is_named_with_those_that_are(given, sentence):
    with pytest.raises(DetectorError, match=sentence):
        Description.of(**given)


def test_what_must_be_known_is_asked_for_by_its_option():
    with pytest.raises(
        DetectorError, match=r"^boxes may be either; set --cropdet-detector units=normalized\|pixels\|input$"
    ):
        Description().require("units", "boxes may be either")
    assert Description(units="input").require("units", "boxes may be either") == "input"


# Labels

COCO = """
item {
  name: "/m/01g317"
  id: 1
  display_name: "person"
}
item { id: 3 name: 'car' }
item {
  name: "/m/0"
  id: 90
  display_name: "driver's license"
  keypoints { id: 7 label: "corner" }
}
"""


def labels(tmp_path, name, text, first=1):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_labels(str(path), first)


@pytest.mark.parametrize("first", [0, 1])
def test_one_name_a_line_counted_from_the_first_category(tmp_path, first):
    names = labels(tmp_path, "coco.names", "person\n traffic light \ncar\n", first)
    assert names == {first: "person", first + 1: "traffic light", first + 2: "car"}


@pytest.mark.parametrize("names", ["[person, traffic light, no]", "{0: person, 1: traffic light, 2: no}"])
@pytest.mark.parametrize("first", [0, 1])
def test_the_yaml_of_a_yolo_gives_its_names_from_the_first_category_on(tmp_path, first, names):
    text = f"path: .\ntrain: images/train\nval: images/val\nnames: {names}\n"
    expected = {first: "person", first + 1: "traffic light", first + 2: "no"}
    assert labels(tmp_path, "data.yaml", text, first) == expected


def test_a_yaml_without_names_is_refused_as_labels(tmp_path):
    with pytest.raises(DetectorError, match=r"labels=.*config\.yaml: .* it has no names"):
        labels(tmp_path, "config.yaml", "model: {classes: 3}\n")


@pytest.mark.parametrize("gap", ["", "???"])
def test_an_empty_line_or_question_marks_leave_a_number_out(tmp_path, gap):
    assert labels(tmp_path, "map.txt", f"person\n{gap}\ncar") == {1: "person", 3: "car"}


def test_a_label_map_has_its_own_numbers_gaps_and_all_and_shows_display_names(tmp_path):
    expected = {1: "person", 3: "car", 90: "driver's license"}
    assert labels(tmp_path, "map.pbtxt", COCO, 1) == expected
    from_0 = {number - 1: name for number, name in expected.items()}
    assert labels(tmp_path, "map.pbtxt", COCO, 0) == from_0, "a label map counts from 1, whatever the model does"


def test_a_file_that_numbers_the_background_too_is_taken_as_it_is_where_the_model_has_as_many():
    numbered = parse_labels("0 background\n1 person\n2 car", "map.txt")
    assert numbered.count(0, Proof(3, "num_classes=3")) == {0: "background", 1: "person", 2: "car"}
    assert numbered.count(0, Proof(2, "num_classes=2")) == {0: "person", 1: "car"}
    assert numbered.count(0) == {0: "person", 1: "car"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (["person", "car"], {5: "person", 6: "car"}),
        ({"1": "person", "90": "book"}, {1: "person", 90: "book"}),
        ([{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}], {18: "dog", 1: "person"}),
    ],
)
def test_json_lists_names_or_says_which_id_has_which(tmp_path, content, expected):
    assert labels(tmp_path, "map.json", json.dumps(content), 5) == expected


def test_names_can_be_given_in_one_line_as_many_as_there_are():
    assert read_labels("person, traffic light,???,car", 0) == {0: "person", 1: "traffic light", 3: "car"}
    assert read_labels("cell", 1) == {1: "cell"}
    assert len(read_labels(",".join(f"category {number}" for number in range(80)), 1)) == 80


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    assert labels(tmp_path, "map.txt", "\ufeffperson\ncar") == {1: "person", 2: "car"}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("map.pbtxt", "nothing here", "contains no names"),
        ("map.names", "\n\n", "contains no names"),
        ("map.json", "{", "neither a list of names nor a mapping of id to name"),
        ("map.json", '{"person": 1}', "neither a list of names nor a mapping of id to name"),
        ("map.json", "[1, 2]", "neither a list of names nor a mapping of id to name"),
        ("map.json", "7", "neither a list of names nor a mapping of id to name"),
    ],
)
def test_a_file_without_names_is_named(tmp_path, name, text, sentence):
    with pytest.raises(DetectorError, match=f"labels=.*{name}: {sentence}"):
        labels(tmp_path, name, text)


@pytest.mark.parametrize("source", ["coco.names", "labels/coco", "/nowhere/map.pbtxt"])
def test_a_file_that_is_not_there_is_not_taken_for_a_name(source):
    with pytest.raises(DetectorError, match=f"labels={source}: no such file"):
        read_labels(source, 1)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "model.names"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DetectorError, match=r"model\.names: cannot be read"):
        read_labels(str(path), 1)


@pytest.mark.parametrize("sign", ["background", "__background__", "???", "N/A", "BG", "unlabeled", "no object", ""])
@pytest.mark.parametrize("first", [0, 1])
def test_a_first_line_for_no_object_is_no_category(tmp_path, sign, first):
    assert labels(tmp_path, "map.txt", f"{sign}\ncat\ndog\n", first) == {first: "cat", first + 1: "dog"}


@pytest.mark.parametrize("line", ["{}  {}", "{}: {}", "{},{}", "{} {}", "{}\t{}", "{};{}", "{}:{}"])
@pytest.mark.parametrize("from_", [0, 1])
def test_lines_that_all_begin_with_their_number_are_counted_by_it(tmp_path, line, from_):
    text = "\n".join(line.format(number + from_, name) for number, name in [(0, "cat"), (1, "road sign"), (4, "dog")])
    assert labels(tmp_path, "map.txt", text, 0) == {0: "cat", 1: "road sign", 4: "dog"}
    if from_ == 1:
        assert labels(tmp_path, "map.txt", text, 1) == {1: "cat", 2: "road sign", 5: "dog"}


@pytest.mark.parametrize(
    "text", ["2 wheeler\ncar", "0 cat\ndog", "1 cat\n1 dog", "5 cat\n6 dog", "1 cat\n0 dog", "101\n102"]
)
def test_numbers_of_some_lines_are_parts_of_names(tmp_path, text):
    assert labels(tmp_path, "map.txt", text, 0) == dict(enumerate(text.split("\n")))


@pytest.mark.parametrize(("name", "text"), [("map.txt", "0  cat\n1  dog"), ("map.json", '{"0": "cat", "1": "dog"}')])
def test_a_number_0_where_the_detector_counts_from_1_is_refused_with_both(tmp_path, name, text):
    with pytest.raises(
        DetectorError, match=r"the number 0 to 'cat', and the detector counts from 1; .*first_category=0"
    ):
        labels(tmp_path, name, text, 1)


def test_a_number_0_for_no_object_is_none(tmp_path):
    assert labels(tmp_path, "map.json", '{"0": "N/A", "1": "cat", "2": "N/A", "3": "dog"}', 1) == {1: "cat", 3: "dog"}
    assert labels(tmp_path, "map.txt", "0  background\n1  cat\n2  dog", 0) == {0: "cat", 1: "dog"}


@pytest.mark.parametrize("key", ["names", "id2label", "categories", "labels"])
def test_names_are_found_inside_the_metadata_of_an_export(tmp_path, key):
    assert labels(tmp_path, "config.json", json.dumps({"stride": 32, key: ["cat", "dog"]})) == {1: "cat", 2: "dog"}
    text = str({"stride": 32, key: {0: "cat", 1: "dog"}})
    assert labels(tmp_path, "meta.txt", text, 0) == {0: "cat", 1: "dog"}
    with pytest.raises(DetectorError, match="a description without names"):
        labels(tmp_path, "meta.txt", "{'stride': 32}")


@pytest.mark.parametrize("text", ["item {\n" * 200_000, 'item { name: "' * 100_000, "item { id: 1 }\n" * 200_000])
def test_a_label_map_of_200_000_lines_is_read_at_once(tmp_path, text):
    start = time.perf_counter()
    with pytest.raises(DetectorError, match="contains no names"):
        labels(tmp_path, "map.pbtxt", text)
    assert time.perf_counter() - start < 5, "the time grows with the square of the lines"


def test_a_label_map_has_comments_escapes_and_other_brackets(tmp_path):
    text = """# classes
    item < id: 1 name: "a \\"b\\"" keypoints {} display_name: 'c' >
    item{name:"d"# id: 7
    id:2}"""
    assert labels(tmp_path, "map.pbtxt", text) == {1: "c", 2: "d"}


@pytest.mark.parametrize(
    "text", [r"item { id: 1 name: '\303\204' }", "item { id: 1 id: 2 name: 'Ä' } ) item { id: 3 }"]
)
def test_a_label_map_is_read_as_that_of_a_data_set_but_what_is_odd_is_passed_over(tmp_path, text):
    assert labels(tmp_path, "map.pbtxt", text) == {1: "Ä"}


def test_a_description_without_later_keys_is_the_text_that_fingerprints_contain() -> None:
    text = repr(Description.of(range="0..1"))
    assert text.startswith(
        "Description(boxes=None, units=None, first_category=None, labels=None, channels=None, range="
    )
    assert text.endswith("activation=None, signature=None, custom_objects=None)")
    later = repr(Description.of(head="yolo", input_size="640"))
    assert later.endswith("custom_objects=None, head='yolo', input_size='640x640')")
    assert eval(later) == Description.of(head="yolo", input_size="640x640")


@pytest.mark.parametrize("size", ["640x", "x640", "0x10", "640x480x3", "wide", "-1x20", "99999"])
def test_a_size_of_an_input_is_two_sides_in_pixels(size: str) -> None:
    with pytest.raises(DetectorError, match=rf"input_size={size}: must be WIDTHxHEIGHT"):
        Description.of(input_size=size)
