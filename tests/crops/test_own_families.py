"""Families of windows that are not built in: registered in Python or by an entry point, and what is wrong with one."""

from __future__ import annotations

import importlib.metadata
import random
import subprocess
import sys
from itertools import count
from typing import ClassVar

import numpy as np
import pytest

import pytest_cropdet
from pytest_cropdet import Crop, CropFamily, Parameter, make_plan, register_family, run_benchmark
from pytest_cropdet.augment.matched import Matched
from pytest_cropdet.benchmark.cells import plan_benchmark
from pytest_cropdet.crops import registry
from pytest_cropdet.crops.families import FAMILIES
from pytest_cropdet.crops.family import SEVERITIES, FamilyKind, SeededDraws
from pytest_cropdet.crops.given_windows import read_crops
from pytest_cropdet.crops.plan import parse_spec, refuse_without_truth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.results import Run
from pytest_cropdet.report.model_card import benchmark_lines, model_card
from pytest_cropdet.report.records import benchmark_record
from tests.support import HEIGHT, WIDTH, loses_cut, made, opinions, perfect, small_run

DATA = made(images=20)


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


class Corner:
    """Square windows in a drawn corner, of a share of the shorter side."""

    name = "corner"
    parameters: ClassVar = {"share": Parameter(0.5, float), "per_image": Parameter(2, int)}
    severities = ("share", (0.9, 0.8, 0.7, 0.6, 0.5))
    needs_truth = False

    def windows(self, sample, draws, share, per_image):
        side = max(1, int(share * min(sample.width, sample.height)))
        for rank in range(per_image):
            right, low = draws.below(2, "right", rank), draws.below(2, "low", rank)
            yield Crop(right * (sample.width - side), low * (sample.height - side), side, side)


def registered(windows, name="mine", **more):
    register_family(name, **more)(windows)
    return windows


def middle(sample, draws, size=10):
    return [Crop(0, 0, size, size)]


def windows_of(spec, seed=0):
    return make_plan(DATA, spec, seed).windows


# What a family can do


def test_an_own_family_is_drawn_by_its_name_parameters_and_severity():
    register_family(Corner())
    first = windows_of("corner:share=0.5")
    assert {(each.width, each.height) for crops in first.values() for each in crops} == {(45, 45)}
    assert {each.left for crops in first.values() for each in crops} == {0, WIDTH - 45}
    assert windows_of("corner:severity=5") == first == windows_of("corner")
    assert windows_of("corner", seed=1) != first
    more = windows_of("corner:per_image=5")
    assert {name: crops[:2] for name, crops in more.items()} == first
    (family,) = parse_spec("corner:severity=2")
    assert family.spec == "corner:share=0.8,per_image=2"
    assert family.windows(DATA[0], 0) == list(windows_of("corner:severity=2")[DATA[0].id])


def test_it_mixes_with_built_in_families_and_stays_in_its_place():
    register_family(Corner())
    plan = make_plan(DATA, "corner+shift:px=8")
    assert plan.family == "corner+shift"
    assert [crops[2:] for crops in plan.windows.values()] == [(Crop(8, 8, WIDTH - 8, HEIGHT - 8),)] * len(DATA)


def test_the_decorator_leaves_the_function_as_it_is():
    @register_family("mine", parameters={"size": Parameter(12, int)})
    def windows(sample, draws, size):
        return [Crop(0, 0, size, size)]

    assert windows(DATA[0], None, 3) == [Crop(0, 0, 3, 3)]
    assert windows_of("mine")[DATA[0].id] == (Crop(0, 0, 12, 12),)


def test_all_kinds_of_parameters_are_read_and_written_the_same():
    parameters = {
        "number": Parameter(-3, int),
        "share": Parameter(1e-7, float),
        "fast": Parameter(False, bool),
        "word": Parameter("left", str),
        "pair": Parameter((1, 4), lambda text: tuple(map(int, text.split("-")))),
        "numpy": Parameter(np.float64(0.25), float),
    }
    seen = []
    registered(lambda sample, draws, **given: seen.append(given) or [Crop(0, 0, 5, 5)], parameters=parameters)
    (family,) = parse_spec("mine:number=7,fast=true,word=right,pair=2-3")
    assert dict(family.parameters) == {
        "number": 7,
        "share": 1e-7,
        "fast": True,
        "word": "right",
        "pair": (2, 3),
        "numpy": 0.25,
    }
    assert parse_spec(family.spec) == (family,)
    windows_of("mine")
    assert seen[0] == {
        "number": -3,
        "share": 1e-7,
        "fast": False,
        "word": "left",
        "pair": (1, 4),
        "numpy": 0.25,
    }


def test_its_draws_follow_from_what_they_are_of_alone():
    one, other = (SeededDraws.of("mine", DATA[number], 0) for number in (0, 1))
    assert one.number("left", 3) == SeededDraws.of("mine", DATA[0], 0).number("left", 3)
    assert len({one.number("left", 3), one.number("left", 4), one.number("top", 3), other.number("left", 3)}) == 4
    assert one.number("left") != SeededDraws.of("yours", DATA[0], 0).number("left")
    assert one.number("left") != SeededDraws.of("mine", DATA[0], 1).number("left")
    shares = [one.share("left", rank) for rank in range(1000)]
    assert min(shares) < 0.01 < 0.99 < max(shares) <= 1
    assert {one.below(3, "left", rank) for rank in range(50)} == {0, 1, 2}
    assert one.generator().integers(1000) == one.generator().integers(1000) != other.generator().integers(1000)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_built_in_families_are_families_like_any_other(name):
    family = FAMILIES[name]
    assert isinstance(family, CropFamily)
    assert isinstance(Corner(), CropFamily)
    again = FamilyKind("again", family.windows, family.parameters, family.severities, family.needs_truth)
    register_family(again)
    for severity in SEVERITIES:
        windows = windows_of(f"again:severity={severity}")
        assert [len(crops) for crops in windows.values()] == [
            len(crops) for crops in windows_of(f"{name}:severity={severity}").values()
        ]


# Where it works


def test_a_gate_on_an_own_family_is_a_gate_on_its_windows():
    register_family(Corner())
    detector = loses_cut(opinions(DATA))
    by_name = small_run(detector, DATA, "corner:severity=3")
    given = small_run(detector, DATA, windows_of("corner:severity=3"))
    assert (by_name.drop.value, by_name.drop.low, by_name.drop.high) == (
        given.drop.value,
        given.drop.low,
        given.drop.high,
    )
    assert by_name.plan.family == "corner"
    told = by_name.to_dict()
    assert told["plan"] == "corner:severity=3"
    assert told["windows"] == given.to_dict()["windows"]  # another reader cannot draw them


def test_a_run_on_an_own_family_is_saved_and_read_where_the_family_is_not_known(tmp_path, monkeypatch):
    register_family(Corner())
    data = made(images=60)
    found = small_run(loses_cut(opinions(data)), data, "corner", explain="always")
    found.save(tmp_path / "run.zip")
    monkeypatch.setattr(registry, "_registered", {})
    again = Run.load(tmp_path / "run.zip")
    assert again.to_dict()["advice"] == found.to_dict()["advice"]
    assert again.plan.windows == found.plan.windows
    assert again.drop.low == found.drop.low


def test_a_plan_of_an_own_family_is_given_on():
    register_family(Corner())
    plan = make_plan(DATA, "corner")
    assert read_crops(plan, DATA).windows == plan.windows
    assert read_crops(parse_spec("corner"), DATA) == "corner:share=0.5,per_image=2"


def test_a_gate_that_fails_on_an_own_family_gives_advice_without_a_recipe_for_it():
    register_family(Corner())
    found = small_run(loses_cut(opinions(DATA)), DATA, "corner", explain="always")
    assert "Matched" not in found.advice.code
    with pytest.raises(SpecError, match=r"Matched: crops 'corner': 'corner' is not built in"):
        Matched("corner")


def test_the_benchmark_takes_own_families_by_name():
    register_family(Corner())
    detector = loses_cut(opinions(DATA))
    found = run_benchmark(detector, DATA, "quick", families=["corner", "shift"], replicates=100)
    told = benchmark_record(found)
    cells = [(each["family"], each["severity"]) for each in told["benchmark"]["cells"]]
    assert cells == [(family, severity) for family in ("corner", "shift") for severity in (1, 3, 5)]
    assert told["benchmark"]["definition"] == "cropdet-benchmark 1 with families corner, shift"
    gate = small_run(detector, DATA, "corner:severity=3,per_image=2")
    assert told["benchmark"]["cells"][1]["crop"]["value"] == pytest.approx(gate.ap["crop"], abs=1e-12)
    assert "| shift | corner | mPC |" in model_card([{"name": "b", **told}])
    assert any(line.startswith("corner ") for line in benchmark_lines({"name": "b", **told}))
    assert found.plot().axes[0].get_title(loc="left") == "corner"


def test_the_benchmark_as_it_is_defined_leaves_own_families_out():
    register_family(Corner())
    plan = plan_benchmark(DATA, "quick")
    assert {cell.family for cell in plan.cells} == set(FAMILIES)
    assert plan.definition == "cropdet-benchmark 1"


@pytest.mark.parametrize(
    ("families", "sentence"),
    [
        (["none"], "unknown family 'none'"),
        (["plain"], "the benchmark needs severities, and the family 'plain' has none"),
        (["corner", "tile", "corner"], "the benchmark has the family 'corner' twice"),
        ("corner", r"families='corner': write a list of names"),
    ],
)
def test_a_benchmark_refuses_families_that_it_cannot_take(families, sentence):
    register_family(Corner())
    registered(middle, "plain")
    with pytest.raises(SpecError, match=sentence):
        plan_benchmark(DATA, "quick", families=families)


# What is wrong with a family


def test_a_name_is_of_one_family():
    register_family(Corner())
    with pytest.raises(SpecError, match=r"the family 'random' is built in; give yours another name"):
        register_family("random")(middle)
    with pytest.raises(SpecError, match=r"the family 'corner' is registered twice: by Corner \(.*\) and by middle \("):
        register_family("corner")(middle)
    register_family(Corner())  # a module that is loaded again
    assert windows_of("corner")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a+b", "1st", "drawn", "windows", "größe", 7])
def test_names_that_no_spec_can_have_are_refused(name):
    with pytest.raises(SpecError, match="a family cannot be called"):
        register_family(FamilyKind(name, middle, {}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parameters": {"severity": Parameter(1, int)}}, "a parameter cannot be called 'severity'"),
        ({"parameters": {"a b": Parameter(1, int)}}, "a parameter cannot be called 'a b'"),
        ({"parameters": {"size": 10}}, r"the parameter size is 10; write Parameter\(default, int\)"),
        ({"parameters": {"size": Parameter("large", int)}}, "size=large: a whole number"),
        ({"parameters": {"fast": Parameter("yes", bool)}}, "fast=yes: true or false"),
        ({"parameters": {"size": Parameter("inf", float)}}, "size=inf: a finite number"),
        ({"parameters": {"word": Parameter("a,b", str)}}, r"a spec cannot contain a value with"),
        ({"parameters": {"size": Parameter(1, lambda text: object())}}, "a value must be the same again"),
        ({"severities": ("size", (1, 2, 3, 4, 5))}, "severities are"),
        ({"parameters": {"size": Parameter(1, int)}, "severities": ("size", (1, 2))}, "severities are"),
    ],
)
def test_parameters_and_severities_that_do_not_fit_are_refused(changes, sentence):
    with pytest.raises(SpecError, match=rf"the family 'mine': .*{sentence}"):
        register_family("mine", **changes)(middle)


def test_what_is_no_family_is_refused():
    with pytest.raises(SpecError, match="is no family of windows: it has no name, parameters, severities, needs_truth"):
        register_family(object())


def test_an_unknown_parameter_or_value_is_named():
    register_family(Corner())
    registered(middle, "plain")
    with pytest.raises(
        SpecError, match=r"corner does not know 'sahre=1'; it takes share=0.5, per_image=2, or severity"
    ):
        parse_spec("corner:sahre=1")
    with pytest.raises(SpecError, match=r"crops 'corner:share=big': share=big: a number"):
        parse_spec("corner:share=big")
    with pytest.raises(SpecError, match=r"plain does not know 'size=1'; it takes no parameters"):
        parse_spec("plain:size=1")
    with pytest.raises(SpecError, match=r"the family 'plain' has no severities"):
        parse_spec("plain:severity=1")
    with pytest.raises(SpecError, match=r"unknown family 'cornr'; known are random, .*corner, plain.* mean.*corner"):
        parse_spec("cornr")


@pytest.mark.parametrize(
    ("windows", "sentence"),
    [
        (lambda sample, draws: [Crop(0, 0, 121, 5)], r"which is not inside its 120 x 90 px"),
        (lambda sample, draws: [Crop(100, 0, 21, 5)], r"which is not inside its 120 x 90 px"),
        (lambda sample, draws: [(0, 0, 5, 5)], r"returned \(0, 0, 5, 5\) for 000.png; return Crop"),
        (lambda sample, draws: None, r"failed for 000.png: TypeError"),
        (lambda sample, draws: [Crop(0, 0, 0, 5)], r"failed for 000.png: "),
        (lambda sample: [], r"failed for 000.png: TypeError"),
        (lambda sample, draws: 1 / 0, r"failed for 000.png: ZeroDivisionError: division by zero"),
    ],
    ids=["too wide", "too far right", "no crop", "none", "an empty crop", "no draws", "an error"],
)
def test_windows_that_are_none_are_refused(windows, sentence):
    registered(windows)
    with pytest.raises(SpecError, match=f"the family 'mine' .*{sentence}"):
        windows_of("mine")


def test_a_family_that_is_not_deterministic_is_refused():
    registered(lambda sample, draws: [Crop(random.randrange(60), random.randrange(30), 60, 60)], "dice")
    numbers = count(1)
    registered(lambda sample, draws: [Crop(0, 0, 9, 9)] * next(numbers), "grows")
    with pytest.raises(SpecError, match=r"'dice' is not deterministic: called twice for .* it returned Crop\("):
        windows_of("dice")  # 20 times the same twice, of 1800 windows: never
    with pytest.raises(SpecError, match=r"'grows' is not deterministic: .* returned 1, then 2 windows"):
        windows_of("grows")


def test_too_many_windows_are_refused_before_all_are_made():
    drawn = []

    def endless(sample, draws):
        for number in count():
            drawn.append(number)
            yield Crop(0, 0, 9, 9)

    registered(endless, "endless")
    with pytest.raises(SpecError, match=r"crops 'random:per_image=2\+endless': about .* the limit is 1,000;"):
        make_plan(DATA, "random:per_image=2+endless", max_crops=1000)
    assert len(drawn) < 3000


def test_a_family_that_follows_objects_is_refused_without_truth():
    registered(middle, "round", needs_truth=True)
    registered(middle, "plain")
    with pytest.raises(SpecError, match=r"round cuts round annotated objects.* take one of random, tile, shift, plain"):
        refuse_without_truth("round")


# Entry points


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package that does not need to be built: a module of families and the metadata of its entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(entries, module="", package="zoo"):
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[pytest_cropdet.families]\n{entries}\n")
        (tmp_path / f"{package}_families.py").write_text(module)

    yield install
    for name in [each for each in sys.modules if each.endswith("_families") and each.startswith(("zoo", "ark"))]:
        del sys.modules[name]


AN_OBJECT = """
from pytest_cropdet import Crop, Parameter

class Stripe:
    name = "stripe"
    parameters = {"width": Parameter(16, int)}
    severities = None
    needs_truth = False

    def windows(self, sample, draws, width):
        return [Crop(0, 0, min(width, sample.width), sample.height)]

stripe = Stripe()
"""
A_FUNCTION = """
from pytest_cropdet import Crop, Parameter, register_family

@register_family("stripe", parameters={"width": Parameter(16, int)})
def stripe(sample, draws, width):
    return [Crop(0, 0, min(width, sample.width), sample.height)]
"""


@pytest.mark.parametrize("module", [AN_OBJECT, A_FUNCTION], ids=["an object", "a decorated function"])
def test_a_family_of_an_installed_package_is_found_by_its_name(plugin, module):
    plugin("stripe = zoo_families:stripe", module)
    assert windows_of("stripe:width=20")[DATA[0].id] == (Crop(0, 0, 20, HEIGHT),)
    assert small_run(perfect(DATA), DATA, "stripe:width=60").drop.value == 0.0


def test_one_that_cannot_be_imported_is_named_and_breaks_nothing_else(plugin):
    plugin("stripe = zoo_families:stripe\nbroken = zoo_none:stripe\nstrip = zoo_families:strip", A_FUNCTION)
    with pytest.raises(SpecError, match=r"'broken:x=1': the family 'broken' of the plug-in zoo_none:stripe cannot be"):
        parse_spec("broken:x=1")
    with pytest.raises(SpecError, match=r"zoo_families:strip cannot be loaded: AttributeError"):
        parse_spec("strip")
    assert windows_of("stripe")
    assert windows_of("random")


def test_one_that_leads_to_something_else_is_named(plugin):
    plugin("band = zoo_families:stripe\nother = zoo_families:Crop", AN_OBJECT)
    with pytest.raises(SpecError, match=r"is no family of that name but of 'stripe'"):
        parse_spec("band")
    with pytest.raises(SpecError, match=r"'other' of the plug-in zoo_families:Crop is no family of that name: the ent"):
        parse_spec("other")


def test_two_packages_with_one_name_are_named(plugin):
    plugin("stripe = zoo_families:stripe", AN_OBJECT)
    plugin("stripe = ark_families:stripe", AN_OBJECT, "ark")
    with pytest.raises(SpecError, match=r"several plug-ins have a family 'stripe': ark_families:stripe, zoo_families:"):
        parse_spec("stripe")


def test_a_registered_family_comes_before_an_entry_point_and_an_unknown_one_lists_both(plugin):
    plugin("stripe = zoo_families:stripe\nband = zoo_none:band", AN_OBJECT)
    registered(middle, "stripe")
    assert windows_of("stripe")[DATA[0].id] == (Crop(0, 0, 10, 10),)
    with pytest.raises(SpecError, match=r"random, tile, object, edge, shift, stripe, band$"):
        parse_spec("none")


def test_entry_points_are_read_only_for_a_name_that_is_neither_built_in_nor_registered(monkeypatch):
    def refused(**which):
        raise AssertionError("entry points were read")

    monkeypatch.setattr(registry, "entry_points", refused)
    registered(middle)
    assert windows_of("random+tile+object+edge+shift+mine")
    with pytest.raises(AssertionError, match="entry points were read"):
        parse_spec("other")
    assert registry.FAMILY_ENTRY_POINTS not in importlib.metadata.entry_points().groups


@pytest.mark.subprocess
def test_registering_imports_no_framework():
    code = (
        "import sys, pytest_cropdet; pytest_cropdet.register_family('mine')(lambda sample, draws: []); "
        "print([name for name in ('tensorflow', 'hypothesis', 'matplotlib', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_names_are_public():
    assert {"CropFamily", "Parameter", "SeededDraws", "register_family"} <= {*pytest_cropdet.__all__}
