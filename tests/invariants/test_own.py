"""The decorator that makes a function an invariant: what it refuses, and what comes of the function without pytest."""

import numpy as np
import pytest

import pytest_cropdet
from pytest_cropdet import CannotTell, invariant
from pytest_cropdet.errors import SpecError
from pytest_cropdet.invariants import own_invariant
from pytest_cropdet.invariants.detector import check_detector, judge_detector
from pytest_cropdet.invariants.failures import BrokenInvariant, OwnInvariantBroken
from pytest_cropdet.invariants.observations import Evidence
from tests.painted import find, painted_data


@pytest.fixture
def evidence():
    return Evidence(lambda images: [find(each) for each in images], painted_data(4), examples=20)


def measured(value, **said):
    @invariant(**{"name": "own", "at_most": 0.1, **said})
    def function(evidence):
        """The rule. And more.

        Its reasons.
        """
        return value

    return function


def test_the_function_stays_what_it_was():
    function = measured(0.2)
    assert function(None) == 0.2
    assert function.__name__ == "function"
    assert own_invariant(function).name == "own"


def test_names_and_words_come_from_the_function_where_they_are_not_given():
    @invariant(at_most=1)
    def no_thin_boxes(evidence):
        return 0

    assert own_invariant(no_thin_boxes).name == "no-thin-boxes"
    assert own_invariant(no_thin_boxes).what == "no thin boxes"
    assert own_invariant(measured(0)).what == own_invariant(measured(0)).rule == "The rule. And more."
    assert own_invariant(measured(0, what="share of boxes")).what == "share of boxes"


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.1, "pass"), (np.float32(0.0), "pass"), (np.int64(1), "fail"), (0.1000001, "fail")]
)
def test_the_limit_itself_is_allowed(evidence, value, verdict):
    outcome = judge_detector(measured(value), evidence)
    assert (outcome.name, outcome.verdict, outcome.allowed) == ("own", verdict, 0.1)
    assert type(outcome.value) is float


def test_what_fails_says_numbers_and_rule(evidence):
    with pytest.raises(OwnInvariantBroken) as broken:
        check_detector(measured(0.25, what="share of boxes"), evidence)
    assert str(broken.value).splitlines() == ["0.25 > 0.1: share of boxes", "  own: The rule. And more."]
    assert isinstance(broken.value, BrokenInvariant)
    check_detector(measured(0.25), evidence, at_most=0.25)
    with pytest.raises(OwnInvariantBroken, match=r"0\.25 > 0: "):
        check_detector(measured(0.25), evidence, at_most=0)


def test_what_is_infinite_fails_without_a_number(evidence):
    outcome = judge_detector(measured(float("inf")), evidence)
    assert (outcome.verdict, outcome.value) == ("fail", None)


def test_what_cannot_be_judged_says_why(evidence):
    @invariant("own", at_most=0.1)
    def function(evidence):
        raise CannotTell("too dark")

    assert judge_detector(function, evidence).reason == "too dark"
    assert judge_detector(function, evidence).verdict == "skip"


def test_a_function_that_was_not_declared_is_none(evidence):
    with pytest.raises(
        SpecError, match=r"is no invariant: write @pytest_cropdet.invariant\(at_most=...\) above its def"
    ):
        judge_detector(lambda evidence: 0.0, evidence)


@pytest.mark.parametrize("name", ["", "two words", "1st", "a[b]", "a=b", "a,b", "größe"])
def test_a_name_that_no_id_can_be_is_refused(name):
    with pytest.raises(SpecError, match="begins with a letter and has only letters, digits and -_"):
        measured(0, name=name)


@pytest.mark.parametrize("name", ["D6", "D6-interior-object-found", "D99-mine"])
def test_the_names_of_built_in_invariants_are_taken(name):
    with pytest.raises(SpecError, match="D with a number is the name of a built-in invariant; choose another"):
        measured(0, name=name)
    assert own_invariant(measured(0, name="D-mine")).name == "D-mine"


@pytest.mark.parametrize("name", ["lost", "stride"])
def test_the_names_of_tolerances_are_taken(name):
    with pytest.raises(SpecError, match="a tolerance of built-in invariants has that name; choose another"):
        measured(0, name=name)


@pytest.mark.parametrize("limit", ["0.1", None, True, float("nan"), float("inf")])
def test_a_limit_that_is_no_number_is_refused(limit):
    with pytest.raises(SpecError, match="must be a number, the largest that is allowed"):
        measured(0, at_most=limit)


def with_no_argument():
    return 0


def with_two(evidence, allowed):
    return 0


def with_a_keyword(evidence, *, allowed):
    return 0


@pytest.mark.parametrize("function", [with_no_argument, with_two, with_a_keyword])
def test_another_signature_is_refused(function):
    with pytest.raises(SpecError, match=rf"def {function.__name__}\(evidence\), not def {function.__name__}\("):
        invariant(at_most=1)(function)


def test_arguments_with_defaults_are_no_other_signature():
    def function(evidence, least=3, *more, **named):
        return 0

    assert invariant(at_most=1)(function) is function


async def waits(evidence):
    return 0


def yields(evidence):
    yield 0


def test_what_returns_no_number_by_its_kind_is_refused():
    for function in (waits, yields):
        with pytest.raises(SpecError, match="must return a number, and neither be async nor yield"):
            invariant(at_most=1)(function)
    with pytest.raises(SpecError, match="decorate a function"):
        invariant(at_most=1)(type("Callable", (), {"__call__": lambda self, evidence: 0})())
    with pytest.raises(SpecError, match=r"write @invariant\(at_most=...\)"):
        pytest_cropdet.invariant(with_two, at_most=1)
