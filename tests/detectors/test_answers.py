"""What functions and models of other libraries may take and return: objects that look like theirs."""

from __future__ import annotations

import sys
from collections import namedtuple
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from pytest_cropdet import as_detector, load_detector, run
from pytest_cropdet.detectors import as_handle
from pytest_cropdet.detectors.answers import as_array, read_answer
from pytest_cropdet.detectors.description import INPUT_FORMS
from pytest_cropdet.detectors.libraries import FORMS_OF_INPUT
from pytest_cropdet.errors import DetectorError
from tests.detectors import look_alikes
from tests.detectors.look_alikes import (
    NAMES,
    MaiteDetector,
    Pipeline,
    SupervisionDetections,
    Tensor,
    TorchvisionModel,
    Yolo,
    pipeline_rows,
    ultralytics_result,
)
from tests.geometry.invariants import same
from tests.painted import Painted, find, paint, sample

IMAGE = paint(40, 30, {1: (3, 4, 20, 25), 3: (22, 0, 40, 12)})
EMPTY = paint(8, 9, {})
BOXES = [[3.0, 4, 20, 25], [22, 0, 40, 12]]
Found = namedtuple("Found", "boxes scores labels")


def supervision(images):
    return [SupervisionDetections(find(image)) for image in images]


def chw01(detector):
    detector.input = "chw01"
    return detector


MODELS = {
    "torchvision": (TorchvisionModel, [1, 3], None),
    "transformers": (Pipeline, [1, 3], {0: "N/A", 1: "red", 2: "green", 3: "blue"}),
    "ultralytics": (Yolo, [0, 2], NAMES),
    "MAITE": (lambda: chw01(MaiteDetector()), [0, 2], NAMES),
    "MAITE, a score a category": (lambda: chw01(MaiteDetector(columns=True)), [0, 2], NAMES),
    "supervision": (lambda: as_detector(supervision, categories=NAMES), [0, 2], NAMES),
}


# Models of other libraries, given as they are


@pytest.mark.parametrize("library", MODELS)
def test_a_model_of_another_library_is_given_what_it_takes_and_its_answer_is_read(library):
    make, categories, names = MODELS[library]
    detector = as_handle(make())
    full, empty = detector([IMAGE, EMPTY])
    same(full.boxes, np.array(BOXES))
    assert full.categories.tolist() == categories
    assert full.scores.tolist() == pytest.approx([0.9, 0.9])
    assert len(empty) == 0
    assert detector.categories == names


@pytest.mark.parametrize("library", [each for each in MODELS if MODELS[each][2]])
def test_its_categories_meet_the_data_sets_by_name_whatever_the_numbers(library):
    data = Painted([sample(f"{place}.png", 60, 50, {1: (5, 5, 40, 40), 3: (42, 8, 58, 30)}) for place in range(6)])
    data.categories = {31: "Blue", 12: "green", 7: "red"}
    for each in data:
        object.__setattr__(each.truth, "categories", np.array([7, 31]))
    result = run(MODELS[library][0](), data, crops="random:keep=0.9,per_image=1")
    assert result.answers.pairing.by == "name"
    assert result.ap["reference"] == pytest.approx(1.0)


def test_no_more_than_a_library_takes_is_read_from_it():
    """An object of the user's own may have attributes of such names, and is still given RGB arrays."""
    for name, value in {"names": NAMES, "task": "detect", "metadata": {"name": "x"}, "transform": 3}.items():
        model = as_detector(lambda images: [find(image) for image in images])
        object.__setattr__(model, name, value)
        assert as_handle(model)([IMAGE])[0].categories.tolist() == [1, 3]


def test_an_object_that_has_every_attribute_is_taken_for_no_library():
    model = MagicMock(side_effect=lambda images: [find(image) for image in images], batch=1, max_detections=None)
    model.categories = None
    assert as_handle(model)([IMAGE])[0].categories.tolist() == [1, 3]


def test_a_library_that_imports_nothing_of_ours_is_not_imported():
    assert not {"torch", "torchvision", "transformers", "ultralytics", "supervision", "maite"} & set(sys.modules)


# What is given


def test_each_input_of_the_table_has_its_form_and_is_a_copy():
    assert tuple(FORMS_OF_INPUT) == INPUT_FORMS
    given = {name: FORMS_OF_INPUT[name](IMAGE) for name in INPUT_FORMS}
    same(given["rgb"], IMAGE)
    same(given["bgr"][:, :, ::-1], IMAGE)
    same(given["chw"].transpose(1, 2, 0), IMAGE)
    assert given["chw01"].dtype == np.float32
    same(given["chw01"], given["chw"] / np.float32(255))
    same(np.asarray(given["pil"]), IMAGE)
    for each in ("rgb", "bgr", "chw", "chw01"):
        assert given[each].flags.c_contiguous
        given[each][:] = 0
    assert IMAGE.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_a_picture_of_one_row_or_column_is_copied_too(shape):
    picture = np.full((*shape, 3), 7, np.uint8)
    for name in ("rgb", "bgr", "chw", "chw01"):
        FORMS_OF_INPUT[name](picture)[:] = 0
    assert (picture == 7).all()


@pytest.mark.parametrize("how", ["attribute", "as_detector", "option"])
def test_what_a_function_takes_is_said_in_three_ways(how, monkeypatch):
    seen = []

    def mine(images):
        seen.append(images[0].shape)
        return [find(look_alikes.rgb_of_chw01(image)) for image in images]

    if how == "attribute":
        mine.input = "chw01"
        detector = as_handle(mine)
    elif how == "as_detector":
        detector = as_handle(as_detector(mine, input="chw01"))
    else:
        module = ModuleType("own_chw")
        module.make = lambda: mine
        monkeypatch.setitem(sys.modules, "own_chw", module)
        detector = load_detector("own_chw:make", input="chw01")
    assert detector([IMAGE])[0].boxes.tolist() == BOXES
    assert seen == [(3, 30, 40)]


def test_what_is_not_said_of_a_function_is_its_own():
    class Mine:
        batch, fingerprint, max_detections, categories = 4, "abc", 7, NAMES

        def __call__(self, images):
            return [find(image) for image in images]

    own, said = as_handle(as_detector(Mine())), as_handle(as_detector(Mine(), batch=2, fingerprint="d", name="mine"))
    assert (own.name, own.batch, own.fingerprint, own.max_detections, own.categories) == ("Mine", 4, "abc", 7, NAMES)
    assert (said.name, said.batch, said.fingerprint, said.max_detections) == ("mine", 2, "d", 7)
    with pytest.raises(DetectorError, match="as_detector takes a function or a model; int cannot be called"):
        as_detector(7)


def test_an_input_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(DetectorError, match="input=hwc: must be one of rgb, bgr, chw, chw01, pil"):
        as_detector(find, input="hwc")
    find_all = as_detector(find)
    object.__setattr__(find_all, "input", "hwc")
    with pytest.raises(DetectorError, match="input=hwc: must be one of"):
        as_handle(find_all)


def test_pillow_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DetectorError, match=r"input=pil needs Pillow .*: pip install pillow"):
        as_handle(Pipeline())([IMAGE])


def test_an_attribute_input_that_is_no_text_is_anothers():
    """A Keras model has one, which is a tensor, or fails."""

    class Model:
        input = np.zeros(3)

        def __call__(self, images):
            return [find(image) for image in images]

    class NeverCalled(Model):
        @property
        def input(self):
            raise ValueError("The layer has never been called")

    assert len(as_handle(Model())([IMAGE])[0]) == len(as_handle(NeverCalled())([IMAGE])[0]) == 2


def test_a_model_file_refuses_what_is_said_of_functions(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    for key, value in {"input": "chw01", "timeout": 5}.items():
        with pytest.raises(DetectorError, match=f"{key}=.* is not used: a model file"):
            load_detector(tmp_path, **{key: value})


def test_a_fingerprint_is_as_it_was_and_follows_the_input(monkeypatch):
    module = ModuleType("own_print")
    module.make = lambda: None
    module.make.fingerprint = "v1"
    monkeypatch.setitem(sys.modules, "own_print", module)
    plain, batched = load_detector("own_print:make"), load_detector("own_print:make", batch=2)
    assert plain.fingerprint == "v1"
    assert batched.fingerprint == "62729d53acffdb77642c35157f8e21b7ae3e9ce2a050184bebbb3b8f4b8b062e"
    prints = {load_detector("own_print:make", batch=2, input=each).fingerprint for each in INPUT_FORMS}
    assert len(prints | {batched.fingerprint}) == len(INPUT_FORMS) + 1


def test_torch_is_given_tensors_like_its_parameters_and_keeps_no_gradients(monkeypatch):
    inside = []

    @contextmanager
    def no_grad():
        inside.append("in")
        yield
        inside.append("out")

    framework = ModuleType("look_alike_torch")
    framework.no_grad = no_grad
    monkeypatch.setitem(sys.modules, "look_alike_torch", framework)
    monkeypatch.setattr(look_alikes.Parameter, "__module__", "look_alike_torch.nn.parameter")
    assert as_handle(TorchvisionModel())([IMAGE])[0].boxes.tolist() == BOXES
    assert inside == ["in", "out"]


def test_a_torchvision_model_in_training_mode_is_refused():
    with pytest.raises(DetectorError, match=r"TorchvisionModel is in training mode.*call model\.eval\(\)"):
        as_handle(TorchvisionModel(training=True))


def test_a_maite_model_must_say_its_range():
    with pytest.raises(DetectorError, match=r"0 to 1 is not known\. Set --cropdet-detector input=chw\|chw01"):
        as_handle(MaiteDetector())
    assert len(as_handle(as_detector(MaiteDetector(), input="chw01"))([IMAGE])[0]) == 2


# The BGR trap of ultralytics


def test_a_function_that_hands_rgb_to_ultralytics_is_found_out():
    model = Yolo()
    detector = as_handle(as_detector(model.predict, categories=NAMES))
    with pytest.raises(DetectorError, match="ultralytics takes NumPy arrays as BGR, and was given RGB"):
        detector([IMAGE])
    right = as_detector(lambda images: model([image[..., ::-1] for image in images]), categories=NAMES)
    assert as_handle(right)([IMAGE])[0].categories.tolist() == [0, 2]
    pictures = as_detector(model, input="pil")
    assert as_handle(pictures)([IMAGE])[0].categories.tolist() == [0, 2]


def test_a_gray_picture_shows_nothing_about_the_order_of_its_channels():
    gray = np.full((9, 9, 3), 80, np.uint8)
    model = Yolo()
    assert len(as_handle(as_detector(model.predict, categories=NAMES))([gray])[0]) == 0


@pytest.mark.parametrize(
    ("model", "said", "sentence"),
    [
        (Yolo, "rgb", "takes NumPy arrays as BGR; set input=bgr or input=pil"),
        (Yolo, "chw", "takes NumPy arrays as BGR; set input=bgr or input=pil"),
        (TorchvisionModel, "chw", "takes values of 0 to 1; set input=chw01"),
    ],
)
def test_a_model_is_never_given_what_it_reads_wrongly_without_an_error(model, said, sentence):
    with pytest.raises(DetectorError, match=f"input={said}: a model of .* {sentence}"):
        as_handle(as_detector(model(), input=said))


def test_a_result_without_boxes_is_named():
    result = SimpleNamespace(boxes=None, names=NAMES, obb=SimpleNamespace())
    with pytest.raises(DetectorError, match=r"has no boxes \(oriented boxes are not supported\)"):
        read_answer(result, IMAGE, NAMES)


# Forms of an answer

FORMS = {
    "dict": lambda found: {"boxes": found.boxes, "scores": found.scores, "labels": found.categories},
    "dict of lists": lambda found: {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "classes": found.categories.tolist(),
    },
    "tuple": lambda found: (found.boxes, found.scores, found.categories),
    "list of three": lambda found: [found.boxes.tolist(), found.scores.tolist(), found.categories.tolist()],
    "named tuple": lambda found: Found(found.boxes, found.scores, found.categories),
    "tensors": lambda found: (Tensor(found.boxes), Tensor(found.scores), Tensor(found.categories)),
    "bfloat16": lambda found: (Tensor(found.boxes), Tensor(found.scores, kind="bfloat16"), Tensor(found.categories)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_numbers_says_the_same_as_detections(form):
    full, empty = as_handle(lambda images: [FORMS[form](find(image)) for image in images])([IMAGE, EMPTY])
    same(full.boxes, np.array(BOXES))
    assert full.scores.tolist() == pytest.approx([0.9, 0.9])
    assert full.categories.tolist() == [1, 3]
    assert len(empty) == 0


def test_numbers_without_names_may_count_from_0(monkeypatch):
    module = ModuleType("own_zero")
    module.make = lambda: lambda images: [([[0, 0, 2, 2]], [0.5], [0]) for image in images]
    monkeypatch.setitem(sys.modules, "own_zero", module)
    assert load_detector("own_zero:make", first_category=0)([IMAGE])[0].categories.tolist() == [1]


def test_arrays_of_other_libraries_are_numpys():
    class OnGpu:
        def __array__(self, dtype=None, copy=None):
            raise TypeError("Implicit conversion to a NumPy array is not allowed")

        def get(self):
            return np.array([1, 2])

    class Exchanged:
        def __dlpack__(self, **keywords):
            return np.array([1.0, 2.0]).__dlpack__(**keywords)

        def __dlpack_device__(self):
            return (1, 0)

    assert as_array(OnGpu()).tolist() == [1, 2]
    assert as_array(Exchanged()).tolist() == [1.0, 2.0]
    assert as_array([[1, 2]]).shape == (1, 2)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"boxes": [[0, 0, 1, 1]], "scores": [0.5]}, "not a dict with boxes, scores: labels missing"),
        ({"score": 0.5, "label": "red", "box": {}}, "dict with score, label, box: boxes and scores and labels missing"),
        ([{"score": 0.5, "label": "red"}], "the one at 0 has score, label; one detection is a dict {score, label, box"),
        ([[0, 0, 1, 1]], "not list; it may return Detections, a dict or an object"),
        (np.zeros((2, 6)), "not ndarray; it may return"),
        (None, "not NoneType; it may return"),
        (([[0, 0, 1, 1]], [1], [0.5]), "no whole number .are these the scores"),
        (([[0, 0, 1, 1]], [3], [1]), "scores: row 0 is 3.0, must lie between 0 and 1 .are these the categories"),
        (([[5, 5, 3, 3]], [0.5], [1]), "boxes: row 0 is 5 5 3 3, so x1 < x0"),
        (([0, 0, 1, 1], [0.5], [1]), "one box"),
    ],
)
def test_what_is_no_form_or_cannot_be_detections_is_named(answer, sentence):
    with pytest.raises(DetectorError, match=sentence):
        as_handle(lambda images: [answer])([IMAGE])


def test_one_answer_without_its_list_is_no_answer_to_an_image():
    for answer in ({"boxes": [], "scores": [], "labels": []}, SupervisionDetections(find(IMAGE))):
        with pytest.raises(DetectorError, match=r"one an image, not dict|was given 1 images .* and answered 2"):
            as_handle(lambda images, answer=answer: answer)([IMAGE])


def test_supervision_detections_need_scores_and_categories():
    for name, sentence in {"confidence": "have no confidence", "class_id": "neither class_id nor"}.items():
        found = SupervisionDetections(find(IMAGE), names=False)
        setattr(found, name, None)
        with pytest.raises(DetectorError, match=sentence):
            read_answer(found, IMAGE, NAMES)
    nothing = SupervisionDetections(find(EMPTY))
    nothing.class_id = nothing.confidence = None
    assert len(read_answer(nothing, EMPTY, None)) == 0


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([1, 3], "its scores have 3 columns, and a label is 3; labels count the columns from 0"),
        ([1, 1], r"no label is the number of its highest column, counted from 0 \(label 1, highest column 0\)"),
    ],
)
def test_scores_of_every_category_need_labels_that_count_their_columns(labels, sentence):
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7]])
    with pytest.raises(DetectorError, match=sentence):
        read_answer(SimpleNamespace(boxes=BOXES, scores=scores, labels=labels), IMAGE, None)


def test_a_box_may_come_once_for_each_of_its_categories():
    scores = np.array([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0]])
    target = SimpleNamespace(boxes=[BOXES[0]] * 2, scores=scores, labels=[0, 1])
    assert read_answer(target, IMAGE, None).scores.tolist() == [0.6, 0.4]


# Categories by name


def test_names_become_the_ids_of_the_detectors_categories_whatever_their_order():
    rows = pipeline_rows(find(IMAGE))
    assert read_answer(rows, IMAGE, {5: "blue", 9: " Red"}).categories.tolist() == [9, 5]
    assert read_answer((BOXES, [0.5, 0.5], ["blue", "red"]), IMAGE, {5: "blue", 9: "red"}).categories.tolist() == [5, 9]


def test_names_may_be_given_to_a_factory_as_labels(monkeypatch):
    module = ModuleType("own_names")
    module.make = lambda: lambda images: [pipeline_rows(find(image)) for image in images]
    monkeypatch.setitem(sys.modules, "own_names", module)
    detector = load_detector("own_names:make", labels="blue,green,red")
    assert detector([IMAGE])[0].categories.tolist() == [3, 1]
    with pytest.raises(DetectorError, match=r"has names for categories .red, blue. .* --cropdet-detector labels=FILE"):
        load_detector("own_names:make")([IMAGE])


@pytest.mark.parametrize(
    ("categories", "sentence"),
    [
        ({1: "red"}, "has the category 'blue', which is not among the detector's categories .red."),
        ({1: "red", 2: "blue", 3: "Blue"}, "has the category 'blue', which is the name of 2 ids of"),
    ],
)
def test_a_name_that_is_no_single_category_is_refused(categories, sentence):
    with pytest.raises(DetectorError, match=sentence):
        read_answer(pipeline_rows(find(IMAGE)), IMAGE, categories)


@pytest.mark.parametrize("answer", [SupervisionDetections(find(IMAGE)), ultralytics_result(IMAGE[..., ::-1])])
def test_names_beside_numbers_are_never_dropped(answer):
    """Else number 0 of one library would silently be taken for id 0 of the data set."""
    with pytest.raises(DetectorError, match=r"has names for its numbers \(0 red, 2 blue\) and the detector has none"):
        read_answer(answer, IMAGE, None)
    with pytest.raises(DetectorError, match="calls category 0 'red', and the detector's categories have no name for 0"):
        read_answer(answer, IMAGE, {1: "red", 2: "green", 3: "blue"})
    with pytest.raises(DetectorError, match=r"calls category 2 'blue', .* have 'green' for 2"):
        read_answer(answer, IMAGE, {0: "red", 1: "blue", 2: "green"})
    assert read_answer(answer, IMAGE, NAMES).categories.tolist() == [0, 2]
