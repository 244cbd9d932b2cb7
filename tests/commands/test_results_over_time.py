"""``trend``, ``diff`` and ``badge``: what they write, draw and return."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import cv2
import pytest

from tests.comparison.histories import content, write

HOSTILE = "<script>alert(1)</script> $x_1$ & \"'\u202e"


def result(path, *gates):
    """A result with gates of name, verdict and drop."""
    told = [
        {
            "name": name,
            "verdict": verdict,
            "limit": 0.05,
            "metric": "mAP",
            "drop": {"value": drop, "low": None if drop is None else drop - 0.01, "high": drop, "level": 0.95},
            "ap": {"reference": 0.7, "crop": None if drop is None else 0.7 - drop},
            "verdicts": [],
            "detector": {"name": "net"},
        }
        for name, verdict, drop in gates
    ]
    path.write_text(json.dumps({"schema": 1, "gates": told}))
    return path


class TestTrend:
    def test_picture_and_page_are_written_and_the_commit_is_named(self, run, tmp_path):
        lines = [content(number, 0.03 if number < 5 else 0.09) for number in range(8)]
        write(tmp_path / "history.jsonl", [*lines, "{broken"])
        said = run("trend", "history.jsonl", "-o", "drawn")
        assert (said.code, said.err) == (0, "")
        assert "left out: history.jsonl, line 9: it is no JSON" in said.out
        assert "random: the drop is clearly larger from cc6cc6cc (2026-01-06) on" in said.out
        picture = cv2.imread(str(tmp_path / "drawn" / "trend.png"))
        assert picture.shape[1] == 1080
        page = (tmp_path / "drawn" / "trend.html").read_text()
        assert "cc6cc6cc" in page
        assert "line 9: it is no JSON" in page
        assert not re.search(r"(src|href)=[\"'](?!#|data:)", page)
        assert "default-src &#39;none&#39;" in page

    def test_a_result_in_the_place_of_a_history_is_one_sentence(self, run, tmp_path):
        result(tmp_path / "a.json", ("random", "pass", 0.03))
        said = run("trend", "a.json")
        assert (said.code, said.out) == (2, "")
        assert "--cropdet-json=FILE a result, which pytest-cropdet diff and badge read" in said.err

    def test_check_ends_with_1_where_the_newest_drop_is_larger(self, run, tmp_path):
        write(tmp_path / "up.jsonl", [content(0), content(1, 0.09)])
        write(tmp_path / "back.jsonl", [content(0), content(1, 0.09), content(2)])
        assert run("trend", "up.jsonl", "--check").code == 1
        assert run("trend", "back.jsonl", "--check").code == 0

    def test_one_gate_can_be_chosen(self, run, tmp_path):
        write(tmp_path / "h.jsonl", [content(0, gate="tile"), content(0), content(1, 0.09)])
        said = run("trend", "h.jsonl", "--gate=tile", "--check")
        assert said.code == 0
        assert "random" not in said.out
        assert "did you mean tile?" in run("trend", "h.jsonl", "--gate=tiel").err

    def test_hostile_names_stay_text(self, run, tmp_path):
        lines = [content(0, gate=HOSTILE, commit=HOSTILE), content(1, 0.09, gate=HOSTILE, commit=HOSTILE)]
        write(tmp_path / "h.jsonl", lines)
        said = run("trend", "h.jsonl")
        assert said.code == 0
        page = (tmp_path / "trend.html").read_text()
        assert "<script>alert" not in page
        assert "\u202e" not in page + said.out

    @pytest.mark.parametrize("text", [None, "", "{broken\n[1]\n"])
    def test_a_file_that_is_no_history_ends_with_2(self, run, tmp_path, text):
        if text is not None:
            (tmp_path / "h.jsonl").write_text(text)
        said = run("trend", "h.jsonl")
        assert said.code == 2
        assert "h.jsonl" in said.err
        assert not (tmp_path / "trend.png").exists()


class TestDiff:
    def test_it_ends_with_1_only_where_more_is_lost_than_is_allowed(self, run, tmp_path):
        result(tmp_path / "a.json", ("random", "pass", 0.03), ("tile", "pass", 0.01))
        result(tmp_path / "b.json", ("random", "fail", 0.06), ("tile", "pass", 0.01))
        said = run("diff", "a.json", "b.json")
        assert said.code == 0
        assert "verdict: pass -> fail" in said.out
        assert "nothing changed in tile" in said.out
        assert run("diff", "a.json", "b.json", "--max-worse=0.05").code == 0
        said = run("diff", "a.json", "b.json", "--max-worse=0.01", "--max-drop-worse=0.02")
        assert said.code == 1
        assert "WORSE: random: mAP on crops fell by 0.030, allowed 0.010" in said.out
        assert "WORSE: random: the drop grew by 0.030, allowed 0.020" in said.out
        assert run("diff", "b.json", "a.json", "--max-worse=0").code == 0

    def test_what_is_called_wrongly_ends_with_2(self, run, tmp_path):
        result(tmp_path / "a.json", ("random", "pass", 0.03))
        (tmp_path / "no.json").write_text("[]")
        for arguments, words in (
            (["a.json", "no.json"], "no.json cannot be read as a result"),
            (["a.json", "away.json"], "away.json"),
            (["a.json", "a.json", "--max-worse=5"], "percent? write 0.05"),
            (["a.json"], "B.json"),
        ):
            said = run("diff", *arguments)
            assert said.code == 2
            assert words in said.err


class TestBadge:
    @pytest.mark.parametrize(
        ("gates", "words"),
        [
            ([("random", "pass", 0.031)], "pass, drop 0.031 (limit 0.050)"),
            ([("random", "undecided", None)], "undecided, drop undefined (limit 0.050)"),
            ([("a", "pass", 0.01), ("b", "fail", 0.2), ("c", "undecided", 0.04)], "1 of 3 fail, drop up to 0.200"),
            ([("a", "pass", 0.01), ("b", "pass", 0.02)], "2 of 2 pass, drop up to 0.020"),
            ([("a", "none", 0.01)], "not judged, drop 0.010 (limit 0.050)"),
            ([], "no result"),
        ],
    )
    def test_it_shows_verdict_and_drop(self, run, tmp_path, gates, words):
        result(tmp_path / "out.json", *gates)
        said = run("badge", "out.json", "-o", "docs/badge.svg")
        assert (said.code, said.out) == (0, f"written: docs/badge.svg: {words}\n")
        root = ElementTree.parse(tmp_path / "docs" / "badge.svg").getroot()
        texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
        assert texts == ["crop robustness", words]

    def test_text_is_escaped_and_nothing_is_fetched(self, run, tmp_path):
        result(tmp_path / "out.json", (HOSTILE, "pass", 0.03))
        drawn = run("badge", "out.json", "-o", "-", "--label", HOSTILE).out
        root = ElementTree.fromstring(drawn)
        assert not list(root.iter("script"))
        assert "<script" not in drawn
        assert "href" not in drawn
        assert re.findall(r"https?://[^\"]*", drawn) == ["http://www.w3.org/2000/svg"]

    def test_one_gate_can_be_chosen(self, run, tmp_path):
        result(tmp_path / "out.json", ("random", "pass", 0.03), ("tile", "fail", 0.3))
        assert "pass, drop 0.030" in run("badge", "out.json", "--gate=random").out
        said = run("badge", "out.json", "--gate=rand")
        assert (said.code, "did you mean random?" in said.err) == (2, True)
