"""Values by the names of categories: what is mistyped is named with what there is."""

import pytest

from pytest_cropdet.errors import SpecError, UnknownCategory
from pytest_cropdet.evaluation import ByCategory
from tests.support import loses_cut, made, opinions, small_run

DATA = made(60)


def test_a_mistyped_name_lists_those_that_there_are():
    values = ByCategory(red=1, green=2)
    assert values == {"red": 1, "green": 2}
    assert (values["red"], values.get("rd"), "rd" in values) == (1, None, False)
    with pytest.raises(UnknownCategory) as refused:
        values["rd"]
    assert str(refused.value) == "no category is called 'rd'; there are red, green; did you mean red?"
    assert isinstance(refused.value, KeyError)
    assert isinstance(refused.value, SpecError)


def test_many_names_are_cut_and_none_are_said():
    with pytest.raises(KeyError, match="there are none"):
        ByCategory()["red"]
    many = ByCategory({f"kind {number:02}": number for number in range(30)})
    with pytest.raises(KeyError, match="kind 19 and 10 more; did you mean kind 29"):
        many["kind 2_9"]


def test_a_run_and_a_comparison_say_it():
    found = small_run(loses_cut(opinions(DATA)), DATA)
    name = next(iter(found.by_category))
    assert found.by_category[name].value is not None
    for values in (found.by_category, found.against(found).by_category):
        with pytest.raises(UnknownCategory, match=f"did you mean {name}"):
            values[f"{name}s"]
