"""Two results side by side: what is named, and when the second is worse."""

import copy
import json

import pytest

from pytest_cropdet.comparison.result_diff import diff_results, read_result
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.report.records import write_json
from tests.support import loses_cut, made, opinions, same, small_run

DATA = made(images=30)


def gate(detector, **changes):
    run = small_run(detector, DATA, **{"max_drop": 0.05, "min_images": 20, "explain": "off", **changes}).named("random")
    run.judge()
    return json.loads(json.dumps({**run_record(run), "test": "test_it"}))


@pytest.fixture(scope="module")
def good():
    return gate(same(opinions(DATA)))


@pytest.fixture(scope="module")
def bad():
    return gate(loses_cut(opinions(DATA)))


def result(*gates, **more):
    return {"schema": 1, "gates": [*gates], **more}


def test_nothing_changed_in_the_same_result(good):
    found = diff_results(result(good), result(copy.deepcopy(good)), 0.0, 0.0)
    assert (found.lines, found.worse, found.same) == ([], [], ["random"])


def test_verdicts_and_numbers_are_named_with_what_their_bounds_show(good, bad):
    text = "\n".join(diff_results(result(good), result(bad)).lines)
    assert "verdict: pass -> fail" in text
    fall = bad["ap"]["crop"] - good["ap"]["crop"]
    assert f", {fall:.3f}: clearly smaller" in next(row for row in text.splitlines() if "mAP on crops" in row)
    assert f"drop: 0.000 [0.000, 0.000] -> {bad['drop']['value']:.3f}" in text
    assert "clearly larger" in text
    assert "mAP on whole images" not in text  # it is the same


def test_bounds_that_overlap_are_not_distinguishable(bad):
    other = copy.deepcopy(bad)
    other["drop"]["value"] += 0.001
    other["drop"]["low"] += 0.001
    text = "\n".join(diff_results(result(bad), result(other)).lines)
    assert "+0.001: no clear difference, the bounds overlap" in text


@pytest.mark.parametrize(
    ("limits", "worse"),
    [((None, None), 0), ((0.0, None), 1), ((1.0, None), 0), ((None, 0.0), 1), ((0.0, 0.0), 2), ((None, 1.0), 0)],
)
def test_the_second_is_worse_where_it_lost_more_than_is_allowed(good, bad, limits, worse):
    assert len(diff_results(result(good), result(bad), *limits).worse) == worse
    assert diff_results(result(bad), result(good), *limits).worse == []


def test_what_cannot_be_compared_is_worse_where_anything_is_limited(good):
    for after in (
        result(),
        result({**good, "metric": "AP50"}),
        result({**good, "ap": {"reference": 0.5, "crop": None}}),
        result({**good, "metric": "lost"}),
    ):
        before = result({**good, "metric": after["gates"][0]["metric"] if after["gates"] else "mAP"})
        if after["gates"] and after["gates"][0]["metric"] == "AP50":
            before = result(good)
        assert diff_results(before, after, 0.01).worse
        assert not diff_results(before, after).worse


def test_settings_model_and_data_that_changed_are_named(good):
    other = copy.deepcopy(good)
    other["detector"] |= {"fingerprint": "other", "range": "0..1"}
    other["settings"]["min_visibility"] = 0.7
    other |= {"data_digest": "other", "images": 29, "seed": 3}
    other["verdicts"][0]["limit"] = 0.1
    text = "\n".join(diff_results(result(good), result(other)).lines)
    for words in (
        "has other contents",
        "model's range: - -> 0..1",
        "setting min_visibility: 0.5 -> 0.7",
        "data: other images, objects or windows",
        "images: 30 -> 29",
        "seed: 0 -> 3",
        "limit on drop: 0.050 -> 0.100",
    ):
        assert words in text


def test_gates_are_paired_by_name_and_one_gate_each_whatever_the_name(good):
    renamed = {**good, "name": "int8-random"}
    assert diff_results(result(good), result(renamed)).same == ["random -> int8-random"]
    found = diff_results(result(good, {**good, "name": "tile"}), result(good, renamed))
    assert found.same == ["random"]
    assert found.lines == ["tile: only in the first result", "int8-random: only in the second result"]
    twice = diff_results(result(good, good), result(good, good))
    assert twice.same == ["random (test_it)", "random (test_it), run 2"]


def test_checks_and_benchmarks_are_compared(good):
    number = {"value": 0.5, "low": 0.4, "high": 0.6}
    one = result(
        checks=[{"name": "D6", "verdict": "pass"}],
        benchmarks=[{"name": "b", "benchmark": {"mpc": number, "rpc": number}}],
    )
    other = result(
        checks=[{"name": "D6", "verdict": "fail"}, {"name": "D7", "verdict": "pass"}],
        benchmarks=[{"name": "b", "benchmark": {"mpc": {"value": 0.7, "low": 0.65, "high": 0.8}, "rpc": number}}],
    )
    assert diff_results(one, other).lines == [
        "check D6: pass -> fail",
        "check D7: - -> pass",
        "benchmark b, mpc: 0.500 [0.400, 0.600] -> 0.700 [0.650, 0.800], +0.200: clearly larger",
    ]


def test_a_result_comes_back_and_another_file_is_refused_by_name(good, tmp_path):
    path = tmp_path / "out.json"
    write_json(path, [good])
    assert read_result(path)["gates"] == [good]
    for wrong in ("{", "[]", '{"schema": 2, "gates": []}', '{"schema": 1}', '{"schema": 1, "gates": [{"name": "a"}]}'):
        path.write_text(wrong)
        with pytest.raises(SpecError, match=r"out\.json cannot be read as a result of pytest-cropdet"):
            read_result(path)
    path.write_text(json.dumps(result({**good, "drop": {**good["drop"], "value": "0.1"}})))
    with pytest.raises(SpecError, match=r"gates\[0\]\.drop\.value is '0\.1', not a number or null"):
        read_result(path)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"checks": 3}, "checks is 3, not a list"),
        ({"checks": ["D6"]}, "checks[0] is 'D6', not an object"),
        ({"checks": None}, "checks is None, not a list"),
        ({"benchmarks": [{"name": "b", "benchmark": {"mpc": {}}}]}, "benchmarks[0].benchmark.mpc.value is 'missing'"),
        ({"gates": {"random": 1}}, "gates is {'random': 1}, not a list"),
    ],
)
def test_a_part_of_another_form_is_named_by_its_place(good, tmp_path, changes, place):
    path = tmp_path / "out.json"
    path.write_text(json.dumps({**result(good), **changes}))
    with pytest.raises(SpecError) as caught:
        read_result(path)
    assert f"out.json cannot be read as a result of pytest-cropdet: {place}" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"limit": 10**400}, "gates[0].limit is 1000"),
        ({"limit": float("nan")}, "gates[0].limit is nan, not a number"),
        ({"metric": []}, "gates[0].metric is [], not text"),
        ({"verdicts": [3]}, "gates[0].verdicts[0] is 3, not an object"),
        ({"categories": None}, "gates[0].categories is None, not a list"),
        ({"hidden": {"lost": {"value": "x"}}}, "gates[0].hidden.lost.value is 'x', not a number or null"),
        ({"settings": 1}, "gates[0].settings is 1, not an object"),
    ],
)
def test_a_part_of_a_gate_of_another_form_is_named(good, tmp_path, changes, place):
    path = tmp_path / "out.json"
    path.write_text(json.dumps(result({**good, **changes})))
    with pytest.raises(SpecError) as caught:
        read_result(path)
    assert place in str(caught.value)


def test_what_a_result_may_do_without_is_not_asked_for(good, tmp_path):
    path, least = tmp_path / "out.json", ("name", "verdict", "metric", "limit", "drop", "ap", "verdicts", "detector")
    short = {key: good[key] for key in least}
    path.write_text(json.dumps(result({**short, "hidden": None, "settings": None})))
    assert diff_results(read_result(path), result(good)).lines
    path.write_text(json.dumps(result({**short, "metric": "AP50"})))
    with pytest.raises(SpecError, match="there is no 'ap50'"):
        read_result(path)
