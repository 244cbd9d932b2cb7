"""A plan whose windows a strategy draws: once, kept, and read from then on."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from pytest_cropdet import Crop, Drawn
from pytest_cropdet.drawn import draw_plan
from pytest_cropdet.errors import SpecError
from pytest_cropdet.strategies import crops

from .support import HEIGHT, WIDTH, made, perfect, small_run

DATA = made(5)
SOURCE = Drawn(lambda sample: crops(sample.width, sample.height, touching=sample.truth.boxes), "around", per_image=3)


def refuses(sample):
    raise RuntimeError("drawn again")


def test_each_sample_gets_its_own_different_windows_and_seldom_the_whole_image(tmp_path):
    plan = draw_plan(SOURCE, DATA, 0, tmp_path)
    assert [len(windows) for windows in plan.windows.values()] == [3] * 5
    assert all(len(set(windows)) == 3 for windows in plan.windows.values())
    assert len(set(plan.windows.values())) == 5
    assert Crop(0, 0, WIDTH, HEIGHT) not in {crop for _, crop in plan}
    assert (plan.spec, plan.family) == ("drawn:name=around,per_image=3", "drawn")


def test_it_is_drawn_once_and_then_read(tmp_path):
    first = draw_plan(SOURCE, DATA, 0, tmp_path)
    second = draw_plan(Drawn(refuses, "around", per_image=3), DATA, 0, tmp_path)
    assert second == first
    assert first.file == str(next((tmp_path / "plans").glob("around-*-0-3.json")))
    assert [path.name for path in tmp_path.joinpath("plans").iterdir()] == [first.file.rpartition("/")[2]]
    assert (tmp_path / ".gitignore").exists()


KEYS = {
    "seed": lambda: (SOURCE, DATA, 1),
    "name": lambda: (Drawn(refuses, "other", per_image=3), DATA, 0),
    "data": lambda: (Drawn(refuses, "around", per_image=3), made(4), 0),
    "count": lambda: (Drawn(refuses, "around", per_image=2), DATA, 0),
}


@pytest.mark.parametrize("key", KEYS)
def test_another_seed_name_data_set_or_number_is_drawn_anew(key, tmp_path):
    first = draw_plan(SOURCE, DATA, 0, tmp_path)
    source, data, seed = KEYS[key]()
    if key == "seed":
        assert draw_plan(source, data, seed, tmp_path).windows != first.windows
        return
    with pytest.raises(RuntimeError, match="drawn again"):
        draw_plan(source, data, seed, tmp_path)


def test_the_windows_depend_on_no_profile_and_no_order(tmp_path):
    first = draw_plan(SOURCE, DATA, 0)
    before = settings.get_current_profile_name()
    settings.register_profile("other", max_examples=1, derandomize=True)
    settings.load_profile("other")
    try:
        assert draw_plan(SOURCE, list(DATA)[::-1], 0).windows == first.windows
    finally:
        settings.load_profile(before)
    assert first.file is None


def test_a_file_that_is_given_is_read_and_nothing_drawn_or_kept(tmp_path):
    first = draw_plan(SOURCE, DATA, 0, tmp_path / "one")
    other = Drawn(refuses, "around", per_image=3)
    assert draw_plan(
        other, list(DATA)[:2], 7, tmp_path / "two", given=tmp_path / "one" / "plans" / first.file
    ).windows == {key: first.windows[key] for key in ("000.png", "001.png")}
    assert not (tmp_path / "two").exists()


def test_one_process_draws_and_the_others_wait(tmp_path):
    path = tmp_path / "plans"
    draw_plan(SOURCE, DATA, 0, tmp_path)
    kept = next(path.glob("*.json"))
    lock = kept.with_suffix(".lock")
    content = kept.read_text()
    kept.unlink()
    lock.touch()  # another process is about to have it

    threading.Timer(0.3, lambda: kept.write_text(content)).start()
    plan = draw_plan(Drawn(refuses, "around", per_image=3), DATA, 0, tmp_path)
    assert len(plan) == 15
    assert lock.exists()


def altered(tmp_path, change):
    plan = draw_plan(SOURCE, DATA, 0, tmp_path)
    content = json.loads(Path(plan.file).read_text())
    change(content)
    (tmp_path / "it.json").write_text(json.dumps(content))
    return lambda: draw_plan(SOURCE, DATA, 0, tmp_path, given=tmp_path / "it.json")


WRONG = {
    "no name": (lambda t: Drawn(st.none(), ""), "name='': letters, digits"),
    "no windows": (lambda t: Drawn(st.none(), "x", per_image=0), "per_image=0"),
    "no crops": (lambda t: draw_plan(Drawn(st.integers(), "x"), DATA, 0), "a gate takes a strategy of Crop"),
    "too large": (
        lambda t: draw_plan(Drawn(crops(640, 480), "x"), DATA, 0),
        "sticks out of 000.png, 120 x 90 px",
    ),
    "another name": (lambda t: altered(t, lambda c: c.update(name="other"))(), "is of the strategy 'other', not"),
    "a missing sample": (lambda t: altered(t, lambda c: c["windows"].pop("003.png"))(), "no windows for 1 images"),
    "no plan": (lambda t: altered(t, lambda c: c.pop("windows"))(), "cannot be read .'windows'.; remove it"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_named(case, tmp_path):
    make, sentence = WRONG[case]
    with pytest.raises(SpecError, match=sentence):
        make(tmp_path)


def test_a_strategy_draws_other_windows_than_the_simplest_alone(tmp_path):
    one = Drawn(st.just(Crop(1, 2, 30, 40)), "one")
    assert set(draw_plan(one, DATA, 0, tmp_path).windows.values()) == {(Crop(1, 2, 30, 40),)}
    assert small_run(perfect(DATA), DATA).plan.file is None
