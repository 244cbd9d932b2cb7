"""A plan whose windows a strategy draws: once, kept, and read from then on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from pytest_cropdet import Crop, Drawn
from pytest_cropdet.crops.drawn_plan import draw_plan
from pytest_cropdet.crops.strategies import crops
from pytest_cropdet.errors import SpecError
from tests.support import HEIGHT, WIDTH, made, perfect, small_run

DATA = made(5)
SOURCE = Drawn(lambda sample: crops(sample.width, sample.height, touching=sample.truth.boxes), "around", per_image=3)


DRAWN = []


def counted(sample):
    DRAWN.append(sample.id)
    return crops(sample.width, sample.height, min_side=20)


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
    source = Drawn(counted, "around", per_image=3)
    DRAWN.clear()
    first = draw_plan(source, DATA, 0, tmp_path)
    assert len(DRAWN) == len(DATA)
    second = draw_plan(source, DATA, 0, tmp_path)
    assert len(DRAWN) == len(DATA)
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


def test_another_strategy_under_the_same_name_is_refused_and_a_comment_is_no_other_one(tmp_path):
    draw_plan(Drawn(counted, "around", per_image=3), DATA, 0, tmp_path)
    with pytest.raises(SpecError, match=r"drawn by another strategy of that name(.|\n)*then: def counted"):
        draw_plan(Drawn(refuses, "around", per_image=3), DATA, 0, tmp_path)
    wide = Drawn(crops(WIDTH, HEIGHT, min_side=40), "fixed", per_image=3)
    draw_plan(wide, DATA, 0, tmp_path)
    draw_plan(Drawn(crops(WIDTH, HEIGHT, min_side=40), "fixed", per_image=3), DATA, 0, tmp_path)
    with pytest.raises(SpecError, match="drawn by another strategy"):
        draw_plan(Drawn(crops(WIDTH, HEIGHT, min_side=30), "fixed", per_image=3), DATA, 0, tmp_path)


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
    path, source = tmp_path / "plans", Drawn(counted, "around", per_image=3)
    draw_plan(source, DATA, 0, tmp_path)
    DRAWN.clear()
    kept = next(path.glob("*.json"))
    lock = kept.with_suffix(".lock")
    content = kept.read_text()
    kept.unlink()
    lock.touch()  # another process is about to have it

    threading.Timer(0.3, lambda: kept.write_text(content)).start()
    plan = draw_plan(source, DATA, 0, tmp_path)
    assert (len(plan), DRAWN) == (15, [])
    assert lock.exists()


@pytest.mark.subprocess
@pytest.mark.skipif(os.name != "posix", reason="processes are told apart on POSIX alone")
def test_a_lock_that_a_killed_process_left_holds_nobody_up(tmp_path):
    kept = Path(draw_plan(SOURCE, DATA, 0, tmp_path).file)
    content = kept.read_text()
    kept.unlink()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept.with_suffix(".lock").write_text(f"{socket.gethostname()} {gone.pid}")
    drawing = threading.Thread(target=draw_plan, args=(SOURCE, DATA, 0, tmp_path), daemon=True)
    drawing.start()
    drawing.join(timeout=60)
    assert not drawing.is_alive(), "it waits for a process that is gone"
    assert kept.read_text() == content
    assert not kept.with_suffix(".lock").exists()


@pytest.mark.subprocess
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state of a process is read in /proc")
def test_a_lock_of_a_killed_process_that_nobody_waited_for_holds_nobody_up(tmp_path):
    """A worker that is killed stays in the table of processes until the controller ends."""
    kept = Path(draw_plan(SOURCE, DATA, 0, tmp_path).file)
    kept.unlink()
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
        os.kill(killed.pid, 0)  # still there
        kept.with_suffix(".lock").write_text(f"{socket.gethostname()} {killed.pid}")
        drawing = threading.Thread(target=draw_plan, args=(SOURCE, DATA, 0, tmp_path), daemon=True)
        drawing.start()
        drawing.join(timeout=60)
        assert not drawing.is_alive(), "it waits for a process that is gone"
    assert kept.exists()


def test_the_first_file_stays_where_two_processes_drew(tmp_path, monkeypatch):
    """Windows that were read are never changed under a run."""
    other = json.dumps({**json.loads(Path(draw_plan(SOURCE, DATA, 0, tmp_path / "one").file).read_text()), "seed": 99})

    def late(sample):
        for path in (tmp_path / "two" / "plans").glob("*.lock"):
            path.with_suffix(".json").write_text(other)
        return crops(sample.width, sample.height, touching=sample.truth.boxes)

    monkeypatch.setattr(Drawn, "source", SOURCE.source)
    plan = draw_plan(Drawn(late, "around", per_image=3), DATA, 0, tmp_path / "two")
    assert json.loads(Path(plan.file).read_text())["seed"] == 99


@pytest.mark.slow
def test_windows_are_a_sample_of_the_strategy_and_not_its_simple_end():
    """What Hypothesis tries first has margins of 0 on the left and on top, and is much alike."""
    source = Drawn(lambda sample: crops(sample.width, sample.height, min_side=10), "any", per_image=4)
    windows = [crop for _, crop in draw_plan(source, made(40), 0)]
    assert len({crop.left for crop in windows}) > 40
    for share in (
        sum(crop.left == 0 for crop in windows),
        sum(crop.right == WIDTH for crop in windows),
        sum(crop.top == 0 for crop in windows),
        sum(crop.bottom == HEIGHT for crop in windows),
    ):
        assert share < 0.35 * len(windows)


def test_every_window_of_a_small_strategy_is_drawn():
    few = [Crop(0, 0, 50, 40), Crop(5, 0, 50, 40), Crop(9, 0, 50, 40)]
    plan = draw_plan(Drawn(st.sampled_from(few), "few", per_image=3), DATA, 0)
    assert all(sorted(windows) == few for windows in plan.windows.values())


@pytest.mark.subprocess
def test_the_windows_do_not_depend_on_the_numbers_in_imported_modules(tmp_path):
    """Hypothesis draws constants that it reads in the source of a project's modules."""
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1])\n"
        "if len(sys.argv) > 2: import numbers_of_a_project\n"
        "from pytest_cropdet.crops.hypothesis_find import examples_of\n"
        "from pytest_cropdet.crops.strategies import crops\n"
        "print(hashlib.sha256(repr(examples_of(crops(640, 480, min_side=60), 200, 7)).encode()).hexdigest())\n"
    )
    (tmp_path / "numbers_of_a_project.py").write_text("THEM = [117, 123, 131, 237, 241, 343, 347, 359]\n")
    told = [
        subprocess.run([sys.executable, "-c", code, str(tmp_path), *more], capture_output=True, text=True, check=True)
        for more in ([], ["import"])
    ]
    assert told[0].stdout == told[1].stdout


def altered(tmp_path, change):
    plan = draw_plan(SOURCE, DATA, 0, tmp_path)
    content = json.loads(Path(plan.file).read_text())
    change(content)
    (tmp_path / "it.json").write_text(json.dumps(content))
    return lambda: draw_plan(SOURCE, DATA, 0, tmp_path, given=tmp_path / "it.json")


WRONG = {
    "no name": (lambda t: Drawn(st.none(), ""), "give name='around', say .letters, digits"),
    "no strategy": (lambda t: Drawn(["random", "tile"], "x"), "draws no windows: a gate takes a spec such as"),
    "half a window": (lambda t: Drawn(st.none(), "x", per_image=2.5), "per_image=2.5: a whole number"),
    "a crop": (
        lambda t: draw_plan(Drawn(lambda s: Crop(0, 0, 9, 9), "x"), DATA, 0),
        "returned Crop.* for 000.png, not",
    ),
    "nothing": (lambda t: draw_plan(Drawn(st.nothing(), "x"), DATA, 0), "the strategy 'x' draws no window of 000.png"),
    "lists": (lambda t: draw_plan(Drawn(st.lists(st.none()), "x"), DATA, 0), "a gate takes a strategy of Crop"),
    "no list": (lambda t: altered(t, lambda c: c["windows"].update({"001.png": []}))(), "no windows for 1 images"),
    "floats": (lambda t: altered(t, lambda c: c["windows"].update({"001.png": [[0, 0, 9.5, 9]]}))(), "9.5 is no whole"),
    "schema": (lambda t: altered(t, lambda c: c.update(schema=77))(), "schema 77, and this version reads 1"),
    "no windows": (lambda t: Drawn(st.none(), "x", per_image=0), "per_image=0"),
    "no crops": (lambda t: draw_plan(Drawn(st.integers(), "x"), DATA, 0), "a gate takes a strategy of Crop"),
    "too large": (
        lambda t: draw_plan(Drawn(crops(640, 480), "x"), DATA, 0),
        "sticks out of 000.png, 120 x 90 px",
    ),
    "another name": (lambda t: altered(t, lambda c: c.update(name="other"))(), "is of the strategy 'other', not"),
    "a missing sample": (lambda t: altered(t, lambda c: c["windows"].pop("003.png"))(), "no windows for 1 images"),
    "no plan": (lambda t: altered(t, lambda c: c.pop("windows"))(), "cannot be read .'windows'.; name another one"),
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
