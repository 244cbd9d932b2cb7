"""Where files are written: through links, into pipes, to what output was sent to; and names that do harm when shown."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import pytest

from pytest_cropdet import files
from pytest_cropdet.causes.diagnostics.object_table import COLUMNS
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import write_whole
from pytest_cropdet.report.github import annotations, github_summary
from pytest_cropdet.report.html import MissingResult, html_page
from pytest_cropdet.report.junit import run_properties
from pytest_cropdet.report.object_file import write_objects
from pytest_cropdet.report.records import write_json
from pytest_cropdet.report.terminal import write_summary
from pytest_cropdet.terms import encodable, one_line, visible
from tests.report.test_terminal import Reporter
from tests.support import loses_cut, made, opinions, small_run

EVIL = "cat\n::error::no\u202egnp.exe\x1b[31m\udcff\t|"


class TestFiles:
    def test_a_link_stays_and_its_file_is_replaced_whole(self, tmp_path):
        real, link, chain = tmp_path / "deep" / "real.json", tmp_path / "link.json", tmp_path / "chain.json"
        link.symlink_to(real)  # there is nothing yet
        chain.symlink_to("link.json")
        write_whole(chain, "one")
        assert (real.read_text(), link.is_symlink(), chain.is_symlink()) == ("one", True, True)
        before = real.stat().st_ino
        write_whole(link, "two")
        assert (real.read_text(), link.is_symlink()) == ("two", True)
        assert real.stat().st_ino != before
        assert [each.name for each in real.parent.iterdir()] == ["real.json"]

    def test_a_link_that_leads_round_is_an_error_of_the_system(self, tmp_path):
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OSError, match="a"):
            write_whole(tmp_path / "a", "x")
        assert (tmp_path / "a").is_symlink()

    def test_a_pipe_with_a_name_is_written_to(self, tmp_path):
        pipe, got = tmp_path / "pipe", []
        os.mkfifo(pipe)
        reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
        reader.start()
        write_whole(pipe, "through")
        reader.join(10)
        assert got == ["through"]
        assert pipe.is_fifo()

    def test_a_device_stays_one(self):
        write_whole(Path("/dev/null"), "gone")
        assert Path("/dev/null").is_char_device()

    @pytest.mark.subprocess
    @pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
    @pytest.mark.parametrize("to_file", [True, False], ids=["file", "pipe"])
    def test_standard_output_keeps_what_was_written_before_and_after(self, tmp_path, place, to_file):
        (tmp_path / "link").symlink_to("/dev/stdout")
        code = (
            "import sys, pathlib; from pytest_cropdet.files import write_whole\n"
            "print('before'); write_whole(pathlib.Path(sys.argv[1]), 'whole\\n'); print('after')"
        )
        command = [sys.executable, "-c", code, str(tmp_path / place)]  # a place from the root stays as it is
        if to_file:
            with (tmp_path / "out.txt").open("w") as stream:
                subprocess.run(command, check=True, stdout=stream)
            text = (tmp_path / "out.txt").read_text()
        else:
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert text == "before\nwhole\nafter\n"
        assert (tmp_path / "link").is_symlink()

    def test_a_file_that_cannot_be_replaced_is_written_in_place(self, tmp_path, monkeypatch):
        target = tmp_path / "mounted.json"
        target.write_text("a longer text than before")
        before = target.stat().st_ino

        def busy(target, data):
            raise OSError(16, "Device or resource busy")

        monkeypatch.setattr(files, "_replace", busy)
        write_whole(target, "new")
        assert (target.read_text(), target.stat().st_ino) == ("new", before)
        with pytest.raises(OSError, match="busy"):
            write_whole(tmp_path / "other.json", "new")

    def test_what_utf8_cannot_encode_is_escaped(self, tmp_path):
        write_whole(tmp_path / "a.html", "caf\udce9")
        assert (tmp_path / "a.html").read_text(encoding="utf-8") == "caf\\udce9"
        write_json(tmp_path / "a.json", [{"name": "caf\udce9"}])
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert json.loads(text)["gates"] == [{"name": "caf\\udce9"}]


class TestCells:
    def test_a_text_that_is_a_formula_becomes_a_text_and_numbers_stay(self, tmp_path):
        texts = [
            "=1+1",
            "+cmd|' /C calc'!A0",
            "-2+3",
            "@SUM(A1)",
            "\t=1",
            " =1",
            "\r=1",
            "cat\n::error::no",
            "\u202etac",
            "-1",
            "+2.5",
            "-1e-3",
            "cat",
            "a=b",
        ]
        table = {name: [0.5 if name == "visibility" else -1.5] * len(texts) for name in COLUMNS}
        write_objects(tmp_path / "o.csv", [("=gate", {**table, "category": texts})])
        rows = [*csv.DictReader(io.StringIO((tmp_path / "o.csv").read_bytes().decode(), newline=""))]
        shown = [row["category"] for row in rows]
        assert shown[:4] == [f"'{each}" for each in texts[:4]]
        assert shown[4:9] == ["\\t=1", "' =1", "\\r=1", "cat\\n::error::no", "\\u202etac"]
        assert shown[9:] == texts[9:]
        assert {row["gate"] for row in rows} == {"'=gate"}
        assert {float(row["visibility"]) for row in rows} == {0.5}
        assert {float(row[name]) for row in rows for name in COLUMNS if name not in ("category", "visibility")} == {
            -1.5
        }

    def test_a_surrogate_ends_no_parquet(self, tmp_path):
        pytest.importorskip("pyarrow")
        table = {name: [None] for name in COLUMNS} | {"category": ["caf\udce9"], "image": ["a.png"]}
        write_objects(tmp_path / "o.parquet", [("gate", table)])
        assert (tmp_path / "o.parquet").stat().st_size > 0


def harmful(text):
    """The signs of a text that a reader cannot see; a line break is one where it starts a command."""
    hidden = {each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs") and each not in "\n\t"}
    return hidden | {line for line in text.splitlines() if line.strip().startswith("::error::")}


@pytest.fixture(scope="module")
def run():
    data = made(categories={1: EVIL, 2: "=dog"})
    found = small_run(loses_cut(opinions(data)), data, max_drop=0.01, by_category={EVIL: 0.01}, explain="always")
    return found.named(f"model {EVIL}")


@pytest.fixture(scope="module")
def record(run):
    _, record = json.loads(run_properties(run, f"t.py::test[{EVIL}]", 0)[0][1])
    return {**record, "test_error": None}


class TestNames:
    def test_keep_their_letters_and_hide_nothing(self):
        assert (
            one_line("größer 猫 \N{CAT FACE} e\N{COMBINING ACUTE ACCENT}")
            == "größer 猫 \N{CAT FACE} e\N{COMBINING ACUTE ACCENT}"
        )
        assert one_line("1\r\n2\u2028\u2066") == "1\\r\\n2\\u2028\\u2066"
        assert visible({"a": ["1\n2", 3, None]}) == {"a": ["1\n2", 3, None]}
        assert not harmful(visible(EVIL)) | harmful(one_line(EVIL))
        assert encodable("\u202e") == "\u202e"

    def test_in_the_text_of_a_failure(self, run):
        for limit in (run.drop, run.by_category[EVIL]):
            with pytest.raises(AssertionError) as caught:
                assert limit <= 0.01
            assert not harmful(str(caught.value))
            assert "cat\\n::error::no\\u202e" in str(caught.value)
        assert not harmful(str(DataError(f"{EVIL}: no such file\n  fix it")))
        assert "\n  fix it" in str(DataError(f"{EVIL}: no such file\n  fix it"))

    @pytest.mark.parametrize("verbosity", [0, 1])
    def test_on_the_terminal_and_as_a_command_of_github(self, record, verbosity, monkeypatch):
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        reporter = Reporter(width=200, verbosity=verbosity)
        write_summary(reporter, [record], [MissingResult(EVIL, EVIL)], EVIL)
        text = reporter.bytes.getvalue().decode()
        assert not harmful(text)
        commands = [line for line in text.splitlines() if line.lstrip().startswith("::")]
        assert [command.partition(" model")[0] for command in commands] == ["::error title=crop robustness%3A"]
        assert not harmful("\n".join(annotations([record])))

    def test_in_the_summary_on_the_page_in_junit_and_in_the_json(self, run, record, tmp_path):
        text = github_summary([record], [MissingResult(EVIL, EVIL)])
        assert not harmful(text.replace("\t", " "))
        text.encode()
        whole = html_page(visible([record]), [{}], [MissingResult(visible(EVIL), visible(EVIL))], visible(EVIL))
        assert not harmful(whole)
        flat = run_properties(run, "t.py::test", 0)[1:]
        assert not [pair for pair in flat if harmful(f"{pair[0]}{pair[1]}") or "\n" in f"{pair[0]}{pair[1]}"]
        write_json(tmp_path / "o.json", [record])
        (gate,) = json.loads((tmp_path / "o.json").read_bytes())["gates"]
        assert gate["categories"][0]["name"] == EVIL.replace("\udcff", "\\udcff")
