"""How many windows there would be is known before any is made."""

from __future__ import annotations

import pytest

from pytest_cropdet.crops import families
from pytest_cropdet.crops.plan import make_plan, parse_spec
from pytest_cropdet.crops.window_counts import count_windows
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.dry_runs import dry_run
from pytest_cropdet.settings import RunSettings
from tests.support import made, perfect, sample, small_run

SAMPLES = [
    sample(1, made(1)[0].truth, 120, 90),
    sample(2, made(1)[0].truth, 37, 301),
    sample(3, GroundTruth.empty(), 1, 1),
]


def counted(spec):
    return sum(count_windows(family.name, dict(family.parameters), SAMPLES) for family in parse_spec(spec))


@pytest.mark.parametrize(
    "spec",
    [
        *("random:per_image=7", "random:per_image=3+tile:size=50", "tile:size=1", "tile:size=0.3", "tile:size=0.001"),
        *("tile:size=40,overlap=0.99", "tile:size=40,overlap=0", "tile:size=36", "tile:size=37", "tile:size=1000"),
        *("shift:px=1-2,per_image=100", "shift:px=1-200,per_image=3", "shift:px=5,per_image=9", "object", "edge"),
    ],
)
def test_the_estimate_is_the_number_of_windows(spec):
    found = make_plan(SAMPLES, spec)
    if "object" in spec or "edge" in spec:
        assert len(found) <= counted(spec) <= 6
    else:
        assert len(found) == counted(spec)


@pytest.mark.parametrize(
    ("spec", "number"),
    [
        ("random:per_image=100000000", "300,000,000"),
        ("shift:px=1-400,per_image=100000000", "21,392"),
        (f"random:per_image={10**400}", "more than 10^15"),
    ],
)
def test_too_many_are_refused_before_any_is_made(monkeypatch, spec, number):
    monkeypatch.setattr(families, "Crop", lambda *_: pytest.fail("made"))
    with pytest.raises(SpecError, match=rf"about {number.replace('^', '.')}.* crops of 3 images, and the limit is 9;"):
        make_plan(SAMPLES, spec, max_crops=9)


def test_the_limit_is_a_million_unless_another_one_is_set():
    large = [sample(1, GroundTruth.empty(), 1200, 900)]
    with pytest.raises(SpecError, match=r"about 1,080,000 crops of 1 images, and the limit is 1,000,000; .*max-crops"):
        make_plan(large, "tile:size=1")
    assert len(make_plan(SAMPLES, "random:per_image=4", max_crops=12)) == 12


def test_runs_and_dry_runs_are_limited_by_their_settings():
    data = made(60)
    with pytest.raises(SpecError, match="about 120 crops of 60 images, and the limit is 119"):
        small_run(perfect(data), data, max_crops=119)
    with pytest.raises(SpecError, match="the limit is 119"):
        dry_run(data, RunSettings("random:keep=0.6,per_image=2", max_crops=119))
    assert small_run(perfect(data), data, max_crops=120).crops == 120
    with pytest.raises(SpecError, match="cropdet_max_crops must be 1 or more, not 0"):
        RunSettings(max_crops=0)


def test_a_margin_without_end_is_the_whole_image():
    (first, *_) = make_plan(SAMPLES[:1], "object:margin=1e308").windows["001.png"]
    assert (first.left, first.top, first.width, first.height) == (0, 0, 120, 90)
