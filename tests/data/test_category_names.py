"""Which names mean the same category: by spelling, by alias, in a group; and what is said where none does."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.data.categories import Pairing, reconcile, select_categories
from pytest_cropdet.data.category_names import CategoryNames, is_spelt_like
from pytest_cropdet.data.coco import Annotations
from pytest_cropdet.data.renamed import rename_annotations, with_names
from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.settings import RunSettings, name_lists

WILD = {1: "deer", 2: "fox", 3: "wild boar", 9: "vehicle"}
GROUP = ("animal=deer,fox,wild_boar",)


def found(*rows, capped=False):
    """Detections from (left, category, score), each 10 px a side."""
    boxes = [[left, 0, left + 10, 10] for left, _, _ in rows]
    return Detections(np.reshape(boxes, (-1, 4)), [row[2] for row in rows], [row[1] for row in rows], capped)


def test_a_name_in_a_group_that_two_categories_are_spelt_like_means_neither_and_in_an_alias_it_is_refused():
    names = {1: "traffic light", 2: "traffic_light", 3: "car", 4: "lamp"}
    grouped = CategoryNames.of(names, group=["signal=trafficlight,car,lamp"])
    assert grouped.ids == {1: 1, 2: 2, 3: 3, 4: 3}
    with pytest.raises(SpecError, match=r"has 2 of these categories \(traffic light, traffic_light\)"):
        CategoryNames.of(names, alias=["signal=trafficlight"])


# Spelling


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("traffic light", "Traffic_Light"),
        ("traffic light", "traffic-lights"),
        ("trafficlight", "traffic  light"),
        ("person", "Persons"),
        ("bus", "buses"),
        ("box", "boxes"),
        ("bench", "benches"),
        ("berry", "Berries"),
        ("wine glass", "wine_glasses"),
        ("house", "houses"),
        ("axe", "axes"),
    ],
)
def test_names_that_differ_in_spelling_are_paired_and_reported(one, other):
    for ours, theirs in ((one, other), (other, one)):
        matched = reconcile({4: theirs, 5: "zebra"}, {7: ours, 8: "lamp"}, [7])
        assert (matched.by, dict(matched.ids)) == ("name", {4: 7})
        assert matched.folded == ((theirs, ours),)
        text = matched.pairing([]).text
        assert text == f"categories are paired by name; though spelt differently: {theirs!r} = {ours!r}"


def test_case_alone_is_no_difference_that_is_reported():
    assert reconcile({1: " Dog"}, {4: "dog"}, [4]).folded == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bus", "bu"),
        ("glass", "glas"),
        ("gas", "ga"),
        ("mouse", "mice"),
        ("iris", "iri"),
        ("plane", "plan"),
        ("cape", "cap"),
        ("car", "care"),
    ],
)
def test_words_that_only_look_like_a_plural_are_others(one, other):
    assert reconcile({1: other}, {4: one}, []).ids == {}


@pytest.mark.parametrize(
    ("detector", "data", "ids"),
    [
        ({1: "cat", 2: "cats"}, {5: "cat"}, {1: 5}),  # the same name wins, and the other is left alone
        ({1: "cats", 2: "Cat_s"}, {5: "cat"}, {}),
        ({1: "glass"}, {5: "glasses", 6: "glass"}, {1: 6}),
        ({1: "hot-dog", 2: "hotdog"}, {5: "hot dog"}, {}),
        ({1: "hot-dog"}, {5: "hot dog", 6: "hotdog"}, {}),
        ({1: "hot-dogs", 2: "dog"}, {5: "hot dog", 6: "dog"}, {1: 5, 2: 6}),
    ],
)
def test_a_spelling_that_two_have_pairs_nothing(detector, data, ids):
    assert dict(reconcile(detector, data, []).ids) == ids


@given(st.text("abs _-", min_size=1, max_size=8))
def test_spelling_does_not_depend_on_case_or_separators(name):
    for other in (f" {name.upper()} ", name.replace("_", " ").replace("-", "_")):
        assert is_spelt_like(name, other)
        assert is_spelt_like(other, name)


# Aliases


def test_several_of_the_detectors_names_mean_one_of_the_data_set():
    names = CategoryNames.of(WILD, ["vehicle=car,truck,bus"])
    assert dict(names) == WILD
    matched = reconcile({0: "car", 1: "Truck", 2: "deer", 3: "kite"}, names, [1, 9])
    assert dict(matched.ids) == {0: 9, 1: 9, 2: 1}
    assert matched.pairing([]).merged == {"vehicle": ("car", "Truck")}
    assert "the detector's 'car', 'Truck' mean 'vehicle'" in matched.pairing([]).text


def test_an_alias_works_in_both_directions_and_with_another_spelling():
    for written in ("vehicle=automobile", "automobile=vehicle", "auto=vehicles,auto_mobile"):
        for data, detector in (("vehicle", "automobile"), ("automobile", "vehicle")):
            matched = reconcile({3: detector}, CategoryNames.of({9: data}, [written]), [9])
            assert dict(matched.ids) == {3: 9}, written


def test_an_alias_of_two_categories_of_the_data_set_is_a_group_and_refused_with_its_line():
    with pytest.raises(SpecError, match=r"the data set has 2 of these categories \(car, truck\)") as caught:
        CategoryNames.of({1: "car", 2: "truck"}, ["vehicle=car,truck,bus"])
    assert str(caught.value).endswith("use --cropdet-group=vehicle=car,truck,bus")


def test_an_alias_of_a_detector_without_names_is_refused():
    with pytest.raises(DetectorError, match=r"cropdet_alias .* the detector gives none; .* labels=FILE"):
        reconcile(None, CategoryNames.of(WILD, ["vehicle=car"]), [])
    assert reconcile(None, CategoryNames.of(WILD, group=GROUP), []).by == "id", "a group needs no names"


@pytest.mark.parametrize("options", [{"alias": ["vehicle=car,trcuk"]}, {"group": ["animal=deer,fox,boarr"]}])
def test_a_name_that_nobody_has_but_for_its_spelling_is_a_mistake(options):
    names = CategoryNames.of({**WILD, 10: "boar"}, **options)
    with pytest.raises(SpecError, match=r"has a category '(trcuk|boarr)'; did you mean '(truck|boar)'\?"):
        reconcile({0: "car", 1: "truck", 2: "boar"}, names, [])


def test_a_name_that_nobody_has_is_for_another_model():
    names = CategoryNames.of(WILD, ["vehicle=car,lorry,tram"])
    assert dict(reconcile({0: "car", 1: "truck"}, names, []).ids) == {0: 9}


# Groups


def test_a_group_is_one_category_under_its_name_and_the_lowest_id():
    names = CategoryNames.of(WILD, group=GROUP)
    assert dict(names) == {1: "animal", 9: "vehicle"}
    assert (names.ids, dict(names.groups)) == ({1: 1, 2: 1, 3: 1, 9: 9}, {"animal": ("deer", "fox", "wild boar")})
    matched = reconcile({0: "fox", 1: "Deers", 2: "animal", 3: "wild boar", 4: "vehicle"}, names, [1, 9])
    assert dict(matched.ids) == {0: 1, 1: 1, 2: 1, 3: 1, 4: 9}
    assert reconcile(None, names, []).ids == {1: 1, 2: 1, 3: 1, 9: 9}


def test_names_of_a_group_that_only_the_detector_has_count_too_and_so_does_its_own_name():
    names = CategoryNames.of({1: "deer", 2: "animal"}, group=["animal=deer,lynx"])
    assert dict(names) == {1: "animal"}
    assert dict(reconcile({5: "lynx", 6: "animal"}, names, [1]).ids) == {5: 1, 6: 1}


def test_an_alias_may_mean_a_name_in_a_group():
    names = CategoryNames.of(WILD, ["deer=roe,stag"], GROUP)
    assert dict(reconcile({5: "stag", 6: "fox"}, names, [1]).ids) == {5: 1, 6: 1}


def test_a_group_without_a_category_of_the_data_set_names_what_there_is():
    with pytest.raises(
        SpecError, match="has none of these categories; it has deer, fox, wild boar, vehicle; near: deer"
    ):
        CategoryNames.of(WILD, group=["animal=dear,cow"])


@pytest.mark.parametrize("value", ["animal", "animal=", "=deer", "animal=deer,,fox"])
def test_what_is_no_list_of_names_is_refused_wherever_it_is_given(value):
    with pytest.raises(SpecError, match="must be NAME=OTHER,OTHER, not"):
        RunSettings(group=(value,))
    with pytest.raises(SpecError, match=f"cropdet_alias must be NAME=OTHER,OTHER, not {value!r}"):
        RunSettings(alias=value)


def test_a_name_is_in_one_group_only():
    with pytest.raises(
        SpecError, match="cropdet_group: 'Fox' is in two of them, 'animal=deer,fox' and 'small=Fox,hare'"
    ):
        name_lists("cropdet_group", ["animal=deer,fox", "small=Fox,hare"])
    assert RunSettings(group=["animal=deer"]).group == ("animal=deer",)


def test_one_object_under_two_names_of_a_group_is_one_detection_the_strongest():
    matched = reconcile({1: "deer", 2: "fox", 9: "vehicle"}, CategoryNames.of(WILD, group=GROUP), [])
    seen = matched.translate(found((0, 1, 0.6), (1, 2, 0.9), (1, 9, 0.3), (40, 1, 0.5), capped=True))
    assert seen.scores.tolist() == [0.9, 0.3, 0.5]
    assert seen.categories.tolist() == [1, 9, 1]
    assert seen.capped


def test_only_what_overlaps_by_half_under_another_name_is_one_object():
    matched = reconcile({1: "deer", 2: "fox"}, CategoryNames.of(WILD, group=GROUP), [])
    assert len(matched.translate(found((0, 1, 0.6), (1, 1, 0.5)))) == 2, (
        "one name: as the detector's own suppression left it"
    )
    assert len(matched.translate(found((0, 1, 0.6), (1, 1, 0.5), (60, 2, 0.9)))) == 3
    assert len(matched.translate(found((0, 1, 0.6), (4, 2, 0.5)))) == 2, "IoU 6 / 14"
    assert len(matched.translate(found((0, 1, 0.6), (3, 2, 0.5)))) == 1, "IoU 7 / 13"
    chain = found((0, 1, 0.9), (3, 2, 0.8), (6, 1, 0.7))
    assert matched.translate(chain).scores.tolist() == [0.9, 0.7], "what is left out leaves nothing else out"
    assert len(matched.translate(found())) == 0


def test_without_alias_or_group_nothing_is_left_out():
    matched = reconcile({1: "cat", 2: "Cat"}, {5: "cat"}, [])
    assert len(matched.translate(found((0, 1, 0.6), (0, 2, 0.5)))) == 2


# Chosen by name


def test_categories_are_chosen_by_the_groups_name_in_any_spelling():
    names = CategoryNames.of(WILD, ["vehicle=car"], GROUP)
    assert select_categories(["Animals", "vehicle"], names) == [1, 9]
    assert select_categories(["car"], names) == [9]
    with pytest.raises(SpecError, match=r"'fox' is counted in the group 'animal' .*; write 'animal'"):
        select_categories(["fox"], names)
    with pytest.raises(SpecError, match=r"no category 'vehicel'; it has animal, vehicle; did you mean 'vehicle'\?"):
        select_categories(["vehicel"], names)


# The data set


class Data(list):
    name, warnings = "wild", "its warnings"
    categories = WILD


def sample(*categories):
    truth = GroundTruth([[k, 0, k + 5, 5] for k in range(len(categories))], categories, crowd=[False] * len(categories))
    return Sample("a.png", 20, 20, truth, lambda: np.zeros((20, 20, 3), np.uint8))


def test_the_truth_of_a_group_has_one_id_and_everything_else_stays():
    data = Data([sample(3, 9, 2), sample(9), sample()])
    renamed = with_names(data, (), GROUP)
    assert [each.truth.categories.tolist() for each in renamed] == [[1, 9, 1], [9], []]
    assert (len(renamed), renamed.name, renamed.warnings) == (3, "wild", "its warnings")
    assert renamed[0].truth.boxes.tolist() == data[0].truth.boxes.tolist()
    assert (renamed[1], renamed[0].id, renamed[0].read) == (data[1], "a.png", data[0].read)
    assert data[0].truth.categories.tolist() == [3, 9, 2], "the data set itself is as it was"


def test_nothing_to_rename_is_the_data_set_itself_and_names_are_given_once():
    data = Data([sample(3)])
    assert with_names(data) is data
    renamed = with_names(data, ["vehicle=car"], GROUP)
    assert with_names(renamed, ("vehicle=car",), list(GROUP)) is renamed
    assert dict(with_names(renamed, (), ["all=deer,fox"]).categories) == {1: "all", 3: "wild boar", 9: "vehicle"}
    again = pickle.loads(pickle.dumps(with_names(Data(), ["vehicle=car"], GROUP)))
    assert dict(again.categories) == {1: "animal", 9: "vehicle"}


def test_a_folder_without_annotations_has_no_categories_to_rename():
    data = Data()
    data.has_truth = False
    with pytest.raises(SpecError, match="cropdet_group needs annotations: the data set wild has none"):
        with_names(data, (), GROUP)


def test_training_annotations_have_the_groups_names():
    box = np.array([[0, 0, 1, 1.0]] * 3)
    given_names = Annotations(np.array([[9, 9]]), np.zeros(3, np.int64), box, ("Fox", "wild_boars", "bus"))
    assert rename_annotations(given_names, GROUP).names == ("animal", "animal", "bus")


# What is said


def test_a_mismatch_shows_both_lists_side_by_side_with_the_nearest_names_and_the_line_that_pairs_them():
    with pytest.raises(DetectorError) as caught:
        reconcile(
            {3: "motor bike", 4: "dog", 5: "kite"}, {1: "motorcycle", 2: "dog", 6: "motorbikes", 7: "tree"}, [1, 2, 7]
        )
    assert str(caught.value).splitlines() == [
        "the detector does not know 'motorcycle', 'tree' of the data set.",
        "  the data set's | the detector's",
        "  1 motorcycle   | -",
        "  7 tree         | -",
        "  2 dog          | 4 dog",
        "  6 motorbikes   | 3 motor bike",
        "  -              | 5 kite",
        "fix the labels (--cropdet-detector labels=FILE); or name what means the same (--cropdet-alias='NAME=OTHER'); "
        "or gate only shared categories (--cropdet-categories='dog,motorbikes')",
    ]
    with pytest.raises(DetectorError) as caught:
        reconcile({3: "motor bike", 4: "dog"}, {1: "motorcycle", 2: "dog"}, [1])
    assert "  1 motorcycle   | -  (near: 3 motor bike)\n" in str(caught.value)
    assert "if these mean the same, add --cropdet-alias='motorcycle=motor bike'; or gate" in str(caught.value)


def test_a_long_mismatch_is_cut_short():
    with pytest.raises(DetectorError) as caught:
        reconcile({k: f"a{k}" for k in range(60)}, {k: f"bbb{k}" for k in range(60)}, range(60))
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 + 1 + 13 + 13 + 1
    assert sum(line.strip(" |") == "... and 48 more" for line in lines) == 2
    assert lines[0].endswith("'bbb11' and 48 more of the data set.")


def test_thousands_of_categories_are_paired_and_chosen_at_once():
    data = {k: f"thing_{k}" for k in range(3000)}
    start = time.perf_counter()
    matched = reconcile({k: f"Thing {k}" for k in range(2999, -1, -1)}, data, list(data))
    assert matched.ids == {k: k for k in data}
    assert select_categories(data.values(), data) == [*data]
    with pytest.raises(DetectorError, match="and 2988 more of the data set"):
        reconcile({k: f"other {k}" for k in range(3000)}, data, list(data))
    assert time.perf_counter() - start < 3


def test_the_pairing_goes_into_json_and_back():
    names = CategoryNames.of(WILD, ["vehicle=car,bus"], GROUP)
    pairing = reconcile({1: "Deers", 2: "car", 3: "bus"}, names, [9]).pairing([found((0, 7, 0.5))])
    told = pairing.to_dict()
    assert (told["folded"], told["merged"], told["groups"]) == (
        [["Deers", "deer"]],
        {"animal": ["Deers"], "vehicle": ["car", "bus"]},
        {"animal": ["deer", "fox", "wild boar"]},
    )
    assert Pairing.from_dict(told) == pairing
    assert "'deer', 'fox', 'wild boar' are counted as 'animal'" in pairing.text
    old = {"by": "name", "detections": 3, "left_out": 0, "lacking": []}
    assert Pairing.from_dict(old).text == "categories are paired by name", "records that were written before"
