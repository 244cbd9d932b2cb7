"""Each option is declared in one row, and its default and what is allowed are the same by all four ways to state it."""

import re
from dataclasses import dataclass, fields
from typing import Literal

import pytest

from pytest_cropdet.benchmark.cells import MODES, check_mode
from pytest_cropdet.data import load_dataset
from pytest_cropdet.errors import SpecError
from pytest_cropdet.plugin import options
from pytest_cropdet.plugin.configuration import settings_for
from pytest_cropdet.plugin.option_check import check_marker
from pytest_cropdet.plugin.options import OF_RUNS, OPTIONS, in_shown_order, ini_type, option
from pytest_cropdet.settings import BY_CATEGORY, Option, RunSettings, check_share, options_of, row

DECLARED = options_of(RunSettings)
ONLY_ARGUMENTS = {*BY_CATEGORY.values(), "min_objects", "replicates", "level"}
OTHER_ARGUMENTS = {  # arguments of functions that options are, too, but no run's
    "data_errors": lambda value: load_dataset("shapes", errors=value),
    "benchmark": check_mode,
}


def wrong_values(each):
    """Values that are not allowed, with what is said of them."""
    name = f"cropdet_{each.name}"
    if each.share:
        yield 5, f"{name} must lie between 0 and 1, not 5 (percent? write 0.05)"
        yield -0.1, f"{name} must lie between 0 and 1, not -0.1"
    if each.least is not None:
        yield each.least - 1, f"{name} must be {each.least} or more, not {each.least - 1}"
    if each.choices:
        yield "else", f"{name} must be one of {', '.join(each.choices)}, not 'else'"
    if each.choices and each.commas:
        yield [each.choices[0]] * 2, f"{name} needs one or more of {', '.join(each.choices)}, each once"


ALL = {each.name: each for each in (*OPTIONS, *DECLARED.values())}.values()
LIMITED = [each for each in ALL if any(wrong_values(each))]


def on_command_line(each, value, pytester, request):
    pytester.parseconfigure(*(f"{each.flag}={one}" for one in (value if isinstance(value, list) else [value])))


def in_ini_file(each, value, pytester, request):
    lines = "\n    ".join(map(str, value)) if isinstance(value, list) else value
    pytester.makeini(f"[pytest]\ncropdet_{each.name} = {lines}\n")
    pytester.parseconfigure()


def in_marker(each, value, pytester, request):
    request.node.add_marker(pytest.mark.cropdet(**{each.name: value}), append=False)
    check_marker(request.config, request.node)


def as_argument(each, value, pytester, request):
    if each.name in OTHER_ARGUMENTS:
        OTHER_ARGUMENTS[each.name](value)
    else:
        RunSettings(**{each.name: value})


WAYS = (on_command_line, in_ini_file, in_marker, as_argument)


def ways_of(each):
    """The ways by which a value can be stated."""
    if each.name in {option.name for option in OPTIONS}:
        yield from (on_command_line, in_ini_file)
        yield from [in_marker] * (each.name not in options.NOT_FOR_MARKERS)
    if each.name in {*DECLARED, *OTHER_ARGUMENTS}:
        yield as_argument


def refusal(way, *arguments):
    """What is said of a value, without argparse's usage."""
    with pytest.raises((SpecError, pytest.UsageError)) as refused:
        way(*arguments)
    return re.sub(r"(?s)usage:.*error: argument |\n.*", "", str(refused.value))


@pytest.mark.parametrize("each", LIMITED, ids=[each.name for each in LIMITED])
def test_what_is_not_allowed_is_refused_alike_however_it_is_stated(each, pytester, request):
    for value, sentence in wrong_values(each):
        told = {way: refusal(way, each, value, pytester, request) for way in ways_of(each)}
        said = dict.fromkeys(told, sentence)
        if each.choices and each.kind != "lines":  # on the command line argparse says it
            listed = told[on_command_line].partition(" (choose")[0]
            assert listed == f"{each.flag}: invalid choice: 'else'"
            del told[on_command_line], said[on_command_line]
        assert told == said


def test_each_of_the_four_ways_has_its_cases():
    of = {way: {each.name for each in LIMITED if way in ways_of(each)} for way in WAYS}
    assert of[in_marker] < of[on_command_line] == of[in_ini_file]
    assert of[in_marker] >= {"max_drop", "fill", "metric", "sample_images", "examples", "data_errors"}
    assert of[as_argument] >= {"max_drop", "fill", "metric", "sample_images", "min_objects", "benchmark"}


def test_what_is_stated_nowhere_is_the_argument_s_default(pytester, request):
    assert settings_for(pytester.parseconfig()) == RunSettings() == settings_for(pytester.parseconfig(), request.node)


def allowed(each, place):
    """One of the values that are allowed: at the borders, or each choice in turn."""
    if each.choices:
        return each.choices[place % len(each.choices)]
    return place % 2 if each.share else each.least


@pytest.mark.parametrize("place", range(3))
def test_what_is_allowed_comes_to_the_same_however_it_is_stated(place, pytester, request):
    values = {each.name: allowed(each, place) for each in OF_RUNS if any(wrong_values(each))}
    stated = RunSettings(**values)
    assert settings_for(pytester.parseconfigure(*(f"{option(name).flag}={values[name]}" for name in values))) == stated
    pytester.makeini("\n".join(["[pytest]", *(f"cropdet_{name} = {value}" for name, value in values.items())]))
    assert settings_for(pytester.parseconfigure()) == stated
    request.node.add_marker(pytest.mark.cropdet(**values))
    check_marker(request.config, request.node)
    assert settings_for(request.config, request.node) == stated


def test_a_field_of_a_run_is_declared_in_one_row_and_is_an_option_if_it_has_a_help():
    names = [each.name for each in OPTIONS]
    assert len(names) == len(set(names))
    assert {each.name for each in fields(RunSettings)} == {*DECLARED, *BY_CATEGORY.values()}
    assert {each.name for each in fields(RunSettings)} - ONLY_ARGUMENTS == {each.name for each in OF_RUNS}
    assert not {each.name for each in (*options._OF_TESTS, *options._OF_SESSION)} & {*DECLARED, *BY_CATEGORY.values()}
    assert all(option(each.name) is DECLARED[each.name] for each in OF_RUNS)


def test_words_that_a_function_takes_are_those_of_its_option(data):
    assert option("benchmark").choices == tuple(MODES)
    assert all(load_dataset(data, errors=word) for word in option("data_errors").choices)


def test_every_option_has_its_place_in_help_and_page():
    assert sorted(options._SHOWN.split()) == sorted(each.name for each in OPTIONS)


def test_a_new_option_is_one_row():
    @dataclass(frozen=True)
    class More(RunSettings):
        strictness: float = row(0.5, "X", "how strict", share=True)
        mood: Literal["calm", "stern"] | None = row(None, "MOOD", "how it is said")
        rounds: int = row(3, "N", "how often", least=2)

    added = [each for name, each in options_of(More).items() if name not in DECLARED]
    assert added == [
        Option("strictness", "float", 0.5, "X", "how strict", share=True),
        Option("mood", "string", None, "MOOD", "how it is said", ("calm", "stern")),
        Option("rounds", "int", 3, "N", "how often", least=2),
    ]
    assert [(each.flag, ini_type(each)) for each in added] == [
        ("--cropdet-strictness", "float"),
        ("--cropdet-mood", "string"),
        ("--cropdet-rounds", "int"),
    ]
    assert in_shown_order((*added, *OPTIONS))[-3:] == tuple(added)
    assert More(mood="calm").rounds == 3
    for wrong in ({"strictness": 30}, {"mood": "wild"}, {"rounds": 1}, {"max_drop": 5}):
        with pytest.raises(SpecError, match=f"cropdet_{next(iter(wrong))} must"):
            More(**wrong)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, r"percent\? write 0\.05"),
        (-0.1, "not -0.1$"),
        (float("nan"), "nan"),
        (101, "not 101$"),
        ("0.05", "not '0.05'$"),
        (True, "not True$"),
    ],
)
def test_a_share_in_percent_or_as_text_is_refused_with_the_mend(value, text):
    with pytest.raises(SpecError, match=text):
        check_share("cropdet_max_drop", value)
